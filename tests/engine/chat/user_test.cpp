#include "engine/chat/user.hpp"

#include <gmock/gmock.h>

#include "tests/engine/world.hpp"

using namespace rowcall::engine;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

namespace {

/// Users who speak through their own sessions; ann has created chat-1.
class user_test : public testing::Test {
 protected:
  user_test() { submit("ann", "create_chat", R"({"chat_id":"chat-1","name":"Tea"})"); }

  /// The last update of the user after the command and all that follows from it.
  std::string submit(const std::string& user, const std::string& type, const std::string& data) {
    world_.submit("user-" + user, type, data);
    return world_.updates_of("user-" + user).back();
  }
  std::string last_of(std::string_view id) { return world_.updates_of(id).back(); }

  world world_;
};

TEST_F(user_test, creates_a_chat_and_is_its_first_member) {
  EXPECT_THAT(world_.updates_of("user-ann"),
              ElementsAre(R"(request_sent {"chat_id":"chat-1","request":1,"type":"create_chat"})",
                          R"(chat_joined {"chat_id":"chat-1","name":"Tea","request":1})"));
  EXPECT_EQ(last_of("chat-1"), R"(member_joined {"chat_id":"chat-1","user_id":"ann"})");
}

TEST_F(user_test, gets_an_id_for_a_chat_that_he_gives_none) {
  EXPECT_EQ(submit("ann", "create_chat", R"({"name":"Another"})"),
            R"(chat_joined {"chat_id":"chat-ann-3","name":"Another","request":3})");
  EXPECT_THAT(submit(std::string(59, 'u'), "create_chat", R"({"name":"Long"})"), HasSubstr("3 to 64 characters"));
}

TEST_F(user_test, hears_that_a_chat_exists_already) {
  EXPECT_EQ(
      submit("bob", "create_chat", R"({"chat_id":"chat-1","name":"Mine"})"),
      R"(request_refused {"chat_id":"chat-1","type":"create_chat","reason":"the chat chat-1 exists already","request":1})");
}

TEST_F(user_test, joins_posts_and_leaves) {
  EXPECT_THAT(submit("bob", "join_chat", R"({"chat_id":"chat-1"})"), HasSubstr("chat_joined"));
  EXPECT_THAT(submit("bob", "post_message", R"({"chat_id":"chat-1","text":"hi"})"), HasSubstr("request_sent"));
  EXPECT_EQ(last_of("chat-1"), R"(new_message {"chat_id":"chat-1","message_id":4,"text":"hi","sender":"bob"})");
  EXPECT_THAT(submit("bob", "leave_chat", R"({"chat_id":"chat-1"})"), HasSubstr("chat_left"));
  EXPECT_EQ(last_of("chat-1"), R"(member_left {"chat_id":"chat-1","user_id":"bob"})");
}

TEST_F(user_test, can_not_speak_as_another) {
  submit("bob", "join_chat", R"({"chat_id":"chat-1","sender":"ann"})");
  EXPECT_EQ(last_of("chat-1"), R"(member_joined {"chat_id":"chat-1","user_id":"bob"})");
  submit("bob", "post_message", R"({"chat_id":"chat-1","text":"I am ann","sender":"ann","request":77})");
  EXPECT_THAT(last_of("chat-1"), HasSubstr(R"("sender":"bob")"));
}

TEST_F(user_test, hears_that_he_is_no_member) {
  EXPECT_EQ(
      submit("eve", "post_message", R"({"chat_id":"chat-1","text":"x"})"),
      R"(request_refused {"chat_id":"chat-1","type":"post_message","reason":"eve is no member of chat-1","request":1})");
}

TEST_F(user_test, hears_that_there_is_no_such_chat) {
  EXPECT_THAT(submit("ann", "join_chat", R"({"chat_id":"chat-none"})"), HasSubstr("there is no chat chat-none"));
}

TEST_F(user_test, selects_a_chat_for_what_names_none) {
  EXPECT_EQ(submit("ann", "select_chat", R"({"chat_id":"chat-1"})"), R"(chat_selected {"chat_id":"chat-1"})");
  submit("ann", "post_message", R"({"text":"hi"})");
  EXPECT_THAT(last_of("chat-1"), HasSubstr("hi"));
  submit("ann", "rename_chat", R"({"name":"Coffee"})");
  EXPECT_THAT(last_of("chat-1"), HasSubstr("Coffee"));
}

TEST_F(user_test, selects_only_a_chat_he_is_in) {
  EXPECT_THAT(submit("eve", "select_chat", R"({"chat_id":"chat-1"})"), HasSubstr("you are no member of chat-1"));
  EXPECT_THAT(submit("ann", "select_chat", "{}"), HasSubstr("is missing"));
}

TEST_F(user_test, has_no_chat_selected_after_leaving_it) {
  submit("ann", "select_chat", R"({"chat_id":"chat-1"})");
  submit("ann", "leave_chat", R"({"chat_id":"chat-1"})");
  EXPECT_THAT(submit("ann", "post_message", R"({"text":"hi"})"), HasSubstr("no chat selected"));
}

TEST_F(user_test, keeps_his_selection_when_he_leaves_another_chat) {
  submit("ann", "create_chat", R"({"chat_id":"chat-2","name":"Two"})");
  submit("ann", "select_chat", R"({"chat_id":"chat-1"})");
  submit("ann", "leave_chat", R"({"chat_id":"chat-2"})");
  submit("ann", "post_message", R"({"text":"still here"})");
  EXPECT_THAT(last_of("chat-1"), HasSubstr("still here"));
}

TEST_F(user_test, is_told_at_once_what_is_wrong_with_a_command) {
  const std::pair<const char*, const char*> cases[] = {
      {"create_chat", "{}"},
      {"create_chat", R"({"name":"x","chat_id":"user-ann"})"},
      {"create_chat", R"({"name":"x","chat_id":5})"},
      {"create_chat", R"({"name":""})"},
      {"join_chat", "{}"},
      {"join_chat", R"({"chat_id":"chat-*"})"},
      {"leave_chat", R"({"chat_id":"echo-1"})"},
      {"rename_chat", R"({"chat_id":"chat-1","name":"a\nb"})"},
      {"post_message", R"({"chat_id":"chat-1"})"},
      {"post_message", R"({"chat_id":null,"text":"x"})"},
      {"chat_joined", R"({"name":"x"})"},
      {"chat_joined", R"({"chat_id":"chat-1"})"},
      {"chat_left", "{}"},
      {"request_refused", R"({"chat_id":"chat-1"})"},
      {"dance", "{}"},
  };
  for (const auto& [type, data] : cases)
    EXPECT_THAT(submit("ann", type, data), HasSubstr("command_rejected")) << type << data;
  EXPECT_THAT(submit("ann", "post_message", "{\"chat_id\":\"chat-1\",\"text\":\"" + std::string(4001, 'x') + "\"}"),
              HasSubstr("the limit is 4000"));
}

TEST_F(user_test, is_in_a_bounded_number_of_chats) {
  for (std::size_t i = 1; i < chat::user::chats_max; ++i)
    world_.submit("user-ann", "chat_joined", "{\"name\":\"x\",\"chat_id\":\"chat-x" + std::to_string(i) + "\"}");
  EXPECT_THAT(submit("ann", "create_chat", R"({"name":"one more"})"), HasSubstr("which is the limit"));
  EXPECT_THAT(submit("ann", "join_chat", R"({"chat_id":"chat-2"})"), HasSubstr("which is the limit"));
  EXPECT_THAT(submit("ann", "join_chat", R"({"chat_id":"chat-1"})"), HasSubstr("chat_joined")) << "he is in this one";
}

TEST_F(user_test, steps_out_of_a_chat_that_would_be_one_too_many) {
  submit("bob", "create_chat", R"({"chat_id":"chat-2","name":"Two"})");
  for (std::size_t i = 1; i < chat::user::chats_max; ++i)
    world_.submit("user-ann", "chat_joined", "{\"name\":\"x\",\"chat_id\":\"chat-x" + std::to_string(i) + "\"}");
  world_.submit("chat-2", "join_chat",
                R"({"sender":"ann"})");  // as if it had been under way when the limit was reached
  EXPECT_EQ(last_of("chat-2"), R"(member_left {"chat_id":"chat-2","user_id":"ann"})");
}

}  // namespace
