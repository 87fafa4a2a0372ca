#include "gateway/internal/limits.hpp"

#include <gtest/gtest.h>

namespace rowcall::gateway::internal {
namespace {

using namespace std::chrono_literals;

TEST(rate_limit, gives_the_burst_then_the_rate_to_each_by_himself) {
  rate_limit rate{10, 5};
  const rate_limit::time_point start{};
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(rate.take("ann", 1, start));
  EXPECT_FALSE(rate.take("ann", 1, start));
  EXPECT_TRUE(rate.take("bob", 5, start));
  EXPECT_FALSE(rate.take("ann", 1, start + 90ms));
  EXPECT_TRUE(rate.take("ann", 1, start + 110ms));
  EXPECT_FALSE(rate.take("ann", 6, start + 1h));
}

TEST(rate_limit, forgets_the_idle) {
  rate_limit rate{10, 5};
  const rate_limit::time_point start{};
  rate.take("ann", 5, start);
  rate.tidy(start + 100ms);
  EXPECT_EQ(rate.size(), 1u);
  rate.tidy(start + 1s);
  EXPECT_EQ(rate.size(), 0u);
}

}  // namespace
}  // namespace rowcall::gateway::internal
