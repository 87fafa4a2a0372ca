#include "tools/loadgen/engine_target.hpp"

#include <atomic>

#include <gtest/gtest.h>

#include "bus/local_bus.hpp"
#include "tests/tools/loadgen/echo_engine.hpp"
#include "storage/memory/memory_stores.hpp"
#include "tools/loadgen/runner.hpp"

/// The runner on the real client library, in real but short time, with a store and a bus in memory.
namespace rowcall::tools::loadgen {
namespace {

using std::chrono::milliseconds;

class steady_clock_port final : public engine::clock {
 public:
  time_point now() const override {
    return time_point(std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()));
  }
};

/// A database that does not answer for a while, once: the first submit behind `stall_at` commands takes `length`.
class stalling_store final : public engine::command_store {
 public:
  stalling_store(std::unique_ptr<engine::command_store> store, std::size_t stall_at, milliseconds length)
      : store_(std::move(store)), stall_at_(stall_at), length_(length) {}
  engine::result<std::vector<engine::submit_receipt>> submit(std::span<const engine::command_request> batch,
                                                              const visible_function& visible) override {
    seen_ += batch.size();
    if (stall_at_ != 0 && seen_ > stall_at_) {
      stall_at_ = 0;
      std::this_thread::sleep_for(length_);  // the fault itself; nothing is synchronised by it
    }
    return store_->submit(batch, visible);
  }

 private:
  std::unique_ptr<engine::command_store> store_;
  std::size_t seen_ = 0, stall_at_;
  milliseconds length_;
};

/// Drops every n-th publication of updates.
class forgetful_bus final : public engine::bus {
 public:
  forgetful_bus(engine::bus& bus, int every) : bus_(bus), every_(every) {}
  void publish(std::span<const engine::wake> wakes) override { bus_.publish(wakes); }
  void publish(std::span<const engine::update_notice> notices) override {
    if (++count_ % every_ != 0) bus_.publish(notices);
  }
  std::unique_ptr<engine::subscription> on_wakes(std::function<void(engine::wake)> h) override { return bus_.on_wakes(std::move(h)); }
  std::unique_ptr<engine::subscription> on_updates(const engine::session_id& session,
                                                   std::function<void(const engine::update_notice&)> h) override {
    return bus_.on_updates(session, std::move(h));
  }
  std::unique_ptr<engine::subscription> on_connected(std::function<void()> h) override { return bus_.on_connected(std::move(h)); }
  engine::result<void> flush(milliseconds timeout) override { return bus_.flush(timeout); }
  bool is_connected() const override { return bus_.is_connected(); }

 private:
  engine::bus& bus_;
  int every_;
  std::atomic<int> count_{0};
};

class loadgen_engine_target : public ::testing::Test {
 protected:
  loadgen_engine_target() {
    EXPECT_TRUE(storage::memory::make_node_store(database_)->join("node", {"echo"}).has_value());
  }

  report run(const run_plan& plan, const scenario_options& options = {}, int forget_every = 1'000'000'000,
             std::size_t stall_at = 0) {
    forgetful_bus bus(*bus_, forget_every);
    testing::echo_engine engine(storage::memory::make_turn_store(database_, "node"), bus);
    engine_target_config config;
    config.make_command_store = [&] {
      return std::make_unique<stalling_store>(storage::memory::make_command_store(database_), stall_at, milliseconds{1000});
    };
    config.make_update_store = [&] { return storage::memory::make_update_store(database_); };
    config.buses = {bus_.get()};
    config.followers = 2;
    config.poll_interval = milliseconds{100};
    engine_target target(config);
    steady_timeline time;
    const auto s = make_scenario(options);
    EXPECT_TRUE(s.has_value());
    runner load(plan, **s, target, time);
    auto r = load.run();
    EXPECT_TRUE(r.has_value()) << (r ? "" : r.error().message);
    return r ? std::move(*r) : report{};
  }

  static run_plan plan(const char* stages) {
    run_plan p;
    p.stages = *parse_stages(stages);
    return p;
  }
  static scenario_options sessions(std::size_t n, const char* name = "echo") {
    scenario_options o;
    o.name = name;
    o.sessions = n;
    return o;
  }

  std::shared_ptr<storage::memory::database> database_ =
      storage::memory::make_database(std::make_shared<steady_clock_port>());
  std::unique_ptr<engine::bus> bus_ = bus::make_local_bus();
};

TEST_F(loadgen_engine_target, everything_submitted_is_followed_once) {
  const report r = run(plan("1s@500"), sessions(20));
  EXPECT_EQ(r.count.followed, 500u);
  EXPECT_EQ(r.count.errors, 0u);
  EXPECT_TRUE(r.found.clean()) << ::testing::PrintToString(r.found.examples);
}

TEST_F(loadgen_engine_target, a_database_that_stalls_for_a_second_shows_it) {
  const report r = run(plan("2s@200"), sessions(20), 1'000'000'000, 100);
  EXPECT_EQ(r.count.followed, 400u);
  EXPECT_GT(to_ms(r.latency.max()), 950);
  EXPECT_GT(to_ms(r.latency.percentile(99)), 900);
  EXPECT_GT(to_ms(r.latency.percentile(60)), 100);  // the second is half of the load: no omission
  EXPECT_TRUE(r.found.clean());
}

TEST_F(loadgen_engine_target, lost_notices_are_latency_and_no_findings) {
  const report r = run(plan("1s@200"), sessions(10), 2);
  EXPECT_EQ(r.count.followed, 200u);
  EXPECT_TRUE(r.found.clean()) << ::testing::PrintToString(r.found.examples);
}

TEST_F(loadgen_engine_target, followers_that_go_and_come_back_miss_and_repeat_nothing) {
  run_plan p = plan("1s@500");
  p.reconnect_interval = milliseconds{50};
  const report r = run(p, sessions(20));
  EXPECT_EQ(r.count.followed, 500u);
  EXPECT_TRUE(r.found.clean()) << ::testing::PrintToString(r.found.examples);
}

TEST_F(loadgen_engine_target, sessions_that_come_and_go_during_reconnects_are_all_followed) {
  run_plan p = plan("1s@500");
  p.reconnect_interval = milliseconds{100};
  scenario_options options = sessions(10, "churn");
  options.session_commands = 3;
  const report r = run(p, options);
  EXPECT_EQ(r.count.followed, 500u);
  EXPECT_TRUE(r.found.clean()) << ::testing::PrintToString(r.found.examples);
}

TEST_F(loadgen_engine_target, a_second_run_goes_on_with_the_sessions_of_the_first) {
  EXPECT_EQ(run(plan("500ms@200"), sessions(5)).count.followed, 100u);
  run_plan p = plan("500ms@200");
  p.has_fresh_sessions = false;
  p.seed = 2;
  const report r = run(p, sessions(5));
  EXPECT_EQ(r.count.followed, 100u);
  EXPECT_TRUE(r.found.clean()) << ::testing::PrintToString(r.found.examples);
}

TEST_F(loadgen_engine_target, an_unknown_kind_is_an_error_and_not_a_loss) {
  database_ = storage::memory::make_database(std::make_shared<steady_clock_port>());  // nobody ever joined
  const report r = run(plan("200ms@100"), sessions(5));
  EXPECT_EQ(r.count.errors, 20u);
  EXPECT_EQ(r.errors_by_code.at("unknown_kind"), 20u);
  EXPECT_TRUE(r.found.clean());
}

}  // namespace
}  // namespace rowcall::tools::loadgen
