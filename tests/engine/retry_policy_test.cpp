#include "engine/retry_policy.hpp"

#include <gmock/gmock.h>

#include <set>

using namespace rowcall::engine;
using namespace std::chrono_literals;

namespace {

const session_id room = *session_id::parse("chat-1");

TEST(retry_policy_wait, doubles_from_the_base_within_half_and_whole) {
  const retry_policy policy{10, 100ms, 60s};
  auto whole = 100ms;
  for (int attempts = 1; attempts <= 9; ++attempts, whole *= 2) {
    const auto wait = policy.wait_after(attempts, room, {1});
    EXPECT_GE(wait, whole / 2) << attempts;
    EXPECT_LE(wait, whole) << attempts;
  }
}

TEST(retry_policy_wait, never_exceeds_its_maximum) {
  const retry_policy policy{10, 100ms, 1s};
  for (int attempts : {5, 40, 1'000'000}) {
    EXPECT_LE(policy.wait_after(attempts, room, {1}), 1s);
    EXPECT_GE(policy.wait_after(attempts, room, {1}), 500ms);
  }
  EXPECT_LE((retry_policy{10, 5s, 1s}.wait_after(1, room, {1})), 1s);
}

TEST(retry_policy_wait, is_the_same_for_the_same_arguments) {
  const retry_policy policy;
  EXPECT_EQ(policy.wait_after(3, room, {7}), policy.wait_after(3, room, {7}));
}

TEST(retry_policy_wait, spreads_sessions_that_failed_together) {
  const retry_policy policy{10, 1s, 60s};
  std::set<std::chrono::milliseconds> waits;
  int early = 0;
  for (int i = 0; i < 1000; ++i) {
    const auto wait = policy.wait_after(1, *session_id::parse("chat-" + std::to_string(i)), {1});
    waits.insert(wait);
    early += wait < 750ms;
  }
  EXPECT_GT(waits.size(), 300u);
  EXPECT_GT(early, 400);
  EXPECT_LT(early, 600);
}

}  // namespace
