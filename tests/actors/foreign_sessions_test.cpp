#include "actors/internal/foreign_sessions.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace rowcall::actors::internal {
namespace {

engine::session_id id(int n) { return engine::session_id::parse("echo-" + std::to_string(n)).value(); }

struct foreign_sessions_test : testing::Test {
  foreign_sessions sessions{3, 2, 4};
};

TEST_F(foreign_sessions_test, a_session_is_left_lying_after_some_sweeps_without_progress) {
  EXPECT_FALSE(sessions.is_left_lying(id(1), {7}, 1));
  EXPECT_FALSE(sessions.is_left_lying(id(1), {7}, 2));
  EXPECT_TRUE(sessions.is_left_lying(id(1), {7}, 3));
  EXPECT_FALSE(sessions.is_left_lying(id(1), {7}, 4)) << "it counts anew";
}

TEST_F(foreign_sessions_test, progress_starts_the_count_again) {
  for (std::int64_t n = 0; n < 10; ++n)
    EXPECT_FALSE(sessions.is_left_lying(id(1), {n / 2}, static_cast<std::uint64_t>(n)));
}

TEST_F(foreign_sessions_test, what_was_seen_once_and_never_again_makes_room_for_what_is_left_lying) {
  for (int n = 1; n <= 2; ++n) EXPECT_FALSE(sessions.is_left_lying(id(n), {}, 1));
  for (std::uint64_t sweep = 2; sweep <= 5; ++sweep)
    EXPECT_FALSE(sessions.is_left_lying(id(3), {}, sweep))
        << "the others may come again: a sweep looks at some of many only";
  EXPECT_FALSE(sessions.is_left_lying(id(3), {}, 6));
  EXPECT_FALSE(sessions.is_left_lying(id(3), {}, 7));
  EXPECT_TRUE(sessions.is_left_lying(id(3), {}, 8));
}

TEST_F(foreign_sessions_test, what_is_pending_all_the_time_is_not_pushed_out) {
  std::set<int> lying;
  for (std::uint64_t sweep = 1; sweep <= 4; ++sweep)
    for (int n = 1; n <= 3; ++n)
      if (sessions.is_left_lying(id(n), {}, sweep)) lying.insert(n);
  EXPECT_EQ(lying, (std::set<int>{1, 2}));
}

}  // namespace
}  // namespace rowcall::actors::internal
