#include <gtest/gtest.h>

#include <iostream>
#include <optional>
#include <string>

#include "tests/simulation/simulation.hpp"

/// Runs on copies of the engine's sources in which lines can be broken (broken_lines.txt).
namespace rowcall::simulation {
namespace {

constexpr std::uint64_t seeds_max = 400;

/// The first seed that finds it, in words.
std::optional<std::string> find(const std::set<std::string_view>& lines) {
  for (std::uint64_t seed = 1; seed <= seeds_max; ++seed) {
    options o{seed};
    o.broken = lines;
    if (const auto r = simulate_watched(o); !r.violations.empty())
      return "seed " + std::to_string(seed) + ": " + r.violations.front();
  }
  return std::nullopt;
}

std::string text_of(const std::set<std::string_view>& lines) {
  std::string text;
  for (const auto line : lines) text += (text.empty() ? "" : "_and_") + std::string(line);
  return text;
}

class line : public testing::TestWithParam<std::string_view> {};
TEST_P(line, broken_is_found) {
  const auto found = find({GetParam()});
  ASSERT_TRUE(found) << "not in " << seeds_max << " seeds";
  std::cout << GetParam() << ": " << *found << '\n';
}
INSTANTIATE_TEST_SUITE_P(simulation, line,
                         testing::Values("abort_keeps_cursor", "armed_not_counted", "dirty_flag", "image_not_loaded",
                                         "lost_shards_keep_cursors", "nothing_armed", "one_key_for_all_sends",
                                         "shard_in_two_turns", "takeover_in_the_turn", "takeover_keeps_cursors"),
                         [](const auto& info) { return std::string(info.param); });

/// A line that is missed only when others are broken as well.
struct second_line {
  std::string_view name;
  std::set<std::string_view> others;
  friend void PrintTo(const second_line& line, std::ostream* to) { *to << line.name; }
};
class second : public testing::TestWithParam<second_line> {};
TEST_P(second, line_is_missed_when_the_first_is_broken) {
  auto all = GetParam().others;
  all.insert(GetParam().name);
  const auto found = find(all);
  ASSERT_TRUE(found) << "not in " << seeds_max << " seeds";
  std::cout << text_of(all) << ": " << *found << '\n';
}
TEST_P(second, line_is_not_missed_otherwise) { EXPECT_EQ(find({GetParam().name}), std::nullopt); }
INSTANTIATE_TEST_SUITE_P(simulation, second,
                         testing::Values(second_line{"cursor_not_compared", {"image_not_loaded", "seqs_not_compared"}},
                                         second_line{"forget_after_abort", {"image_not_loaded", "nothing_compared"}},
                                         second_line{"nothing_compared", {"image_not_loaded"}},
                                         second_line{"seqs_not_compared", {"cursor_not_compared", "image_not_loaded"}}),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace rowcall::simulation
