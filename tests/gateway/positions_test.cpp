#include "gateway/internal/positions.hpp"

#include <gtest/gtest.h>

namespace rowcall::gateway::internal {
namespace {

std::vector<stream_place> places() {
  return *read_places({{"session", "user-ann:17"}, {"x", "y"}, {"session", "chat-1:end"}, {"session", "chat-2"}}, 10);
}

TEST(positions, a_url_names_sessions_and_where_to_start) {
  const auto p = places();
  ASSERT_EQ(p.size(), 3u);
  EXPECT_EQ(p[0].after, 17);
  EXPECT_EQ(p[1].after, at_end);
  EXPECT_EQ(p[2].after, 0);
}

TEST(positions, a_url_that_can_not_be_read_is_refused) {
  for (const auto* bad :
       {"", "nodash", "chat-1:", "chat-1:x", "chat-1:-5", "chat-1:5:6", "chat-1:99999999999999999999"})
    EXPECT_FALSE(read_places({{"session", bad}}, 10)) << bad;
  EXPECT_FALSE(read_places({}, 10));
  EXPECT_FALSE(read_places({{"session", "chat-1"}, {"session", "chat-1:5"}}, 10));
  EXPECT_FALSE(read_places({{"session", "chat-1"}, {"session", "chat-2"}}, 1));
}

TEST(positions, an_event_id_moves_the_places_that_it_names) {
  auto p = places();
  ASSERT_TRUE(apply_event_id("1:120,0:18", p));
  EXPECT_EQ(p[0].after, 18);
  EXPECT_EQ(p[1].after, 120);
  EXPECT_EQ(p[2].after, 0);
  EXPECT_TRUE(apply_event_id("", p));
}

TEST(positions, an_event_id_of_another_stream_is_refused) {
  for (const auto* bad : {"3:1", "x", "0", "0:", "0:-1", ":5", "-1:5", "0:1;1:2", ","}) {
    auto p = places();
    EXPECT_FALSE(apply_event_id(bad, p)) << bad;
  }
}

}  // namespace
}  // namespace rowcall::gateway::internal
