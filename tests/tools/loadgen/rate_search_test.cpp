#include "tools/loadgen/rate_search.hpp"

#include <gtest/gtest.h>

namespace rowcall::tools::loadgen {
namespace {

int search(rate_search& s, double limit) {
  int steps = 0;
  while (const auto rate = s.next()) {
    s.tell(*rate <= limit);
    ++steps;
  }
  return steps;
}

TEST(rate_search, finds_the_limit_from_below_and_from_above) {
  for (const double first : {100.0, 100'000.0}) {
    rate_search s(first, 0.05, 40);
    EXPECT_LT(search(s, 7321), 20);
    ASSERT_TRUE(s.best().has_value());
    EXPECT_LE(*s.best(), 7321);
    EXPECT_GT(*s.best(), 7321 * 0.94);
  }
}

TEST(rate_search, gives_up_when_nothing_holds) {
  rate_search s(1000);
  search(s, 0);
  EXPECT_FALSE(s.best().has_value());
}

TEST(rate_search, ends_when_everything_holds) {
  rate_search s(1000, 0.05, 100);
  search(s, 1e12);
  EXPECT_GT(*s.best(), 1e6);
}

TEST(rate_search, a_step_is_judged_by_findings_errors_rate_and_bound) {
  report r;
  r.duration_s = 10;
  r.count.followed = 1000;
  r.latency.record(std::chrono::milliseconds{5}, 1000);
  EXPECT_TRUE(judge(100, r, {}).held);
  EXPECT_FALSE(judge(200, r, {}).held);
  EXPECT_FALSE(judge(100, r, {.p99_ms = 4}).held);
  r.count.errors = 1;
  EXPECT_FALSE(judge(100, r, {}).held);
  r.count.errors = 0;
  r.found.lost = 1;
  EXPECT_FALSE(judge(100, r, {}).held);
}

}  // namespace
}  // namespace rowcall::tools::loadgen
