#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <map>
#include <mutex>
#include <thread>

#include "tests/e2e/deployment.hpp"
#include "tests/support/eventually.hpp"

/// The engine as a process, on the real servers, when nothing is wrong but the timing.
namespace rowcall::e2e {
namespace {

using namespace std::chrono_literals;
using support::eventually;

struct engine_e2e_test : testing::Test {
  support::database database = support::fresh_database();
  deployment d = deployment::shared(database);
  std::unique_ptr<engine::bus> bus = d.connect();

  void submit_many(std::size_t commands, std::size_t sessions) {
    auto submitter = make_submitter(d, *bus);
    std::vector<engine::command_request> batch;
    for (std::size_t i = 0; i < commands; ++i)
      batch.push_back({id("echo-" + std::to_string(i % sessions)), "say", "{\"n\":" + std::to_string(i) + "}", {}});
    for (auto& o : submitter->submit(std::move(batch))) ASSERT_TRUE(o) << o.error().message;
  }
};

TEST_F(engine_e2e_test, a_submitted_command_reaches_its_follower) {
  engine_process engine(d);
  engine.wait_ready();
  recorder r(d, *bus);
  r.follow(id("echo-a"));
  auto submitter = make_submitter(d, *bus);
  ASSERT_TRUE(submitter->submit(engine::command_request{id("echo-a"), "say", R"({"text":"hello"})", {}}));
  ASSERT_TRUE(r.wait_for(id("echo-a"), 1));
  const auto seen = r.seen(id("echo-a"));
  EXPECT_EQ(seen[0].type, "echo");
  EXPECT_GT(seen[0].created_at.time_since_epoch().count(), 0);
}

TEST_F(engine_e2e_test, a_notice_carries_the_updates_up_to_the_size_that_was_set) {
  engine_process engine(d, {"--inline-updates-bytes-max", "100"});
  engine.wait_ready();
  std::mutex mutex;
  std::map<std::int64_t, std::size_t> updates_by_seq;  // how many came with the notice of this update
  const auto following = bus->on_updates(id("echo-a"), [&](const engine::update_notice& n) {
    const std::lock_guard lock(mutex);
    updates_by_seq[n.last.value] = n.updates.size();
  });
  ASSERT_TRUE(bus->flush(5s));
  auto submitter = make_submitter(d, *bus);
  for (const std::size_t bytes : {10, 200})
    ASSERT_TRUE(submitter->submit(engine::command_request{id("echo-a"), "say", "{\"text\":\"" + std::string(bytes, 'x') + "\"}", {}}));
  ASSERT_TRUE(eventually(10s, [&] {
    const std::lock_guard lock(mutex);
    return updates_by_seq.count(2) > 0;
  }));
  const std::lock_guard lock(mutex);
  EXPECT_EQ(updates_by_seq[2], 0u);
  // Both may have been served by one turn: then its one notice was too large.
  if (updates_by_seq.count(1) > 0) {
    EXPECT_EQ(updates_by_seq[1], 1u);
  }
}

TEST_F(engine_e2e_test, a_plain_insert_is_processed_within_two_seconds_without_any_wake) {
  engine_process engine(d);
  engine.wait_ready();
  d.sql("INSERT INTO rowcall.commands (session_id, type, data) VALUES ('echo-sql', 'say', '{\"a\": 1}')");
  EXPECT_TRUE(eventually(2s, [&] { return d.value("SELECT status FROM rowcall.commands") == "processed"; }));
}

TEST_F(engine_e2e_test, wakes_that_lie_about_the_command_change_nothing) {
  engine_process engine(d);
  engine.wait_ready();
  submit_many(1, 1);  // the session's actor is loaded and its cursor known
  ASSERT_TRUE(drained(d));
  for (int n = 2; n <= 40; ++n) {
    const auto data = "{\"n\": " + std::to_string(n) + "}";
    d.sql("INSERT INTO rowcall.commands (session_id, type, data) VALUES ('echo-0', 'say', '" + data + "')");
    engine::wake lie{id("echo-0"), {n}};
    // A wrong text, a command that is not there yet, one that is done, and now and then the truth.
    const auto seq = n % 4 == 1 ? n + 1 : n % 4 == 2 ? n - 1 : n;
    lie.last = {seq};
    lie.command = std::make_shared<const engine::command_row>(
        engine::command_row{{seq}, "say", n % 4 == 3 ? data : R"({"n": -1})", engine::db_time{}});
    for (int i = 0; i < 3; ++i) bus->publish(std::span{&lie, 1});
  }
  ASSERT_TRUE(drained(d));
  expect_every_command_answered_once(d, 40);
  EXPECT_EQ(d.value("SELECT count(*) FROM rowcall.update_log u JOIN rowcall.command_log c ON c.session_id = u.session_id AND "
                    "c.seq = u.command_seq WHERE c.data <> u.data"),
            "0");
}

TEST_F(engine_e2e_test, two_engines_over_the_same_sessions_answer_each_command_once) {
  engine_process a(d), b(d);
  a.wait_ready();
  b.wait_ready();
  recorder r(d, *bus);
  for (int s = 0; s < 100; ++s) r.follow(id("echo-" + std::to_string(s)));
  for (int round = 0; round < 5; ++round) submit_many(2'000, 100);
  ASSERT_TRUE(drained(d));
  expect_every_command_answered_once(d, 10'000);
  for (int s = 0; s < 100; ++s) {
    const auto session = id("echo-" + std::to_string(s));
    ASSERT_TRUE(r.wait_for(session, 100));
    const auto seen = r.seen(session);
    for (std::size_t i = 0; i < seen.size(); ++i) ASSERT_EQ(seen[i].seq.value, static_cast<std::int64_t>(i + 1));
  }
  EXPECT_EQ(d.value("SELECT count(DISTINCT owner) FROM rowcall.shards WHERE owner IS NOT NULL"), "2") << "both served";
}

TEST_F(engine_e2e_test, a_stopped_engine_has_finished_its_turns_and_exits_with_0) {
  engine_process engine(d);
  engine.wait_ready();
  submit_many(5'000, 50);
  engine.process().signal(SIGTERM);
  EXPECT_EQ(engine.process().wait(15s), 0) << engine.log();
  EXPECT_EQ(d.value("SELECT count(*) FROM rowcall.nodes WHERE stopped_at IS NULL"), "0");
  EXPECT_EQ(d.value("SELECT count(*) FROM (SELECT seq, row_number() OVER (PARTITION BY session_id ORDER BY seq) AS n "
                    "FROM rowcall.update_log) u WHERE n <> seq"),
            "0");
  engine_process next(d);
  EXPECT_TRUE(drained(d));
  expect_every_command_answered_once(d, 5'000);
}

TEST_F(engine_e2e_test, a_stopped_engine_has_told_of_everything_that_it_committed) {
  constexpr int sessions = 50;
  engine_process engine(d);
  engine.wait_ready();
  std::mutex mutex;
  std::map<std::string, std::int64_t> told;  // the last update of the last notice
  std::vector<std::unique_ptr<engine::subscription>> listening;
  for (int s = 0; s < sessions; ++s)
    listening.push_back(bus->on_updates(id("echo-" + std::to_string(s)), [&](const engine::update_notice& n) {
      const std::lock_guard lock(mutex);
      told[n.session.str()] = n.last.value;
    }));
  ASSERT_TRUE(bus->flush(5s));
  submit_many(5'000, sessions);
  engine.process().signal(SIGTERM);
  ASSERT_EQ(engine.process().wait(15s), 0) << engine.log();
  ASSERT_TRUE(bus->flush(5s));
  std::map<std::string, std::int64_t> committed;
  for (const auto& row : d.sql("SELECT session_id, max(seq) FROM rowcall.update_log GROUP BY 1"))
    committed[row[0]] = std::stoll(row[1]);
  EXPECT_FALSE(committed.empty());
  EXPECT_TRUE(eventually(5s,
                         [&] {
                           const std::lock_guard lock(mutex);
                           return told == committed;
                         }))
      << testing::PrintToString(told) << testing::PrintToString(committed);
}

TEST_F(engine_e2e_test, an_idempotent_resubmit_has_one_effect) {
  engine_process engine(d);
  engine.wait_ready();
  auto submitter = make_submitter(d, *bus);
  const engine::command_request request{id("echo-a"), "say", "{}", "the-key"};
  auto first = submitter->submit(request);
  auto again = submitter->submit(request);
  ASSERT_TRUE(first && again);
  EXPECT_EQ(first->seq, again->seq);
  EXPECT_EQ(again->kind, engine::submit_receipt::outcome::duplicate);
  ASSERT_TRUE(drained(d));
  expect_every_command_answered_once(d, 1);
}

TEST_F(engine_e2e_test, cleanup_under_load_takes_nothing_that_is_needed) {
  engine_process engine(d, {"--snapshot-interval-updates", "20", "--retention", "1s", "--retention-interval", "100ms"});
  engine.wait_ready();
  recorder r(d, *bus);
  for (int s = 0; s < 20; ++s) r.follow(id("echo-" + std::to_string(s)));
  // At least 40 rounds, and until retention has taken something of every session while the load goes on.
  const auto cleaned = [&] {
    return d.value("SELECT count(*) FROM (SELECT FROM rowcall.update_log GROUP BY session_id HAVING min(seq) > 1) s") ==
           "20";
  };
  int rounds = 0;
  bool is_cleaned_under_load = false;
  const auto end = std::chrono::steady_clock::now() + 60s;
  while ((rounds < 40 || !is_cleaned_under_load) && std::chrono::steady_clock::now() < end) {
    submit_many(500, 20);
    ++rounds;
    is_cleaned_under_load = is_cleaned_under_load || cleaned();
  }
  ASSERT_TRUE(is_cleaned_under_load) << rounds;
  const auto each = static_cast<std::size_t>(rounds) * 25;
  ASSERT_TRUE(drained(d));
  for (int s = 0; s < 20; ++s) ASSERT_TRUE(r.wait_for(id("echo-" + std::to_string(s)), each));
  ASSERT_TRUE(eventually(20s, [&] { return std::stol(d.value("SELECT count(*) FROM rowcall.update_log")) < 2'000; }));
  EXPECT_EQ(d.value("SELECT count(*) FROM (SELECT DISTINCT session_id FROM rowcall.update_log) s"), "20");
  EXPECT_EQ(
      d.value(
          "SELECT string_agg(DISTINCT last::text, ' ') FROM (SELECT max(seq) AS last FROM rowcall.update_log GROUP BY "
          "session_id) s"),
      std::to_string(each));
  recorder late(d, *bus);
  late.follow(id("echo-0"));
  EXPECT_TRUE(eventually(10s, [&] { return late.gone_count() == 1; })) << "a late follower is told to take the snapshot";
  submit_many(20, 20);
  ASSERT_TRUE(r.wait_for(id("echo-0"), each + 1));
  EXPECT_EQ(r.gone_count(), 0) << "who kept up needed nothing that was taken";
  const auto seen = r.seen(id("echo-0"));
  for (std::size_t i = 0; i < seen.size(); ++i) ASSERT_EQ(seen[i].seq.value, static_cast<std::int64_t>(i + 1));
  EXPECT_EQ(seen.size(), each + 1) << "seq goes on after the cleanup";
}

TEST_F(engine_e2e_test, no_row_of_the_logs_is_ever_updated_or_deleted) {
  engine_process engine(d);
  engine.wait_ready();
  submit_many(5'000, 50);
  ASSERT_TRUE(drained(d));
  // What a backend has counted is there for certain when it has ended.
  engine.process().signal(SIGTERM);
  ASSERT_EQ(engine.process().wait(15s), 0) << engine.log();
  const std::string logs = " FROM pg_stat_user_tables WHERE relname IN ('command_log', 'update_log', 'sessions')";
  EXPECT_TRUE(eventually(20s, [&] { return d.value("SELECT sum(n_tup_ins)" + logs) == "10050"; }));
  EXPECT_EQ(d.value("SELECT sum(n_tup_upd + n_tup_del + n_dead_tup)" + logs), "0");
}

TEST_F(engine_e2e_test, the_chat_tables_equal_the_log) {
  engine_process engine(d);
  engine.wait_ready();
  auto submitter = make_submitter(d, *bus);
  auto submit = [&](const std::string& session, const std::string& type, const std::string& data) {
    auto o = submitter->submit(engine::command_request{id(session), type, data, {}});
    ASSERT_TRUE(o) << o.error().message;
  };
  submit("user-ann", "create_chat", R"({"chat_id":"chat-1","name":"One"})");
  ASSERT_TRUE(drained(d));
  submit("user-bob", "join_chat", R"({"chat_id":"chat-1"})");
  ASSERT_TRUE(drained(d));
  for (int i = 0; i < 50; ++i) {
    submit("user-ann", "post_message", R"({"chat_id":"chat-1","text":"from ann"})");
    submit("user-bob", "post_message", R"({"chat_id":"chat-1","text":"from bob"})");
  }
  ASSERT_TRUE(drained(d));
  EXPECT_EQ(d.value("SELECT count(*) FROM rowcall.messages"), "100");
  EXPECT_EQ(d.value("SELECT count(*) FROM rowcall.messages m FULL JOIN (SELECT * FROM rowcall.update_log WHERE type = "
                    "'new_message') u ON u.session_id = m.chat_id AND u.seq = m.message_id "
                    "WHERE m.message_id IS NULL OR u.seq IS NULL OR m.text <> u.data->>'text' OR m.sender <> u.data->>'sender'"),
            "0");
}

}  // namespace
}  // namespace rowcall::e2e
