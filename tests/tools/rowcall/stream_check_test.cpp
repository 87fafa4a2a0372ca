#include "tools/rowcall/stream_check.hpp"

#include <gtest/gtest.h>

namespace rowcall::tools {
namespace {

engine::update_row update(std::int64_t seq, std::int64_t command) { return {{seq}, {command}, "echo", "{}", {}}; }

stream_check::counts check(std::vector<engine::update_row> updates, std::uint32_t commands) {
  stream_check c{1};
  c.take(0, updates);
  return c.result(std::vector<std::uint32_t>{commands});
}

TEST(stream_check, finds_nothing_in_a_clean_stream) {
  const auto counts = check({update(1, 1), update(2, 2), update(3, 3)}, 3);
  EXPECT_TRUE(counts.is_clean());
  EXPECT_EQ(counts.updates, 3u);
}

TEST(stream_check, counts_a_lost_answer) { EXPECT_EQ(check({update(1, 1)}, 3).lost, 2u); }

TEST(stream_check, counts_an_answer_lost_in_the_middle) { EXPECT_EQ(check({update(1, 1), update(2, 3)}, 3).lost, 1u); }

TEST(stream_check, counts_an_update_that_came_twice) {
  EXPECT_EQ(check({update(1, 1), update(1, 1)}, 1).duplicated, 1u);
}

TEST(stream_check, counts_a_command_that_was_answered_twice) {
  EXPECT_EQ(check({update(1, 1), update(2, 1)}, 1).duplicated, 1u);
}

TEST(stream_check, counts_what_came_late) {
  const auto counts = check({update(2, 2), update(1, 1)}, 2);
  EXPECT_EQ(counts.reordered, 1u);
  EXPECT_EQ(counts.gaps, 0u);
}

TEST(stream_check, counts_answers_in_another_order_than_the_commands) {
  EXPECT_EQ(check({update(1, 2), update(2, 1)}, 2).reordered, 1u);
}

TEST(stream_check, counts_each_number_that_was_left_out) { EXPECT_EQ(check({update(1, 1), update(4, 2)}, 2).gaps, 2u); }

TEST(stream_check, keeps_the_sessions_apart) {
  stream_check c{2};
  c.take(0, std::vector{update(1, 1)});
  c.take(1, std::vector{update(1, 1)});
  EXPECT_TRUE(c.result(std::vector<std::uint32_t>{1, 1}).is_clean());
}

}  // namespace
}  // namespace rowcall::tools
