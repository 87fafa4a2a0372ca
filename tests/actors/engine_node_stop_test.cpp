#include <gmock/gmock.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <mutex>
#include <string>
#include <vector>

#include "tests/actors/engine_node_fixture.hpp"

/// A graceful stop: what is open is finished, then the node leaves, and what it has told is on its way.
namespace rowcall::actors {
namespace {

using ::testing::ElementsAre;

/// What happened, in order.
class journal {
 public:
  void note(std::string what) {
    const std::lock_guard lock{mutex_};
    notes_.push_back(std::move(what));
  }
  bool has(const std::string& what) const {
    const std::lock_guard lock{mutex_};
    return std::find(notes_.begin(), notes_.end(), what) != notes_.end();
  }
  std::vector<std::string> notes() const {
    const std::lock_guard lock{mutex_};
    return notes_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> notes_;
};

/// A bus that notes when the engine listens no more, what it tells, and when that is flushed.
class noting_bus final : public engine::bus {
 public:
  explicit noting_bus(journal& notes) : notes_(notes) {}
  void publish(std::span<const engine::wake> wakes) override { inner_->publish(wakes); }
  void publish(std::span<const engine::update_notice> notices) override {
    inner_->publish(notices);
    notes_.note("told");
  }
  std::unique_ptr<engine::subscription> on_wakes(std::function<void(engine::wake)> handler) override {
    struct noted final : engine::subscription {
      noted(journal& n, std::unique_ptr<engine::subscription> i) : notes(n), inner(std::move(i)) {}
      ~noted() override {
        inner.reset();
        notes.note("deaf");
      }
      journal& notes;
      std::unique_ptr<engine::subscription> inner;
    };
    return std::make_unique<noted>(notes_, inner_->on_wakes(std::move(handler)));
  }
  std::unique_ptr<engine::subscription> on_updates(const session_id& session,
                                                   std::function<void(const engine::update_notice&)> handler) override {
    return inner_->on_updates(session, std::move(handler));
  }
  std::unique_ptr<engine::subscription> on_connected(std::function<void()> handler) override {
    return inner_->on_connected(std::move(handler));
  }
  engine::result<void> flush(std::chrono::milliseconds timeout) override {
    notes_.note("flushed");
    return inner_->flush(timeout);
  }
  bool is_connected() const override { return inner_->is_connected(); }

 private:
  journal& notes_;
  std::unique_ptr<engine::bus> inner_ = rowcall::bus::make_local_bus();
};

/// COMMIT waits at a gate.
class gated_store final : public engine::turn_store {
 public:
  gated_store(std::unique_ptr<engine::turn_store> inner, gate& at_commit, journal& notes)
      : inner_(std::move(inner)), at_commit_(at_commit), notes_(notes) {}
  engine::result<engine::turn_claim> claim(const engine::turn_request& r) override { return inner_->claim(r); }
  engine::result<engine::db_time> commit(std::span<const engine::session_writes> w) override {
    at_commit_.pass();
    auto done = inner_->commit(w);
    if (done && !w.empty()) notes_.note("committed");
    return done;
  }
  void abandon() override { inner_->abandon(); }

 private:
  std::unique_ptr<engine::turn_store> inner_;
  gate& at_commit_;
  journal& notes_;
};

/// Notes when the node leaves.
class noting_nodes final : public engine::node_store {
 public:
  noting_nodes(std::unique_ptr<engine::node_store> inner, journal& notes) : inner_(std::move(inner)), notes_(notes) {}
  engine::result<void> join(const std::string& node, const std::vector<std::string>& kinds) override {
    return inner_->join(node, kinds);
  }
  engine::result<std::vector<engine::node_info>> heartbeat(const std::string& node, const engine::node_rates& rates,
                                                           std::chrono::milliseconds dead_after) override {
    return inner_->heartbeat(node, rates, dead_after);
  }
  engine::result<void> leave(const std::string& node) override {
    notes_.note("left");
    return inner_->leave(node);
  }
  engine::result<void> sweep(const std::vector<std::string>& kinds,
                             const std::function<bool(std::span<const engine::pending_session>)>& found) override {
    return inner_->sweep(kinds, found);
  }
  engine::result<void> set_admission(const engine::admission_limits& limits) override {
    return inner_->set_admission(limits);
  }
  engine::result<engine::cleanup_report> cleanup(const engine::cleanup_request& request) override {
    return inner_->cleanup(request);
  }

 private:
  std::unique_ptr<engine::node_store> inner_;
  journal& notes_;
};

struct engine_node_stop_test : engine_node_test {
  journal notes;
  gate at_commit;
  engine_node_stop_test() { bus = std::make_unique<noting_bus>(notes); }
};

TEST_F(engine_node_stop_test, stopping_finishes_the_open_turns_and_leaves) {
  auto c = config();
  c.node = make_node_name();
  auto node = make(
      c, [&] { return std::make_unique<gated_store>(storage::memory::make_turn_store(db, c.node), at_commit, notes); },
      [&](auto store) { return std::make_unique<noting_nodes>(std::move(store), notes); });
  node->start();
  ASSERT_TRUE(eventually(5s, [&] { return node->is_ready(); }));
  at_commit.is_shut = true;
  submit(id("echo-a"), "say");
  ASSERT_TRUE(eventually(5s, [&] { return at_commit.is_waited_at.load(); }));
  auto stopped = std::async(std::launch::async, [&] { return node->stop(10s); });
  EXPECT_TRUE(eventually(5s, [&] { return notes.has("deaf"); })) << "the stop has begun, with a turn before its COMMIT";
  at_commit.open();
  EXPECT_TRUE(stopped.get());
  EXPECT_THAT(notes.notes(), ElementsAre("deaf", "committed", "told", "left", "flushed"));
  expect_gapless(id("echo-a"), 1);
  EXPECT_EQ(node->counters().turns_open, 0u);
  EXPECT_EQ(fatal, 0);
}

TEST_F(engine_node_stop_test, stopping_under_load_leaves_whole_turns) {
  auto node = started(config());
  for (int i = 0; i < 1000; ++i) submit(id("echo-" + std::to_string(i % 7)), "say");
  EXPECT_TRUE(node->stop(10s));
  EXPECT_EQ(fatal, 0);
  std::size_t answered_count = 0;
  for (int s = 0; s < 7; ++s) {
    const auto log = log_of(id("echo-" + std::to_string(s)));
    expect_gapless(id("echo-" + std::to_string(s)), log.size());
    answered_count += log.size();
  }
  EXPECT_EQ(node->counters().commands, answered_count) << "what was committed is what was counted";
  auto next = started(config());
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(answered(id("echo-" + std::to_string(i % 7)), 1000 / 7));
}

}  // namespace
}  // namespace rowcall::actors
