#include "tools/loadgen/cpu_usage.hpp"

#include <unistd.h>

#include <gtest/gtest.h>

#include "tools/loadgen/report.hpp"

namespace rowcall::tools::loadgen {
namespace {

process_stat process(int pid, int parent, std::string name, std::uint64_t ticks, std::uint64_t started = 1) {
  return {pid, parent, std::move(name), ticks, started};
}

TEST(cpu_usage, a_stat_line_is_read_whatever_the_name_holds) {
  const auto p = parse_process_stat(
      "42 (a (b) c) S 7 42 42 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 5 0 98765 1000000 200 18446744073709551615\n");
  ASSERT_TRUE(p.has_value());
  EXPECT_EQ(p->pid, 42);
  EXPECT_EQ(p->parent, 7);
  EXPECT_EQ(p->name, "a (b) c");
  EXPECT_EQ(p->cpu_ticks, 300u);
  EXPECT_EQ(p->started_ticks, 98765u);
  EXPECT_FALSE(parse_process_stat("").has_value());
  EXPECT_FALSE(parse_process_stat("42 (x) S 7").has_value());
}

TEST(cpu_usage, the_machines_line_is_read) {
  const auto m = parse_machine_stat("cpu  100 5 50 800 20 3 2 1 0 0\ncpu0 1 2 3\n");
  ASSERT_TRUE(m.has_value());
  EXPECT_EQ(m->busy_ticks, 161u);
  EXPECT_EQ(m->idle_ticks, 820u);
  EXPECT_FALSE(parse_machine_stat("intr 5").has_value());
}

TEST(cpu_usage, time_is_told_apart_by_role) {
  cpu_usage usage({.own_pid = 1}, 100, 2);
  usage.add({{process(1, 0, "rowcall-loadgen", 1000), process(2, 0, "rowcall", 50), process(3, 0, "postgres", 10)}, {1000, 1000}});
  usage.add({{process(1, 0, "rowcall-loadgen", 1020), process(2, 0, "rowcall", 80), process(3, 0, "postgres", 20),
              process(4, 3, "postgres", 30), process(5, 0, "nats-server", 0), process(6, 0, "editor", 500)},
             {1110, 1090}});
  const auto t = usage.total();
  EXPECT_NEAR(t.of(role::generator), 0.2, 1e-9);
  EXPECT_NEAR(t.of(role::engine), 0.3, 1e-9);
  EXPECT_NEAR(t.of(role::postgresql), 0.4, 1e-9);  // a backend that came in between counts from its start
  EXPECT_NEAR(t.of(role::nats), 0, 1e-9);
  EXPECT_NEAR(t.of(role::other), 0.2, 1e-9);
  EXPECT_NEAR(t.machine_busy_share, 0.55, 1e-9);
  EXPECT_NEAR(t.elapsed_core_seconds, 2, 1e-9);
}

TEST(cpu_usage, generators_that_run_side_by_side_are_one_role) {
  cpu_usage usage({.own_pid = 1}, 100, 2);
  usage.add({{process(1, 0, "rowcall-loadgen", 0), process(2, 0, "rowcall-loadgen", 0)}, {0, 0}});
  usage.add({{process(1, 0, "rowcall-loadgen", 50), process(2, 0, "rowcall-loadgen", 45)}, {100, 100}});
  EXPECT_NEAR(usage.total().of(role::generator), 0.95, 1e-9);
}

TEST(cpu_usage, a_pid_used_again_does_not_count_backwards) {
  cpu_usage usage({}, 100, 1);
  usage.add({{process(2, 0, "postgres", 500, 1)}, {0, 0}});
  usage.add({{process(2, 0, "postgres", 10, 9)}, {100, 0}});
  EXPECT_NEAR(usage.total().of(role::postgresql), 0.1, 1e-9);
}

TEST(cpu_usage, a_named_root_takes_its_descendants_and_leaves_out_namesakes) {
  cpu_usage usage({.own_pid = 1, .roots = {{role::postgresql, 10}}}, 100, 1);
  usage.add({{process(10, 1, "postgres", 0), process(11, 10, "postgres", 0), process(20, 1, "postgres", 0)}, {0, 0}});
  usage.add({{process(10, 1, "postgres", 10), process(11, 10, "postgres", 20), process(20, 1, "postgres", 50)}, {100, 0}});
  EXPECT_NEAR(usage.total().of(role::postgresql), 0.3, 1e-9);
}

TEST(cpu_usage, this_machine_can_be_read) {
  const auto s = read_proc();
  EXPECT_GT(s.machine.busy_ticks, 0u);
  const auto self = std::find_if(s.processes.begin(), s.processes.end(), [](const auto& p) { return p.pid == getpid(); });
  EXPECT_NE(self, s.processes.end());
}

cpu_usage::totals totals(double engine, double postgresql, double generator, double busy_share) {
  cpu_usage::totals t;
  t.cores = 2;
  t.elapsed_core_seconds = 20;  // ten seconds
  t.seconds[static_cast<std::size_t>(role::engine)] = engine;
  t.seconds[static_cast<std::size_t>(role::postgresql)] = postgresql;
  t.seconds[static_cast<std::size_t>(role::generator)] = generator;
  t.machine_busy_share = busy_share;
  return t;
}

TEST(bottleneck, a_saturated_generator_blames_itself) {
  histogram none, latency;
  latency.record(std::chrono::milliseconds{2});
  EXPECT_EQ(find_bottleneck(totals(3, 3, 10, 0.8), none, latency).who, "generator");
}

TEST(bottleneck, a_generator_that_is_late_says_so) {
  histogram lag, latency;
  lag.record(std::chrono::milliseconds{50}, 100);
  latency.record(std::chrono::milliseconds{60}, 100);
  EXPECT_EQ(find_bottleneck(totals(1, 1, 1, 0.3), lag, latency).who, "generator");
}

TEST(bottleneck, a_full_machine_names_the_largest_user) {
  histogram none;
  const auto b = find_bottleneck(totals(4, 12, 3, 0.98), none, none);
  EXPECT_EQ(b.who, "machine");
  EXPECT_NE(b.why.find("postgresql"), std::string::npos);
}

TEST(bottleneck, an_idle_machine_is_no_bottleneck) {
  histogram none;
  EXPECT_EQ(find_bottleneck(totals(1, 1, 1, 0.2), none, none).who, "none");
  EXPECT_EQ(find_bottleneck({}, none, none).who, "unknown");
}

}  // namespace
}  // namespace rowcall::tools::loadgen
