#include "tools/loadgen/distributions.hpp"

#include <cmath>
#include <vector>

#include <gtest/gtest.h>

namespace rowcall::tools::loadgen {
namespace {

std::vector<double> shares(const char* text, std::size_t keys, int draws) {
  auto chooser = *key_chooser::parse(text, keys);
  random_source random(11);
  std::vector<double> count(keys);
  for (int i = 0; i < draws; ++i) count.at(chooser.next(random)) += 1.0 / draws;
  return count;
}

class zipf_shares : public ::testing::TestWithParam<double> {};

TEST_P(zipf_shares, match_the_definition) {
  const double exponent = GetParam();
  constexpr std::size_t n = 1000;
  double sum = 0;
  for (std::size_t k = 1; k <= n; ++k) sum += std::pow(static_cast<double>(k), -exponent);
  zipf z(n, exponent);
  random_source random(5);
  constexpr int draws = 400'000;
  std::vector<int> count(n + 1);
  for (int i = 0; i < draws; ++i) ++count.at(z(random));
  EXPECT_EQ(count[0], 0);
  for (const std::size_t k : {1u, 2u, 3u, 10u, 100u}) {
    const double expected = draws * std::pow(static_cast<double>(k), -exponent) / sum;
    EXPECT_NEAR(count[k], expected, 5 * std::sqrt(expected) + 1) << k;
  }
}

INSTANTIATE_TEST_SUITE_P(exponents, zipf_shares, ::testing::Values(0.5, 0.99, 1.0, 1.01, 2.0));

TEST(key_chooser, zipf_works_for_one_key_and_for_a_billion) {
  random_source random(1);
  zipf one(1, 1.0), many(1'000'000'000, 1.0);
  for (int i = 0; i < 10'000; ++i) {
    ASSERT_EQ(one(random), 1u);
    const auto k = many(random);
    ASSERT_GE(k, 1u);
    ASSERT_LE(k, 1'000'000'000u);
  }
}

TEST(key_chooser, uniform_is_uniform) {
  for (const double s : shares("uniform", 10, 100'000)) EXPECT_NEAR(s, 0.1, 0.01);
}

TEST(key_chooser, hot_gives_one_session_its_share) {
  const auto s = shares("hot:0.7", 4, 100'000);
  EXPECT_NEAR(s[0], 0.7, 0.01);
  for (int i = 1; i < 4; ++i) EXPECT_NEAR(s[static_cast<std::size_t>(i)], 0.1, 0.01);
}

TEST(key_chooser, sequential_takes_turns) {
  auto chooser = *key_chooser::parse("sequential", 3);
  random_source random(1);
  for (const std::size_t expected : {0u, 1u, 2u, 0u, 1u}) EXPECT_EQ(chooser.next(random), expected);
}

TEST(key_chooser, nonsense_is_refused) {
  for (const char* text : {"", "zipf:0", "zipf:x", "hot:2", "uniform:3", "nobody"})
    EXPECT_FALSE(key_chooser::parse(text, 10).has_value()) << text;
  EXPECT_FALSE(key_chooser::parse("uniform", 0).has_value());
}

TEST(size_distribution, sizes_are_what_was_asked_for) {
  random_source random(1);
  const auto mean = [&](const char* text) {
    const auto d = *size_distribution::parse(text);
    double sum = 0;
    for (int i = 0; i < 100'000; ++i) sum += static_cast<double>(d.next(random)) / 100'000;
    return sum;
  };
  EXPECT_EQ(mean("80"), mean("80"));
  EXPECT_NEAR(mean("80"), 80, 0.001);
  EXPECT_NEAR(mean("50..150"), 100, 1);
  EXPECT_NEAR(mean("lognormal:100,0.5"), 100 * std::exp(0.125) - 0.5, 1.5);
  EXPECT_NEAR(mean("exponential:100"), 99.5, 1.5);
}

TEST(size_distribution, nonsense_is_refused) {
  for (const char* text : {"", "-1", "5..1", "x", "lognormal:5", "1e99", "exponential:"})
    EXPECT_FALSE(size_distribution::parse(text).has_value()) << text;
}

}  // namespace
}  // namespace rowcall::tools::loadgen
