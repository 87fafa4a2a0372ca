#include "gateway/access.hpp"

#include <gtest/gtest.h>

#include "gateway/internal/chat_rules.hpp"

namespace rowcall::gateway {
namespace {

engine::session_id id(const char* text) { return *engine::session_id::parse(text); }

TEST(access, a_pattern_is_a_session_or_a_prefix_of_at_least_a_kind) {
  EXPECT_TRUE(is_valid_pattern("user-ann"));
  EXPECT_TRUE(is_valid_pattern("echo-*"));
  EXPECT_TRUE(is_valid_pattern("chat-team-*"));
  for (const auto* bad : {"*", "", "chat*", "ch*at-x", "user-*-x", "-*", "user ann"})
    EXPECT_FALSE(is_valid_pattern(bad)) << bad;
}

TEST(access, a_prefix_matches_what_goes_on_after_it) {
  EXPECT_TRUE(matches("echo-*", "echo-1"));
  EXPECT_FALSE(matches("echo-*", "echo-"));
  EXPECT_FALSE(matches("echo-*", "echox-1"));
  EXPECT_TRUE(matches("user-ann", "user-ann"));
  EXPECT_FALSE(matches("user-ann", "user-anna"));
}

TEST(access, a_user_follows_his_session_and_the_chats_he_is_a_member_of) {
  identity ann{"ann", {"user-ann"}, {"user-ann"}};
  EXPECT_EQ(may_follow(ann, id("user-ann")), permission::granted);
  EXPECT_EQ(may_follow(ann, id("user-bob")), permission::denied);
  EXPECT_EQ(may_follow(ann, id("chat-1")), permission::if_member);
  EXPECT_EQ(may_follow(ann, id("echo-1")), permission::denied);
  EXPECT_TRUE(may_submit(ann, id("user-ann")));
  EXPECT_FALSE(may_submit(ann, id("chat-1")));
}

TEST(access, a_token_that_does_not_name_the_users_session_opens_no_chats) {
  identity narrow{"ann", {"echo-1"}, {"echo-1"}};
  EXPECT_EQ(may_follow(narrow, id("chat-1")), permission::denied);
  identity service{"", {}, {"chat-*"}};
  EXPECT_EQ(may_follow(service, id("chat-1")), permission::granted);
}

TEST(chat_rules, the_sender_of_a_chats_command_is_the_bearer) {
  engine::json::parser parser;
  identity ann{"ann", {"chat-1"}, {}};
  const auto data = parser.parse(R"({"text":"hi","sender":"bob","request":1})");
  EXPECT_EQ(*internal::command_data(ann, id("chat-1"), "post_message", *data), R"({"text":"hi","sender":"ann"})");
  EXPECT_EQ(*internal::command_data(ann, id("echo-1"), "say", *data), R"({"text":"hi","sender":"bob","request":1})");
  identity service{"", {"chat-1"}, {}};
  EXPECT_FALSE(internal::command_data(service, id("chat-1"), "post_message", *data));
}

TEST(chat_rules, what_only_chats_send_is_not_taken_from_outside) {
  engine::json::parser parser;
  const auto data = parser.parse("{}");
  identity ann{"ann", {"user-ann"}, {}};
  for (const auto* type : {"chat_joined", "chat_left", "request_refused"})
    EXPECT_FALSE(internal::command_data(ann, id("user-ann"), type, *data)) << type;
  EXPECT_TRUE(internal::command_data(ann, id("user-ann"), "join_chat", *data));
}

TEST(chat_rules, a_chats_update_tells_who_left) {
  engine::update_row left{{5}, {3}, "member_left", R"({"chat_id":"chat-1","user_id":"bob"})"};
  EXPECT_EQ(internal::member_left_by(id("chat-1"), left), "bob");
  EXPECT_EQ(internal::member_left_by(id("user-x"), left), "");
  left.type = "member_joined";
  EXPECT_EQ(internal::member_left_by(id("chat-1"), left), "");
}

}  // namespace
}  // namespace rowcall::gateway
