#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <thread>

#include "tests/actors/engine_node_fixture.hpp"

namespace rowcall::actors {
namespace {

TEST_F(engine_node_test, a_command_becomes_an_update) {
  auto node = started(config());
  submit(id("echo-a"), "say", R"({"text":"hello"})");
  ASSERT_TRUE(answered(id("echo-a"), 1));
  EXPECT_EQ(log_of(id("echo-a")).front().type, "echo");
  EXPECT_TRUE(node->stop(5s));
}

TEST_F(engine_node_test, a_command_whose_wake_was_lost_is_found_by_the_sweep) {
  auto node = started(config());
  submit(id("echo-a"), "say", "{}", false);
  EXPECT_TRUE(answered(id("echo-a"), 1));
  EXPECT_TRUE(eventually(1s, [&] { return node->counters().lost_wakes_found > 0; }));
}

TEST_F(engine_node_test, commands_of_many_sessions_are_answered_once_and_in_order) {
  auto node = started(config());
  for (int round = 0; round < 20; ++round)
    for (int s = 0; s < 100; ++s) submit(id("flaky-" + std::to_string(s)), "add", R"({"n":1})");
  for (int s = 0; s < 100; ++s) {
    ASSERT_TRUE(answered(id("flaky-" + std::to_string(s)), 20));
    expect_gapless(id("flaky-" + std::to_string(s)), 20);
    EXPECT_EQ(log_of(id("flaky-" + std::to_string(s))).back().data, "{\"sum\":20}");
  }
}

TEST_F(engine_node_test, the_state_survives_a_restart_by_folding_the_log) {
  auto c = config();
  c.session.snapshot_interval_updates = 7;
  for (int boot = 1; boot <= 3; ++boot) {
    auto node = started(c);
    for (int i = 0; i < 10; ++i) submit(id("flaky-s"), "add", R"({"n":1})");
    ASSERT_TRUE(answered(id("flaky-s"), boot * 10));
    EXPECT_EQ(log_of(id("flaky-s")).back().data, "{\"sum\":" + std::to_string(boot * 10) + "}");
    EXPECT_TRUE(node->stop(5s));
  }
}

TEST_F(engine_node_test, a_passivated_session_goes_on_where_it_was) {
  auto c = config();
  c.directory.sessions_known_max = 0;
  c.directory.passivate_after = 1ms;
  auto node = started(c);
  submit(id("flaky-s"), "add", R"({"n":5})");
  ASSERT_TRUE(answered(id("flaky-s"), 1));
  ASSERT_TRUE(eventually(5s, [&] { return node->counters().sessions_known == 0; }));
  submit(id("flaky-s"), "add", R"({"n":6})");
  ASSERT_TRUE(answered(id("flaky-s"), 2));
  EXPECT_EQ(log_of(id("flaky-s")).back().data, "{\"sum\":11}");
}

TEST_F(engine_node_test, a_poison_command_is_parked_and_hinders_no_other) {
  auto node = started(config());
  submit(id("flaky-s"), "add", R"({"n":1})", false);
  submit(id("flaky-s"), "throw", "{}", false);
  submit(id("flaky-s"), "add", R"({"n":1})");
  submit(id("echo-a"), "say");
  ASSERT_TRUE(answered(id("flaky-s"), 3));
  ASSERT_TRUE(answered(id("echo-a"), 1));
  const auto log = log_of(id("flaky-s"));
  EXPECT_EQ(log[1].type, "command_failed");
  EXPECT_EQ(log[2].data, "{\"sum\":2}");
  EXPECT_EQ(node->counters().dead_letters, 1u);
}

TEST_F(engine_node_test, a_held_command_keeps_the_order_and_succeeds_in_the_end) {
  auto node = started(config());
  flaky::failures_left = 3;
  submit(id("flaky-s"), "add", R"({"n":1})", false);
  submit(id("flaky-s"), "fail_some", "{}", false);
  submit(id("flaky-s"), "add", R"({"n":1})");
  ASSERT_TRUE(answered(id("flaky-s"), 3));
  expect_gapless(id("flaky-s"), 3);
  EXPECT_EQ(log_of(id("flaky-s"))[2].data, "{\"sum\":2}");
}

TEST_F(engine_node_test, a_command_that_the_store_refuses_is_isolated_and_parked) {
  auto node = started(config());
  for (int s = 0; s < 20; ++s) submit(id("echo-" + std::to_string(s)), "say");
  submit(id("flaky-s"), "add", R"({"n":1})", false);
  submit(id("flaky-s"), "unstorable", "{}", false);
  submit(id("flaky-s"), "add", R"({"n":1})");
  ASSERT_TRUE(answered(id("flaky-s"), 3));
  EXPECT_EQ(log_of(id("flaky-s"))[1].type, "command_failed");
  EXPECT_EQ(log_of(id("flaky-s"))[2].data, "{\"sum\":2}");
  for (int s = 0; s < 20; ++s) ASSERT_TRUE(answered(id("echo-" + std::to_string(s)), 1));
}

TEST_F(engine_node_test, a_sent_command_arrives_exactly_once) {
  auto node = started(config());
  for (int i = 0; i < 10; ++i) submit(id("echo-from"), "send", R"({"to":"flaky-to","type":"add","data":{"n":1}})");
  ASSERT_TRUE(answered(id("flaky-to"), 10));
  expect_gapless(id("flaky-to"), 10);
  EXPECT_EQ(log_of(id("flaky-to")).back().data, "{\"sum\":10}");
}

TEST_F(engine_node_test, two_engines_over_the_same_sessions_answer_each_command_once) {
  auto a = started(config());
  auto b = started(config());
  int rounds = 0;
  ASSERT_TRUE(eventually(20s, [&] {  // at least 30 rounds, and until each has heard of the other and serves its share
    ++rounds;
    for (int s = 0; s < 50; ++s) submit(id("flaky-" + std::to_string(s)), "add", R"({"n":1})");
    return rounds >= 30 && a->counters().commands > 0 && b->counters().commands > 0;
  }));
  for (int s = 0; s < 50; ++s) {
    ASSERT_TRUE(answered(id("flaky-" + std::to_string(s)), rounds));
    expect_gapless(id("flaky-" + std::to_string(s)), static_cast<std::size_t>(rounds));
    EXPECT_EQ(log_of(id("flaky-" + std::to_string(s))).back().data, "{\"sum\":" + std::to_string(rounds) + "}");
  }
}

TEST_F(engine_node_test, the_sessions_of_an_engine_that_left_are_served_by_the_other) {
  auto a = started(config());
  auto b = started(config());
  ASSERT_TRUE(eventually(5s, [&] { return a->is_ready() && b->is_ready(); }));
  EXPECT_TRUE(b->stop(5s));
  for (int s = 0; s < 50; ++s) submit(id("flaky-" + std::to_string(s)), "add", R"({"n":1})");
  for (int s = 0; s < 50; ++s) ASSERT_TRUE(answered(id("flaky-" + std::to_string(s)), 1));
}

/// Loses its connection in every way, in turns.
class failing_store final : public engine::turn_store {
 public:
  failing_store(std::unique_ptr<engine::turn_store> inner, std::shared_ptr<std::atomic<int>> calls)
      : inner_(std::move(inner)), calls_(std::move(calls)) {}
  engine::result<engine::turn_claim> claim(const engine::turn_request& r) override {
    if (++*calls_ % 5 == 0) return engine::fail(engine::errc::connection_lost, "on request");
    return inner_->claim(r);
  }
  engine::result<engine::db_time> commit(std::span<const engine::session_writes> w) override {
    switch (++*calls_ % 7) {
      case 1: inner_->abandon(); return engine::fail(engine::errc::connection_lost, "before COMMIT");
      case 2: {
        auto done = inner_->commit(w);
        if (!done) return done;
        return engine::fail(engine::errc::commit_in_doubt, "after COMMIT");
      }
      case 3: inner_->abandon(); return engine::fail(engine::errc::serialization_failure, "on request");
      default: return inner_->commit(w);
    }
  }
  void abandon() override { inner_->abandon(); }

 private:
  std::unique_ptr<engine::turn_store> inner_;
  std::shared_ptr<std::atomic<int>> calls_;
};

TEST_F(engine_node_test, lost_connections_before_and_after_commit_neither_lose_nor_double_a_command) {
  auto c = config();
  c.node = make_node_name();
  c.reconnect_wait = 1ms;
  c.reconnect_wait_max = 2ms;
  auto calls = std::make_shared<std::atomic<int>>(0);
  auto node = make(c, [&, calls] {
    return std::make_unique<failing_store>(storage::memory::make_turn_store(db, c.node), calls);
  });
  node->start();
  ASSERT_TRUE(eventually(5s, [&] { return node->is_ready(); }));
  for (int round = 0; round < 20; ++round)
    for (int s = 0; s < 10; ++s) submit(id("flaky-" + std::to_string(s)), "add", R"({"n":1})");
  for (int s = 0; s < 10; ++s) {
    ASSERT_TRUE(answered(id("flaky-" + std::to_string(s)), 20));
    expect_gapless(id("flaky-" + std::to_string(s)), 20);
    EXPECT_EQ(log_of(id("flaky-" + std::to_string(s))).back().data, "{\"sum\":20}");
  }
  EXPECT_GT(node->counters().turns_aborted, 0u);
}

/// Takes a wake's word for the command, and finds for good that it can not write what came of it.
class refusing_store final : public engine::turn_store {
 public:
  refusing_store(std::unique_ptr<engine::turn_store> inner, engine::errc refusal, std::shared_ptr<std::atomic<int>> refused)
      : inner_(std::move(inner)), refusal_(refusal), refused_(std::move(refused)) {}
  engine::result<engine::turn_claim> claim(const engine::turn_request& r) override {
    is_unverified_ = r.sessions.size() == 1 && r.sessions.front().expected && r.sessions.front().cursor;
    if (!is_unverified_) return inner_->claim(r);
    engine::turn_claim claim;
    claim.sessions.push_back({engine::claim_status::claimed, {}, {*r.sessions.front().expected}});
    claim.is_unverified = true;
    return claim;
  }
  engine::result<engine::db_time> commit(std::span<const engine::session_writes> w) override {
    if (!is_unverified_) return inner_->commit(w);
    ++*refused_;
    return engine::fail(refusal_, "on request");
  }
  void abandon() override {
    if (!is_unverified_) inner_->abandon();
  }

 private:
  std::unique_ptr<engine::turn_store> inner_;
  const engine::errc refusal_;
  std::shared_ptr<std::atomic<int>> refused_;
  bool is_unverified_ = false;
};

TEST_F(engine_node_test, a_wake_whose_command_leads_to_what_can_not_be_written_is_served_as_the_log_says) {
  for (const auto refusal : {engine::errc::invalid_argument, engine::errc::internal, engine::errc::fenced}) {
    const auto session = id("flaky-" + std::to_string(static_cast<int>(refusal)));
    auto c = config();
    c.node = make_node_name();
    c.sweep_interval = 1h;  // the wake alone
    auto refused = std::make_shared<std::atomic<int>>(0);
    auto node = make(c, [&, refused] {
      return std::make_unique<refusing_store>(storage::memory::make_turn_store(db, c.node), refusal, refused);
    });
    node->start();
    ASSERT_TRUE(eventually(5s, [&] { return node->is_ready(); }));
    submit(session, "add", R"({"n":1})");
    ASSERT_TRUE(answered(session, 1));
    submit(session, "add", R"({"n":2})", false);
    engine::wake lie{session, {2}};
    lie.command = std::make_shared<const engine::command_row>(
        engine::command_row{{2}, "add", R"({"n":99})", engine::db_time::min()});
    // The directory hears of the first turn's end a moment after its update is there: only then a wake is believed.
    ASSERT_TRUE(eventually(5s, [&] { return node->counters().turns_open == 0; }));
    bus->publish(std::span{&lie, 1});
    ASSERT_TRUE(answered(session, 2));
    EXPECT_EQ(log_of(session).back().data, "{\"sum\":3}");
    EXPECT_EQ(*refused, 1);
    EXPECT_EQ(node->counters().wakes_mistaken, 1u);
    EXPECT_EQ(node->counters().turns_aborted, 0u);
    ASSERT_TRUE(node->stop(5s));
  }
}

TEST_F(engine_node_test, an_update_is_published_only_when_it_is_in_the_log) {
  auto node = started(config());
  std::atomic<int> heard = 0, missing = 0;
  std::mutex mutex;
  auto reader = storage::memory::make_update_store(db);
  auto s = bus->on_updates(id("echo-a"), [&](const engine::update_notice& n) {
    std::lock_guard lock(mutex);
    auto page = reader->updates_after(n.session, engine::update_seq{n.first.value - 1}, n.updates.size());
    if (!page || page->updates.size() != n.updates.size() || page->updates.back().created_at != n.updates.back().created_at)
      ++missing;
    ++heard;
  });
  for (int i = 0; i < 100; ++i) submit(id("echo-a"), "say");
  ASSERT_TRUE(answered(id("echo-a"), 100));
  EXPECT_TRUE(eventually(5s, [&] { return heard > 0; }));
  EXPECT_EQ(missing, 0);
  EXPECT_TRUE(node->stop(5s));
}

template <class Histogram>
std::uint64_t observations(const Histogram& h) {
  std::uint64_t count = 0;
  for (std::size_t i = 0; i < Histogram::bucket_count; ++i) count += h.count_of(i);
  return count;
}

TEST_F(engine_node_test, every_command_and_every_stage_of_a_turn_is_measured) {
  auto node = started(config());
  for (int i = 0; i < 500; ++i) submit(id("echo-" + std::to_string(i % 7)), "say");
  for (int s = 0; s < 7; ++s) ASSERT_TRUE(answered(id("echo-" + std::to_string(s)), 500 / 7));
  EXPECT_TRUE(node->stop(10s));
  const auto& m = node->counters();
  EXPECT_EQ(m.commands, 500u);
  EXPECT_EQ(observations(m.submit_to_claim), 500u);
  EXPECT_EQ(m.turn_commands.sum(), 500u);
  const auto turns = m.turns - m.turns_empty;
  EXPECT_EQ(observations(m.turn_commands), turns);
  EXPECT_GE(m.turn_sessions.sum(), turns);
  for (const auto* h : {&m.claim, &m.decide, &m.claim_to_commit, &m.commit_to_notify})
    EXPECT_EQ(observations(*h), turns);
  EXPECT_GT(m.turn_busy_us, 0u);
  EXPECT_GE(m.turn_busy_us, m.claim_to_commit.sum());
}

TEST_F(engine_node_test, actors_of_sessions_are_counted_while_they_live) {
  auto c = config();
  c.directory.sessions_known_max = 0;
  c.directory.passivate_after = 1ms;
  auto node = started(c);
  submit(id("echo-a"), "say");
  EXPECT_TRUE(eventually(5s, [&] { return node->counters().session_actors == 1; }));
  EXPECT_TRUE(eventually(5s, [&] { return node->counters().session_actors == 0; }));
}

TEST_F(engine_node_test, a_command_that_fails_is_logged_with_its_session_and_seq_and_its_data_apart) {
  std::mutex mutex;
  std::vector<std::string> lines;
  log = [&](engine::log_level, std::string_view text, const engine::log_fields& about) {
    const std::lock_guard lock(mutex);
    EXPECT_EQ(text.find("secret"), std::string_view::npos) << text;
    if (about.event == "command_parked" || about.event == "command_failed")
      lines.push_back(std::string(about.event) + " " + std::string(about.session) + "/" +
                      std::to_string(about.command.value) + " " + std::string(about.detail));
  };
  auto node = started(config());
  flaky::failures_left = 1;
  submit(id("flaky-s"), "add", R"({"n":1})");
  submit(id("flaky-s"), "throw", R"({"secret":1})");
  submit(id("flaky-t"), "fail_some", R"({"secret":2})");
  ASSERT_TRUE(answered(id("flaky-s"), 2));
  ASSERT_TRUE(answered(id("flaky-t"), 1));
  EXPECT_TRUE(node->stop(5s));
  std::sort(lines.begin(), lines.end());
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0], "command_failed flaky-t/1 error: not yet");
  EXPECT_EQ(lines[1], R"(command_parked flaky-s/2 error: thrown on request; data: {"secret":1})");
}

/// Is away, or does not answer at all, while told to.
class absent_store final : public engine::turn_store {
 public:
  absent_store(std::unique_ptr<engine::turn_store> inner, std::shared_ptr<std::atomic<bool>> is_away)
      : inner_(std::move(inner)), is_away_(std::move(is_away)) {}
  engine::result<engine::turn_claim> claim(const engine::turn_request& r) override {
    if (*is_away_) return engine::fail(engine::errc::connection_lost, "on request");
    return inner_->claim(r);
  }
  engine::result<engine::db_time> commit(std::span<const engine::session_writes> w) override { return inner_->commit(w); }
  void abandon() override { inner_->abandon(); }

 private:
  std::unique_ptr<engine::turn_store> inner_;
  std::shared_ptr<std::atomic<bool>> is_away_;
};

TEST_F(engine_node_test, a_store_that_comes_back_is_one_reconnect_however_often_it_was_tried) {
  auto c = config();
  c.node = make_node_name();
  c.turn_workers = 1;
  c.reconnect_wait = 1ms;
  c.reconnect_wait_max = 2ms;
  auto is_away = std::make_shared<std::atomic<bool>>(true);
  auto node = make(c, [&, is_away] {
    return std::make_unique<absent_store>(storage::memory::make_turn_store(db, c.node), is_away);
  });
  node->start();
  ASSERT_TRUE(eventually(5s, [&] { return node->is_ready(); }));
  submit(id("echo-a"), "say");
  ASSERT_TRUE(eventually(5s, [&] { return node->counters().store_failures >= 3; }));
  EXPECT_EQ(node->counters().store_reconnects, 0u);
  *is_away = false;
  ASSERT_TRUE(answered(id("echo-a"), 1));
  EXPECT_EQ(node->counters().store_reconnects, 1u);
}

/// Some of its calls do not come back while their gate is shut.
class gated_node_store final : public engine::node_store {
 public:
  struct gates {
    gate heartbeat, sweep, cleanup;
    std::atomic<int> heartbeats = 0;
    void open() {
      for (auto* g : {&heartbeat, &sweep, &cleanup}) g->open();
    }
  };
  gated_node_store(std::unique_ptr<engine::node_store> inner, std::shared_ptr<gates> g)
      : inner_(std::move(inner)), gates_(std::move(g)) {}
  engine::result<void> join(const std::string& n, const std::vector<std::string>& k) override {
    return inner_->join(n, k);
  }
  engine::result<std::vector<engine::node_info>> heartbeat(const std::string& n, const engine::node_rates& r,
                                                           std::chrono::milliseconds d) override {
    gates_->heartbeat.pass();
    ++gates_->heartbeats;
    return inner_->heartbeat(n, r, d);
  }
  engine::result<void> leave(const std::string& n) override { return inner_->leave(n); }
  engine::result<void> sweep(const std::vector<std::string>& k,
                             const std::function<bool(std::span<const engine::pending_session>)>& f) override {
    gates_->sweep.pass();
    return inner_->sweep(k, f);
  }
  engine::result<void> set_admission(const engine::admission_limits& limits) override {
    return inner_->set_admission(limits);
  }
  engine::result<engine::cleanup_report> cleanup(const engine::cleanup_request& r) override {
    gates_->cleanup.pass();
    return inner_->cleanup(r);
  }

 private:
  std::unique_ptr<engine::node_store> inner_;
  std::shared_ptr<gates> gates_;
};

/// A call that still waited would keep the node from ending.
struct opened_at_the_end {
  std::shared_ptr<gated_node_store::gates> gates;
  ~opened_at_the_end() { gates->open(); }
};

/// Real time, and minutes of it when told.
class leaping_clock final : public engine::clock {
 public:
  time_point now() const override { return real->now() + std::chrono::seconds{leap_s}; }
  std::shared_ptr<engine::clock> real = make_steady_clock();
  std::atomic<int> leap_s = 0;
};

TEST_F(engine_node_test, a_store_that_is_silent_makes_the_node_not_ready_and_it_says_for_how_long) {
  auto leaping = std::make_shared<leaping_clock>();
  clock = leaping;
  auto g = std::make_shared<gated_node_store::gates>();
  auto node = make(config(), {}, [&](std::unique_ptr<engine::node_store> inner) {
    return std::make_unique<gated_node_store>(std::move(inner), g);
  });
  const opened_at_the_end opened{g};
  EXPECT_EQ(node->why_not_ready(), "PostgreSQL has not been reached yet");
  node->start();
  ASSERT_TRUE(eventually(5s, [&] { return node->is_ready(); }));
  g->heartbeat.is_shut = true;
  ASSERT_TRUE(eventually(5s, [&] { return g->heartbeat.is_waited_at.load(); }));
  EXPECT_TRUE(node->is_ready());
  leaping->leap_s = 60;
  EXPECT_FALSE(node->is_ready());
  EXPECT_NE(node->why_not_ready().find("has not answered for 6"), std::string::npos) << node->why_not_ready();
  g->open();
  EXPECT_TRUE(eventually(5s, [&] { return node->is_ready(); }));
}

TEST_F(engine_node_test, a_sweep_or_a_retention_that_takes_long_does_not_delay_the_heartbeat) {
  for (const bool in_sweep : {true, false}) {
    auto g = std::make_shared<gated_node_store::gates>();
    auto c = config();
    c.node = in_sweep ? "sweeps" : "cleans";
    c.retention = 1h;
    c.retention_interval = 10ms;
    auto node = make(c, {}, [&](std::unique_ptr<engine::node_store> inner) {
      return std::make_unique<gated_node_store>(std::move(inner), g);
    });
    const opened_at_the_end opened{g};
    node->start();
    ASSERT_TRUE(eventually(5s, [&] { return node->is_ready(); }));
    auto& shut = in_sweep ? g->sweep : g->cleanup;
    shut.is_shut = true;
    ASSERT_TRUE(eventually(5s, [&] { return shut.is_waited_at.load(); }));
    const auto began = clock->now();
    const int before = g->heartbeats;
    ASSERT_TRUE(eventually(5s, [&] { return clock->now() - began > 3 * c.dead_after && g->heartbeats >= before + 5; }));
    EXPECT_TRUE(shut.is_shut);
    auto looker = storage::memory::make_node_store(db);
    ASSERT_TRUE(looker->join("looker", {"echo"}));
    const auto alive = looker->heartbeat("looker", {}, c.dead_after);
    ASSERT_TRUE(alive);
    EXPECT_EQ(std::count_if(alive->begin(), alive->end(), [&](const auto& n) { return n.node == c.node; }), 1);
    EXPECT_TRUE(node->is_ready()) << node->why_not_ready();
    g->open();
    EXPECT_TRUE(node->stop(5s));
  }
}

TEST_F(engine_node_test, a_module_that_hangs_is_told_once_and_then_the_process_is_asked_to_end) {
  std::mutex mutex;
  std::vector<std::string> lines;
  log = [&](engine::log_level, std::string_view text, const engine::log_fields& about) {
    const std::lock_guard lock{mutex};
    if (about.event == "decide_overdue") lines.emplace_back(text);
  };
  auto c = config();
  c.decide_timeout = 100ms;
  auto node = started(c);
  submit(id("flaky-s"), "add", R"({"n":1})");
  ASSERT_TRUE(answered(id("flaky-s"), 1));
  EXPECT_EQ(node->counters().decides_overdue, 0u);

  flaky::hanging.is_shut = true;
  submit(id("flaky-s"), "add", R"({"n":1})", false);
  submit(id("flaky-s"), "hang");
  EXPECT_TRUE(eventually(10s, [&] { return node->counters().workers_overdue == 1; }));
  EXPECT_NE(node->why_not_ready().find("a module does not come back"), std::string::npos) << node->why_not_ready();
  submit(id("echo-a"), "say");
  EXPECT_TRUE(answered(id("echo-a"), 1)) << "the other worker goes on";
  EXPECT_TRUE(eventually(10s, [&] { return hangs > 0; }));
  EXPECT_EQ(node->counters().decides_overdue, 1u);
  {
    const std::lock_guard lock{mutex};
    EXPECT_EQ(lines.size(), 1u);
    EXPECT_NE(lines.at(0).find("command flaky-s/3 of type hang"), std::string::npos) << lines[0];
  }
  flaky::hanging.open();
  EXPECT_TRUE(answered(id("flaky-s"), 3));
  EXPECT_TRUE(eventually(5s, [&] { return node->is_ready(); }));
}

}  // namespace
}  // namespace rowcall::actors
