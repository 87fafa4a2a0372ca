#include "tools/loadgen/runner.hpp"

#include <gmock/gmock.h>

#include "tests/tools/loadgen/virtual_target.hpp"

namespace rowcall::tools::loadgen {
namespace {

using testing::virtual_target;
using testing::virtual_timeline;
using std::chrono::milliseconds;
using std::chrono::seconds;

run_plan open_loop(const char* stages) {
  run_plan plan;
  plan.stages = *parse_stages(stages);
  return plan;
}

std::unique_ptr<scenario> echo(std::size_t sessions, const char* keys = "uniform") {
  scenario_options options;
  options.sessions = sessions;
  options.keys = keys;
  return *make_scenario(options);
}

struct outcome {
  report r;
  std::vector<engine::command_request> requests;
};

outcome run(const run_plan& plan, scenario& s, virtual_target::behaviour b = {}) {
  virtual_timeline time;
  virtual_target target(time, b);
  runner load(plan, s, target, time);
  auto r = load.run();
  EXPECT_TRUE(r.has_value()) << (r ? "" : r.error().message);
  return {r ? *r : report{}, target.requests};
}

TEST(runner, a_faultless_system_gets_a_faultless_report) {
  const auto s = echo(10);
  const auto [r, requests] = run(open_loop("10s@100"), *s);
  EXPECT_EQ(r.count.submitted, 1000u);
  EXPECT_EQ(r.count.acknowledged, 1000u);
  EXPECT_EQ(r.count.followed, 1000u);
  EXPECT_TRUE(r.passed());
  EXPECT_NEAR(to_ms(r.latency.percentile(50)), 3, 0.01);
  EXPECT_NEAR(to_ms(r.ack_latency.max()), 1, 0.001);
  EXPECT_EQ(r.send_lag.max().count(), 0);
  EXPECT_NEAR(r.throughput_per_s(), 100, 1);
  EXPECT_NEAR(r.duration_s, 10, 0.01);
}

TEST(runner, a_stall_of_a_second_shows_in_the_percentiles_as_a_second) {
  const auto s = echo(10);
  // 1 of 20 seconds: every command that was due in it waits for its end, 5 % of all.
  const auto [r, requests] = run(open_loop("20s@1000"), *s, {.stall_from = seconds{10}, .stall_until = seconds{11}});
  EXPECT_NEAR(to_ms(r.latency.max()), 1002, 3);
  EXPECT_NEAR(to_ms(r.latency.percentile(99)), 800, 20);  // the 4 of the 5 % that are due 800 ms or more before its end
  EXPECT_NEAR(to_ms(r.latency.percentile(97.5)), 500, 20);
  EXPECT_LT(to_ms(r.latency.percentile(90)), 4);
  EXPECT_TRUE(r.found.clean());
}

TEST(runner, a_stall_that_blocks_the_generator_itself_counts_from_the_intended_start_too) {
  const auto s = echo(10);
  run_plan plan = open_loop("20s@1000");
  plan.in_flight_max = 10;
  const auto [r, requests] = run(plan, *s, {.stall_from = seconds{10}, .stall_until = seconds{11}});
  EXPECT_GT(to_ms(r.latency.percentile(99)), 780);
  EXPECT_GT(to_ms(r.send_lag.percentile(99)), 700);
  EXPECT_EQ(r.count.followed, 20'000u);
}

TEST(runner, what_is_due_beyond_the_bound_can_be_left_out_and_is_counted) {
  const auto s = echo(10);
  run_plan plan = open_loop("20s@1000");
  plan.in_flight_max = 10;
  plan.gives_up = true;
  const auto [r, requests] = run(plan, *s, {.stall_from = seconds{10}, .stall_until = seconds{11}});
  // All but ten of what was due in the second of the stall.
  EXPECT_NEAR(static_cast<double>(r.errors_by_code.at("given_up")), 990, 10);
  EXPECT_EQ(r.count.followed + r.errors_by_code.at("given_up"), 20'000u);
  EXPECT_LT(to_ms(r.send_lag.max()), 100) << "it never waits";
  EXPECT_TRUE(r.found.clean());
}

TEST(runner, one_lost_update_in_100000_is_told) {
  const auto s = echo(10);
  const auto [r, requests] = run(open_loop("10s@10000"), *s, {.lose = 51'234});
  EXPECT_EQ(r.found.lost, 1u);
  EXPECT_EQ(r.found.gaps, 1u);
  EXPECT_EQ(r.found.duplicated, 0u);
  EXPECT_EQ(r.found.reordered, 0u);
  EXPECT_EQ(r.count.followed, 99'999u);
  EXPECT_FALSE(r.passed());
  EXPECT_FALSE(r.found.examples.empty());
}

TEST(runner, the_very_last_update_lost_is_told_although_nothing_comes_after_it) {
  const auto s = echo(1);
  const auto [r, requests] = run(open_loop("1s@1000"), *s, {.lose = 1000});
  EXPECT_EQ(r.found.lost, 1u);
  EXPECT_FALSE(r.passed());
}

TEST(runner, one_doubled_update_in_100000_is_told) {
  const auto s = echo(10);
  const auto [r, requests] = run(open_loop("10s@10000"), *s, {.repeat = 51'234});
  EXPECT_EQ(r.found.duplicated, 1u);
  EXPECT_EQ(r.found.lost, 0u);
  EXPECT_EQ(r.found.gaps, 0u);
  EXPECT_FALSE(r.passed());
}

TEST(runner, a_command_answered_twice_is_a_duplicate_although_the_stream_has_no_flaw) {
  const auto s = echo(10);
  const auto [r, requests] = run(open_loop("10s@1000"), *s, {.answer_twice = 5'123});
  EXPECT_EQ(r.found.duplicated, 1u);
  EXPECT_EQ(r.found.gaps, 0u);
  EXPECT_FALSE(r.passed());
}

TEST(runner, one_swap_in_100000_is_told_as_reordered_and_not_as_lost) {
  const auto s = echo(10);
  const auto [r, requests] = run(open_loop("10s@10000"), *s, {.swap = 51'234});
  EXPECT_EQ(r.found.reordered, 1u);
  EXPECT_EQ(r.found.lost, 0u);
  EXPECT_EQ(r.found.gaps, 0u);
  EXPECT_EQ(r.count.followed, 100'000u);
  EXPECT_FALSE(r.passed());
}

TEST(runner, a_command_that_is_acknowledged_and_forgotten_is_lost) {
  const auto s = echo(10);
  const auto [r, requests] = run(open_loop("10s@1000"), *s, {.forget = 9'999});
  EXPECT_EQ(r.found.lost, 1u);
  EXPECT_FALSE(r.passed());
}

TEST(runner, updates_that_overtake_their_acknowledgement_are_counted_once) {
  const auto s = echo(10);
  const auto [r, requests] = run(open_loop("2s@1000"), *s, {.updates_overtake = true});
  EXPECT_TRUE(r.found.clean());
  EXPECT_EQ(r.count.followed, 2000u);
  EXPECT_EQ(r.latency.count(), 2000u);
}

TEST(runner, refused_commands_are_errors_and_not_lost) {
  const auto s = echo(10);
  const auto [r, requests] = run(open_loop("2s@1000"), *s, {.refuse_every = 10});
  EXPECT_EQ(r.count.errors, 200u);
  EXPECT_EQ(r.errors_by_code.at("unavailable"), 200u);
  EXPECT_EQ(r.count.followed, 1800u);
  EXPECT_TRUE(r.found.clean());
}

TEST(runner, a_dead_system_ends_the_run_after_the_drain_time) {
  const auto s = echo(10);
  run_plan plan = open_loop("1s@100");
  plan.drain_timeout = seconds{5};
  const auto [r, requests] = run(plan, *s, {.is_dead = true});
  EXPECT_EQ(r.count.submitted, 100u);
  EXPECT_EQ(r.count.acknowledged, 0u);
  EXPECT_EQ(r.errors_by_code.at("unanswered"), 100u);
  EXPECT_EQ(r.count.errors, 100u);
  report checked = r;
  checked.check({*threshold::parse("p99>1000s")});
  EXPECT_FALSE(checked.passed());  // no latency is no proof of a good one
}

TEST(runner, the_warm_up_is_left_out_of_the_figures_and_not_out_of_the_verification) {
  const auto s = echo(10);
  run_plan plan = open_loop("10s@1000");
  plan.warm_up = seconds{4};
  const auto [r, requests] = run(plan, *s, {.stall_from = seconds{1}, .stall_until = seconds{2}, .lose = 500});
  EXPECT_EQ(r.warm_up_commands, 4000u);
  EXPECT_EQ(r.count.submitted, 6000u);
  EXPECT_LT(to_ms(r.latency.max()), 4);
  EXPECT_NEAR(r.duration_s, 6, 0.01);
  EXPECT_EQ(r.found.lost, 1u);
}

TEST(runner, each_stage_has_its_own_figures) {
  const auto s = echo(10);
  const auto [r, requests] = run(open_loop("5s@100,5s@1000,5s@100..300"), *s,
                                 {.stall_from = seconds{7}, .stall_until = seconds{8}});
  ASSERT_EQ(r.stages.size(), 3u);
  EXPECT_EQ(r.stages[0].count.followed, 500u);
  EXPECT_EQ(r.stages[1].count.followed, 5000u);
  EXPECT_EQ(r.stages[2].count.followed, 1000u);
  EXPECT_LT(to_ms(r.stages[0].latency.max()), 4);
  EXPECT_GT(to_ms(r.stages[1].latency.percentile(99)), 900);
  EXPECT_LT(to_ms(r.stages[2].latency.max()), 4);
  EXPECT_NEAR(r.stages[1].throughput_per_s(), 1000, 1);
}

TEST(runner, every_second_has_a_row_that_adds_up) {
  const auto s = echo(10);
  const auto [r, requests] = run(open_loop("5s@100"), *s, {.stall_from = milliseconds{1500}, .stall_until = milliseconds{3500}});
  ASSERT_GE(r.seconds.size(), 5u);
  std::uint64_t submitted = 0, followed = 0;
  for (const second_row& row : r.seconds) {
    submitted += row.count.submitted;
    followed += row.count.followed;
  }
  EXPECT_EQ(submitted, 500u);
  EXPECT_EQ(followed, 500u);
  EXPECT_EQ(r.seconds[2].count.followed, 0u);
  EXPECT_GT(r.seconds[2].in_flight, 140u);
  EXPECT_GT(r.seconds[3].max_ms, 1900);
}

TEST(runner, the_same_seed_sends_the_same_commands_at_the_same_times_in_every_scenario) {
  struct sent {
    std::vector<engine::command_request> requests;
    std::vector<nanoseconds> times;
    std::uint64_t digest = 0;
  };
  const auto send = [](const std::string& name, std::uint64_t seed) {
    scenario_options options;
    options.name = name;
    options.sessions = 100;
    options.keys = "zipf:1.0";
    options.size = "lognormal:100,0.5";
    options.session_commands = 10;
    options.users = 40;
    options.mix = "post:6,select:2,read:2";
    const auto s = *make_scenario(options);
    run_plan plan = open_loop("2s@1000");
    plan.seed = seed;
    plan.arrival = name == "burst" ? arrival_kind::burst : arrival_kind::poisson;
    plan.burst_commands = 100;
    plan.has_idempotency_keys = true;
    if (name == "reconnect-storm") plan.reconnect_interval = milliseconds{500};
    virtual_timeline time;
    virtual_target target(time, {});
    const auto r = runner(plan, *s, target, time).run();
    EXPECT_TRUE(r.has_value() && r->passed()) << name;
    return sent{target.requests, target.request_times, r ? r->commands_digest : 0};
  };
  for (const char* name : {"echo", "burst", "churn", "reconnect-storm", "chat"}) {
    SCOPED_TRACE(name);
    const sent first = send(name, 1), second = send(name, 1), other = send(name, 2);
    EXPECT_GT(first.requests.size(), 1500u);
    ASSERT_EQ(first.requests.size(), second.requests.size());
    for (std::size_t i = 0; i < first.requests.size(); ++i) {
      ASSERT_EQ(first.requests[i].session, second.requests[i].session);
      ASSERT_EQ(first.requests[i].type, second.requests[i].type);
      ASSERT_EQ(first.requests[i].data, second.requests[i].data);
      ASSERT_EQ(first.requests[i].idempotency_key, second.requests[i].idempotency_key);
      ASSERT_EQ(first.times[i], second.times[i]);
    }
    EXPECT_EQ(first.digest, second.digest);
    EXPECT_NE(first.digest, other.digest);
    if (std::string_view(name) != "burst") {
      EXPECT_NE(first.times, other.times);
    }
  }
}

TEST(runner, a_closed_loop_has_one_command_a_user_on_its_way) {
  const auto s = echo(10);
  run_plan plan = open_loop("10s@0");
  plan.closed = closed_loop{5, milliseconds{7}, false};
  const auto [r, requests] = run(plan, *s);
  // 3 ms for an answer and 7 ms of thought: 100 a second for each of 5 users.
  EXPECT_NEAR(static_cast<double>(r.count.followed), 5000, 10);
  EXPECT_NEAR(to_ms(r.latency.percentile(50)), 3, 0.01);
  EXPECT_TRUE(r.passed());
}

TEST(runner, a_closed_loop_goes_on_after_errors) {
  const auto s = echo(10);
  run_plan plan = open_loop("10s@0");
  plan.closed = closed_loop{2, milliseconds{0}, false};
  const auto [r, requests] = run(plan, *s, {.refuse_every = 3});
  EXPECT_GT(r.count.errors, 300u);
  EXPECT_GT(r.count.followed, 600u);
  EXPECT_TRUE(r.found.clean());
}

TEST(runner, bursts_start_at_one_instant) {
  const auto s = echo(10);
  run_plan plan = open_loop("4s@100");
  plan.arrival = arrival_kind::burst;
  plan.burst_commands = 200;
  virtual_timeline time;
  virtual_target target(time, {});
  runner load(plan, *s, target, time);
  const auto r = load.run();
  ASSERT_TRUE(r.has_value());
  ASSERT_GE(r->seconds.size(), 4u);
  EXPECT_EQ(r->seconds[0].count.submitted, 200u);
  EXPECT_EQ(r->seconds[1].count.submitted, 0u);
  EXPECT_EQ(r->seconds[2].count.submitted, 200u);
}

TEST(runner, churning_sessions_are_followed_when_they_come_and_left_when_they_go) {
  scenario_options options;
  options.name = "churn";
  options.sessions = 50;
  options.session_commands = 10;
  const auto s = *make_scenario(options);
  virtual_timeline time;
  virtual_target target(time, {});
  run_plan plan = open_loop("10s@1000");
  runner load(plan, *s, target, time);
  const auto r = load.run();
  ASSERT_TRUE(r.has_value());
  EXPECT_EQ(r->count.followed, 10'000u);
  EXPECT_TRUE(r->passed());
  EXPECT_GT(target.follows, 900u);
  EXPECT_GT(target.unfollows, 800u);
  EXPECT_LT(target.follows - target.unfollows, 50u + 64u + 10u);
}

TEST(runner, a_reconnect_storm_takes_all_followers_away_and_brings_them_back) {
  const auto s = echo(20);
  run_plan plan = open_loop("10s@100");
  plan.reconnect_interval = seconds{2};
  virtual_timeline time;
  virtual_target target(time, {});
  runner load(plan, *s, target, time);
  const auto r = load.run();
  ASSERT_TRUE(r.has_value());
  EXPECT_EQ(target.reconnects, 4);
  EXPECT_EQ(target.follows, 20u * 5);
  EXPECT_TRUE(r->passed());
}

TEST(runner, sessions_with_a_history_are_followed_from_their_cursor) {
  const auto s = echo(3, "sequential");
  run_plan plan = open_loop("1s@300");
  plan.has_fresh_sessions = false;
  virtual_timeline time;
  virtual_target target(time, {});
  target.give_history("echo-r-1", 41);
  runner load(plan, *s, target, time);
  const auto r = load.run();
  ASSERT_TRUE(r.has_value());
  EXPECT_EQ(target.cursors, 3);
  EXPECT_TRUE(r->found.clean()) << ::testing::PrintToString(r->found.examples);
  EXPECT_EQ(r->count.followed, 300u);
}

TEST(runner, stop_ends_the_load_and_still_waits_for_what_is_on_its_way) {
  const auto s = echo(10);
  virtual_timeline time;
  virtual_target target(time, {});
  runner load(open_loop("100s@100"), *s, target, time);
  time.at(time.now() + milliseconds{5001}, [&] { load.stop(); });
  const auto r = load.run();
  ASSERT_TRUE(r.has_value());
  EXPECT_TRUE(r->interrupted);
  EXPECT_NEAR(static_cast<double>(r->count.submitted), 500, 2);
  EXPECT_EQ(r->count.followed, r->count.submitted);
  EXPECT_TRUE(r->passed());
  EXPECT_NEAR(r->duration_s, 5, 0.1);
}

TEST(runner, a_chat_is_prepared_before_the_load_and_mixes_posts_selects_and_reads) {
  scenario_options options;
  options.name = "chat";
  options.users = 20;
  options.room_users = 8;
  options.mix = "post:6,select:2,read:2";
  const auto s = *make_scenario(options);
  virtual_timeline time;
  virtual_target target(time, {});
  runner load(open_loop("10s@100"), *s, target, time);
  const auto r = load.run();
  ASSERT_TRUE(r.has_value());
  EXPECT_TRUE(r->passed());
  std::map<std::string, int> types;
  for (const auto& request : target.requests) {
    ++types[request.type];
    EXPECT_TRUE(engine::validate(request).has_value()) << request.data;
  }
  EXPECT_EQ(types["create_chat"], 5);   // 20 users, 2 rooms each, 8 to a room
  EXPECT_EQ(types["join_chat"], 40);
  EXPECT_NEAR(types["post_message"], 600, 60);
  EXPECT_NEAR(types["select_chat"], 200 + 20, 50);
  EXPECT_EQ(static_cast<int>(r->read_latency.count()), target.reads);
  EXPECT_NEAR(target.reads, 200, 50);
  EXPECT_EQ(r->count.submitted + r->read_latency.count(), 1000u);
}

}  // namespace
}  // namespace rowcall::tools::loadgen
