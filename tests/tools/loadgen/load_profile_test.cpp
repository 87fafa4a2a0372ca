#include "tools/loadgen/load_profile.hpp"

#include <cmath>

#include <gtest/gtest.h>

namespace rowcall::tools::loadgen {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

std::vector<nanoseconds> all(const load_profile& p, arrival_kind kind, std::uint64_t seed = 1, std::size_t burst = 1) {
  arrivals a(p, kind, random_source(seed), burst);
  std::vector<nanoseconds> out;
  while (const auto t = a.next()) out.push_back(*t);
  return out;
}

TEST(load_profile, stages_are_read) {
  const auto s = parse_stages("10s@1000,500ms@100..5000");
  ASSERT_TRUE(s.has_value());
  ASSERT_EQ(s->size(), 2u);
  EXPECT_EQ((*s)[0].duration, seconds{10});
  EXPECT_EQ((*s)[0].rate_to, 1000);
  EXPECT_EQ((*s)[1].duration, milliseconds{500});
  EXPECT_EQ((*s)[1].rate_from, 100);
  EXPECT_EQ((*s)[1].rate_to, 5000);
}

TEST(load_profile, nonsense_is_refused) {
  for (const char* text : {"", "10s", "@5", "10@5", "10s@", "10s@x", "10s@-1", "0s@5", "10s@5,", "10s@1..", "10x@1", "10s@1e99"})
    EXPECT_FALSE(parse_stages(text).has_value()) << text;
  for (const char* text : {"", "5", "s", "-1s", "1.2.3s", "99999999h"}) EXPECT_FALSE(parse_duration(text).has_value()) << text;
}

TEST(load_profile, a_fixed_rate_is_evenly_spaced_and_whole) {
  const load_profile p({{seconds{10}, 1000, 1000}});
  const auto t = all(p, arrival_kind::fixed);
  ASSERT_EQ(t.size(), 10'000u);
  for (std::size_t i = 0; i < t.size(); ++i) ASSERT_NEAR(static_cast<double>(t[i].count()), static_cast<double>(i) * 1e6, 1);
}

TEST(load_profile, a_ramp_gives_the_area_under_it) {
  const load_profile p({{seconds{10}, 0, 1000}});
  const auto t = all(p, arrival_kind::fixed);
  ASSERT_EQ(t.size(), 5000u);
  // Half the time has a quarter of the commands.
  const auto half = std::count_if(t.begin(), t.end(), [](nanoseconds x) { return x < seconds{5}; });
  EXPECT_NEAR(static_cast<double>(half), 1250, 1);
  EXPECT_TRUE(std::is_sorted(t.begin(), t.end()));
}

TEST(load_profile, a_ramp_down_ends_in_nothing) {
  const load_profile p({{seconds{10}, 1000, 0}});
  const auto t = all(p, arrival_kind::fixed);
  ASSERT_EQ(t.size(), 5000u);
  EXPECT_NEAR(static_cast<double>(std::count_if(t.begin(), t.end(), [](nanoseconds x) { return x < seconds{5}; })), 3750, 1);
  EXPECT_LE(t.back(), seconds{10});
}

TEST(load_profile, a_pause_between_stages_stays_empty) {
  const load_profile p({{seconds{1}, 10, 10}, {seconds{5}, 0, 0}, {seconds{1}, 10, 10}});
  const auto t = all(p, arrival_kind::fixed);
  ASSERT_EQ(t.size(), 20u);
  EXPECT_LT(t[9], seconds{1});
  EXPECT_EQ(t[10], seconds{6});
  EXPECT_EQ(p.stage_at(seconds{3}), 1u);
  EXPECT_EQ(p.stage_at(seconds{99}), 2u);
}

TEST(load_profile, poisson_gaps_have_mean_and_deviation_of_an_exponential) {
  const load_profile p({{seconds{100}, 1000, 1000}});
  const auto t = all(p, arrival_kind::poisson);
  EXPECT_NEAR(static_cast<double>(t.size()), 100'000, 1500);
  double sum = 0, squares = 0;
  for (std::size_t i = 1; i < t.size(); ++i) {
    const double gap = static_cast<double>((t[i] - t[i - 1]).count()) * 1e-6;
    sum += gap;
    squares += gap * gap;
  }
  const double n = static_cast<double>(t.size() - 1), mean = sum / n, deviation = std::sqrt(squares / n - mean * mean);
  EXPECT_NEAR(mean, 1, 0.02);
  EXPECT_NEAR(deviation, 1, 0.03);
  EXPECT_EQ(all(p, arrival_kind::poisson), t);
  EXPECT_NE(all(p, arrival_kind::poisson, 2), t);
}

TEST(load_profile, bursts_come_together_and_keep_the_rate) {
  const load_profile p({{seconds{10}, 100, 100}});
  const auto t = all(p, arrival_kind::burst, 1, 250);
  ASSERT_EQ(t.size(), 1000u);
  EXPECT_EQ(t[0], t[249]);
  EXPECT_EQ(t[250], milliseconds{2500});
}

}  // namespace
}  // namespace rowcall::tools::loadgen
