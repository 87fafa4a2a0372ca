#include "tools/rowcall/log_limiter.hpp"

#include <gtest/gtest.h>

namespace rowcall::tools {
namespace {

using namespace std::chrono_literals;

struct log_limiter_test : ::testing::Test {
  log_limiter limiter{{.lines_max = 3, .period = 10s, .keys_max = 2}};
  log_limiter::time_point start{1h};

  int admitted(std::string_view key, int lines, std::chrono::milliseconds at) {
    int count = 0;
    for (int i = 0; i < lines; ++i) count += limiter.admits(key, start + at) ? 1 : 0;
    return count;
  }
};

TEST_F(log_limiter_test, admits_the_first_lines_of_a_period_and_those_of_the_next) {
  EXPECT_EQ(admitted("a", 10, 0s), 3);
  EXPECT_EQ(admitted("a", 10, 9'999ms), 0);
  EXPECT_EQ(admitted("a", 10, 10s), 3);
}

TEST_F(log_limiter_test, limits_each_key_by_itself) {
  EXPECT_EQ(admitted("a", 10, 0s), 3);
  EXPECT_EQ(admitted("b", 2, 0s), 2);
}

TEST_F(log_limiter_test, tells_what_was_left_out_once_when_the_period_has_ended) {
  admitted("a", 10, 0s);
  EXPECT_TRUE(limiter.take_ended(start + 9s).empty());
  const auto ended = limiter.take_ended(start + 10s);
  ASSERT_EQ(ended.size(), 1u);
  EXPECT_EQ(ended[0].key, "a");
  EXPECT_EQ(ended[0].count, 7u);
  EXPECT_TRUE(limiter.take_ended(start + 30s).empty());
}

TEST_F(log_limiter_test, keeps_the_count_of_a_period_that_a_new_line_has_ended) {
  admitted("a", 10, 0s);
  admitted("a", 4, 20s);
  const auto ended = limiter.take_ended(start + 20s);
  ASSERT_EQ(ended.size(), 1u);
  EXPECT_EQ(ended[0].count, 7u) << "the one line left out of the second period comes at its end";
  EXPECT_EQ(limiter.take_all().at(0).count, 1u);
}

TEST_F(log_limiter_test, a_flood_of_different_keys_shares_one_limit) {
  admitted("a", 1, 0s);
  admitted("b", 1, 0s);
  int count = 0;
  for (int i = 0; i < 100; ++i) count += limiter.admits("other" + std::to_string(i), start) ? 1 : 0;
  EXPECT_EQ(count, 3);
  const auto left = limiter.take_all();
  ASSERT_EQ(left.size(), 1u);
  EXPECT_EQ(left[0].key, "");
  EXPECT_EQ(left[0].count, 97u);
}

TEST_F(log_limiter_test, admits_one_line_in_a_period_of_what_a_loop_repeats_and_counts_none_of_the_others) {
  EXPECT_TRUE(limiter.admits_one("a", start));
  EXPECT_FALSE(limiter.admits_one("a", start + 9'999ms));
  EXPECT_TRUE(limiter.admits_one("b", start)) << "something new";
  EXPECT_TRUE(limiter.admits_one("a", start + 10s));
  EXPECT_TRUE(limiter.take_all().empty());
}

TEST_F(log_limiter_test, without_a_limit_admits_all) {
  limiter = log_limiter{{.lines_max = 0}};
  EXPECT_EQ(admitted("a", 1'000, 0s), 1'000);
  EXPECT_TRUE(limiter.admits_one("b", start) && limiter.admits_one("b", start));
}

}  // namespace
}  // namespace rowcall::tools
