#include "tools/loadgen/histogram.hpp"

#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>

#include "tools/loadgen/random_source.hpp"

namespace rowcall::tools::loadgen {
namespace {

using ns = histogram::duration;

TEST(histogram, every_value_lies_in_its_step_and_the_step_is_narrow) {
  random_source random(1);
  for (int i = 0; i < 200'000; ++i) {
    const ns v{static_cast<std::int64_t>(std::exp(random.unit() * std::log(3.6e12)))};
    const auto index = histogram::index_of(v);
    ASSERT_LE(histogram::lowest_of(index), v);
    ASSERT_GE(histogram::highest_of(index), v);
    ASSERT_LE((histogram::highest_of(index) - histogram::lowest_of(index)).count() * 1000, v.count());
  }
}

TEST(histogram, steps_follow_each_other_without_holes) {
  for (std::uint32_t i = 0; i + 1 < histogram::size(); ++i)
    ASSERT_EQ(histogram::highest_of(i) + ns{1}, histogram::lowest_of(i + 1)) << i;
  EXPECT_LT(histogram::index_of(histogram::value_max), histogram::size());
}

TEST(histogram, percentiles_agree_with_sorting_to_three_digits) {
  random_source random(7);
  histogram h;
  std::vector<std::int64_t> all;
  for (int i = 0; i < 100'000; ++i) {
    const auto v = static_cast<std::int64_t>(1e6 * std::exp(1.5 * random.normal()));
    all.push_back(v);
    h.record(ns{v});
  }
  std::sort(all.begin(), all.end());
  for (const double p : {0.0, 1.0, 50.0, 90.0, 99.0, 99.9, 99.99, 100.0}) {
    const auto rank = std::max<std::size_t>(1, static_cast<std::size_t>(std::ceil(p / 100 * 1e5 - 1e-6)));
    const auto exact = static_cast<double>(all[rank - 1]);
    EXPECT_NEAR(static_cast<double>(h.percentile(p).count()), exact, exact / 1000 + 1) << p;
    EXPECT_GE(h.percentile(p).count(), all[rank - 1]) << p;
  }
}

TEST(histogram, one_in_ten_thousand_shows_at_its_percentile_and_not_below) {
  histogram h;
  h.record(std::chrono::milliseconds{1}, 99'989);
  h.record(std::chrono::seconds{1}, 11);
  EXPECT_LT(h.percentile(99.9), std::chrono::milliseconds{2});
  EXPECT_EQ(h.percentile(99.99), std::chrono::seconds{1});
}

TEST(histogram, percentile_never_exceeds_the_exact_maximum) {
  histogram h;
  h.record(ns{1'000'001});
  EXPECT_EQ(h.percentile(50).count(), 1'000'001);
  EXPECT_EQ(h.percentile(100).count(), 1'000'001);
}

TEST(histogram, values_outside_count_at_the_ends) {
  histogram h;
  h.record(ns{-5});
  h.record(std::chrono::hours{5});
  EXPECT_EQ(h.min().count(), 0);
  EXPECT_EQ(h.max(), std::chrono::hours{5});
  EXPECT_EQ(h.percentile(100), std::chrono::hours{5});
  EXPECT_EQ(h.count(), 2u);
}

TEST(histogram, an_empty_one_has_only_zeros) {
  const histogram h;
  EXPECT_EQ(h.percentile(99).count(), 0);
  EXPECT_EQ(h.mean().count(), 0);
  EXPECT_TRUE(h.steps().empty());
}

TEST(histogram, merging_equals_recording_into_one) {
  random_source random(3);
  histogram a, b, both;
  for (int i = 0; i < 10'000; ++i) {
    const ns v{static_cast<std::int64_t>(random.below(1'000'000'000))};
    (i % 3 == 0 ? a : b).record(v);
    both.record(v);
  }
  a.add(b);
  EXPECT_EQ(a.steps(), both.steps());
  EXPECT_EQ(a.min(), both.min());
  EXPECT_EQ(a.max(), both.max());
  EXPECT_EQ(a.count(), both.count());
  a.add(histogram{});
  EXPECT_EQ(a.min(), both.min());
}

TEST(histogram, steps_bring_back_the_same_histogram) {
  histogram h;
  for (std::int64_t v : {0, 1, 2047, 2048, 99'999, 1'234'567'890}) h.record(ns{v}, 3);
  const auto back = histogram::from_steps(h.steps(), h.min(), h.max(), h.sum_ns());
  ASSERT_TRUE(back.has_value());
  EXPECT_EQ(back->steps(), h.steps());
  EXPECT_EQ(back->percentile(99), h.percentile(99));
  EXPECT_EQ(back->mean(), h.mean());
}

TEST(histogram, steps_that_contradict_themselves_are_refused) {
  EXPECT_FALSE(histogram::from_steps({{histogram::size(), 1}}, ns{0}, ns{0}, 0).has_value());
  EXPECT_FALSE(histogram::from_steps({{5, 1}}, ns{0}, ns{5}, 5).has_value());
  EXPECT_FALSE(histogram::from_steps({{5, 1}}, ns{5}, ns{99}, 5).has_value());
}

}  // namespace
}  // namespace rowcall::tools::loadgen
