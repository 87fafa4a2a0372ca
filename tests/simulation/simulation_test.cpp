#include "tests/simulation/simulation.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <optional>
#include <string>
#include <string_view>

namespace rowcall::simulation {
namespace {

/// Adds a failure with the seed, what is wrong, and the end of the trace.
void expect_kept(std::uint64_t seed) {
  const auto r = simulate_watched({seed});
  if (r.violations.empty()) return;
  std::string text;
  for (std::size_t i = 0; i < std::min<std::size_t>(r.violations.size(), 10); ++i) text += r.violations[i] + '\n';
  const auto trace = simulate_watched({seed, deliberate_bug::none, true}).trace;
  constexpr std::size_t shown_bytes = 6'000;
  ADD_FAILURE() << "SEED " << seed << " (replay: simulation_tests --first " << seed << " --seeds 1 --trace)\n"
                << text << "...\n"
                << trace.substr(trace.size() - std::min(trace.size(), shown_bytes));
}

/// Long mode: from the command line or the environment; nothing = only what is fixed below.
std::uint64_t first_seed = 1;
std::optional<std::uint64_t> seed_count;  ///< 0: without an end
bool prints_trace = false;

void expect_range_kept(std::uint64_t first, std::uint64_t count) {
  for (auto seed = first; seed < first + count && !testing::Test::HasFailure(); ++seed) expect_kept(seed);
}

/// Until one fails, or a signal ends the process.
void expect_all_kept(std::uint64_t first) {
  constexpr std::uint64_t seeds_per_line = 1'000;
  for (auto seed = first; !testing::Test::HasFailure(); ++seed) {
    expect_kept(seed);
    if (seed % seeds_per_line == 0 && !testing::Test::HasFailure())
      std::cout << "seeds " << first << " to " << seed << " keep the promise" << std::endl;
  }
}

constexpr std::uint64_t seeds_per_test = 1'000;
class seeds : public testing::TestWithParam<std::uint64_t> {};
TEST_P(seeds, keep_the_promise) { expect_range_kept(1 + GetParam() * seeds_per_test, seeds_per_test); }
INSTANTIATE_TEST_SUITE_P(simulation, seeds, testing::Range<std::uint64_t>(0, 8));

TEST(simulation, kept_seeds_keep_the_promise) {
  std::ifstream file(ROWCALL_SIMULATION_DIR "/kept_seeds.txt");
  ASSERT_TRUE(file) << "no kept_seeds.txt";
  int count = 0;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line.front() == '#') continue;
    expect_kept(std::stoull(line));
    ++count;
  }
  EXPECT_GT(count, 0);
}

TEST(simulation, seeds_asked_for_keep_the_promise) {
  if (!seed_count) return;
  if (*seed_count == 0) return expect_all_kept(first_seed);
  if (prints_trace)
    for (auto seed = first_seed; seed < first_seed + *seed_count; ++seed)
      std::cout << simulate_watched({seed, deliberate_bug::none, true}).trace;
  expect_range_kept(first_seed, *seed_count);
}

TEST(simulation, a_seed_gives_the_same_trace_again) {
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    const auto first = simulate_watched({seed, deliberate_bug::none, true});
    const auto second = simulate_watched({seed, deliberate_bug::none, true});
    ASSERT_FALSE(first.trace.empty());
    EXPECT_EQ(first.trace_hash, second.trace_hash);
    EXPECT_TRUE(first.trace == second.trace) << "seed " << seed;
  }
  EXPECT_NE(simulate_watched({1}).trace_hash, simulate_watched({2}).trace_hash);
}

TEST(simulation, the_seeds_reach_what_they_are_meant_to_reach) {
  report sum;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    const auto r = simulate_watched({seed});
    sum.faults += r.faults;
    sum.commands += r.commands;
    sum.turns += r.turns;
    sum.turns_aborted += r.turns_aborted;
    sum.takeovers += r.takeovers;
    sum.lost_wakes_found += r.lost_wakes_found;
    sum.turns_trusting += r.turns_trusting;
    sum.wakes_mistaken += r.wakes_mistaken;
    sum.deaths_by_command += r.deaths_by_command;
    sum.steps += r.steps;
    for (const auto& [name, count] : r.faults_by_name) sum.faults_by_name[name] += count;
  }
  for (const auto* name :
       {"connection lost before the submit's COMMIT", "connection lost after the submit's COMMIT", "died before its wake",
        "the server crashes before the flush", "connection lost in claim", "lock not granted", "slow fetch",
        "connection lost before COMMIT", "connection lost in COMMIT, which goes on", "connection lost after COMMIT",
        "in doubt, not committed", "serialization failure", "connection lost in heartbeat", "connection lost in sweep",
        "node killed", "node started again", "node stopped", "node stopped past its transaction's death",
        "all open turns dropped", "bus down or up", "wake lost", "wake doubled", "wake reordered", "wake late",
        "notice lost", "notice doubled", "a wake brings a wrong command", "clock jumps", "the server's clock jumps back",
        "the server's clock jumps forward", "module throws", "a command kills"})
    EXPECT_GT(sum.faults_by_name[name], 0u) << name;
  EXPECT_GT(sum.commands, 1'000u);
  EXPECT_GT(sum.faults, 1'000u);
  EXPECT_GT(sum.turns, 1'000u);
  EXPECT_GT(sum.turns_aborted, 100u);
  EXPECT_GT(sum.takeovers, 100u);
  EXPECT_GT(sum.lost_wakes_found, 40u);
  EXPECT_GT(sum.turns_trusting, 15u);
  EXPECT_GT(sum.wakes_mistaken, 0u);
  EXPECT_GT(sum.deaths_by_command, 40u);
  RecordProperty("steps", static_cast<int>(sum.steps));
  std::cout << sum.steps << " steps, " << sum.faults << " faults, " << sum.commands << " commands, " << sum.turns << " turns, "
            << sum.turns_aborted << " aborted, " << sum.takeovers << " takeovers, " << sum.lost_wakes_found << " lost wakes, "
            << sum.turns_trusting << " turns on a wake's word, " << sum.wakes_mistaken << " of them wrong, "
            << sum.deaths_by_command << " deaths by a command\n";
  for (const auto& [name, count] : sum.faults_by_name) std::cout << count << ' ' << name << '\n';
}

class bugs : public testing::TestWithParam<deliberate_bug> {};
TEST_P(bugs, are_found) {
  constexpr std::uint64_t seeds_max = 400;
  for (std::uint64_t seed = 1; seed <= seeds_max; ++seed)
    if (const auto r = simulate_watched({seed, GetParam()}); !r.violations.empty()) {
      std::cout << to_string(GetParam()) << ": found by seed " << seed << ": " << r.violations.front() << '\n';
      return;
    }
  FAIL() << to_string(GetParam()) << " was not found in " << seeds_max << " seeds";
}
INSTANTIATE_TEST_SUITE_P(simulation, bugs,
                         testing::Values(deliberate_bug::publish_before_commit, deliberate_bug::ack_before_commit,
                                         deliberate_bug::ack_before_flush,
                                         deliberate_bug::no_lock, deliberate_bug::lost_send, deliberate_bug::lost_row,
                                         deliberate_bug::doubled_submit, deliberate_bug::reversed_fetch,
                                         deliberate_bug::silent_commit_failure, deliberate_bug::no_sweep,
                                         deliberate_bug::cursor_off_by_one, deliberate_bug::trusting_follower,
                                         deliberate_bug::folded_claim, deliberate_bug::no_fence,
                                         deliberate_bug::believed_wake),
                         [](const auto& info) { return to_string(info.param); });

}  // namespace

/// `--seeds N --first S [--trace]`, or ROWCALL_SIMULATION_SEEDS and ROWCALL_SIMULATION_FIRST. No seeds are all from the first on.
bool read_options(int argc, char** argv) {
  if (const char* count = std::getenv("ROWCALL_SIMULATION_SEEDS")) seed_count = std::strtoull(count, nullptr, 10);
  if (const char* first = std::getenv("ROWCALL_SIMULATION_FIRST")) first_seed = std::strtoull(first, nullptr, 10);
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    if (name == "--trace") {
      prints_trace = true;
    } else if ((name == "--seeds" || name == "--first") && i + 1 < argc) {
      const auto number = std::strtoull(argv[++i], nullptr, 10);
      name == "--seeds" ? seed_count = number : first_seed = number;
    } else {
      std::cerr << "unknown option " << name << ": --seeds N, --first S, --trace\n";
      return false;
    }
  }
  if (argc > 1 && seed_count) testing::GTEST_FLAG(filter) = "simulation.seeds_asked_for*";
  return true;
}

}  // namespace rowcall::simulation

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (!rowcall::simulation::read_options(argc, argv)) return 2;
  return RUN_ALL_TESTS();
}
