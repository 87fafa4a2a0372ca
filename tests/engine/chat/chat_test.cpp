#include "engine/chat/chat.hpp"

#include <gmock/gmock.h>

#include "tests/engine/world.hpp"

using namespace rowcall::engine;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

namespace {

std::string data_of(std::initializer_list<std::pair<std::string_view, std::string_view>> members) {
  json::writer w;
  w.begin_object();
  for (const auto& [key, text] : members) w.key(key).string(text);
  w.end_object();
  return w.str();
}

/// A chat that is spoken to directly, with ann in it.
class chat_test : public testing::Test {
 protected:
  chat_test() { submit("create_chat", {{"name", "Tea"}, {"sender", "ann"}}); }

  /// "type data" of the command's own updates.
  std::vector<std::string> submit(const std::string& type,
                                  std::initializer_list<std::pair<std::string_view, std::string_view>> members) {
    return submit_to("chat-1", type, data_of(members));
  }
  std::vector<std::string> submit_to(const std::string& chat, const std::string& type, std::string data) {
    std::vector<std::string> lines;
    for (const auto& u : world_.submit(chat, type, std::move(data))) lines.push_back(u.type + ' ' + u.data);
    return lines;
  }

  world world_;
};

TEST_F(chat_test, is_created_with_its_first_member) {
  EXPECT_THAT(world_.updates_of("chat-1"),
              ElementsAre(R"(chat_created {"chat_id":"chat-1","name":"Tea","user_id":"ann"})",
                          R"(member_joined {"chat_id":"chat-1","user_id":"ann"})"));
  EXPECT_THAT(world_.updates_of("user-ann"), ElementsAre(R"(chat_joined {"chat_id":"chat-1","name":"Tea"})"));
}

TEST_F(chat_test, writes_its_rows_and_leaves_the_times_to_the_database) {
  submit("join_chat", {{"sender", "bob"}});
  submit("post_message", {{"sender", "bob"}, {"text", "hello"}});
  submit("rename_chat", {{"sender", "bob"}, {"name", "Coffee"}});
  submit("leave_chat", {{"sender", "bob"}});
  const auto& rows = world_.at("chat-1").rows;
  ASSERT_THAT(rows, SizeIs(6));
  using mode = domain_row::write_mode;
  const auto expect = [](const domain_row& row, std::string_view table, mode m, std::vector<std::string> columns,
                         std::vector<std::optional<std::string>> values) {
    EXPECT_EQ(row.table, table);
    EXPECT_EQ(row.mode, m);
    EXPECT_EQ(row.columns, columns);
    EXPECT_EQ(row.values, values);
  };
  expect(rows[0], "chats", mode::upsert, {"chat_id", "name"}, {"chat-1", "Tea"});
  expect(rows[1], "members", mode::upsert, {"chat_id", "user_id"}, {"chat-1", "ann"});
  expect(rows[2], "members", mode::upsert, {"chat_id", "user_id"}, {"chat-1", "bob"});
  expect(rows[3], "messages", mode::append, {"chat_id", "message_id", "text", "sender"},
         {"chat-1", "4", "hello", "bob"});
  expect(rows[4], "chats", mode::upsert, {"chat_id", "name"}, {"chat-1", "Coffee"});
  expect(rows[5], "members", mode::remove, {"chat_id", "user_id"}, {"chat-1", "bob"});
}

TEST_F(chat_test, numbers_a_message_by_its_update) {
  submit("unknown", {{"sender", "ann"}});
  EXPECT_THAT(submit("post_message", {{"sender", "ann"}, {"text", "hello"}}),
              ElementsAre(R"(new_message {"chat_id":"chat-1","message_id":4,"text":"hello","sender":"ann"})"));
  EXPECT_EQ(world_.at("chat-1").updates.back().seq, update_seq{4});
}

TEST_F(chat_test, keeps_a_text_that_looks_like_sql_copy_or_nats_syntax) {
  const std::string nasty = "'; DROP TABLE x; --\t\\.\n\\N $$ %s * > a.b.c \r\n\\";
  submit("post_message", {{"sender", "ann"}, {"text", nasty}});
  EXPECT_EQ(world_.at("chat-1").rows.back().values[2], nasty);
  json::parser parser;
  EXPECT_EQ(json::string_at(*parser.parse_object(world_.at("chat-1").updates.back().data), "text"), nasty);
}

TEST_F(chat_test, lets_only_members_post_rename_and_leave) {
  for (const auto* type : {"post_message", "rename_chat", "leave_chat"})
    EXPECT_THAT(submit(type, {{"sender", "eve"}, {"text", "x"}, {"name", "x"}}),
                ElementsAre(HasSubstr("eve is no member of chat-1")))
        << type;
}

TEST_F(chat_test, lets_nobody_post_after_he_left) {
  submit("leave_chat", {{"sender", "ann"}});
  EXPECT_THAT(submit("post_message", {{"sender", "ann"}, {"text", "x"}}), ElementsAre(HasSubstr("no member")));
}

TEST_F(chat_test, is_created_once) {
  EXPECT_THAT(submit("create_chat", {{"sender", "bob"}, {"name", "Mine"}}), ElementsAre(HasSubstr("exists already")));
}

TEST_F(chat_test, is_nothing_before_it_is_created) {
  for (const auto* type : {"join_chat", "post_message", "rename_chat", "leave_chat"})
    EXPECT_THAT(submit_to("chat-2", type, data_of({{"sender", "ann"}, {"text", "x"}, {"name", "x"}})),
                ElementsAre(HasSubstr("there is no chat chat-2")))
        << type;
}

TEST_F(chat_test, can_be_joined_twice_without_another_update_of_its_own) {
  EXPECT_THAT(submit("join_chat", {{"sender", "ann"}}), ElementsAre("command_done {}"));
  EXPECT_THAT(world_.updates_of("user-ann"), SizeIs(2)) << "told again";
}

TEST_F(chat_test, tells_who_left) {
  EXPECT_THAT(submit("leave_chat", {{"sender", "ann"}}),
              ElementsAre(R"(member_left {"chat_id":"chat-1","user_id":"ann"})"));
  EXPECT_EQ(world_.updates_of("user-ann").back(), R"(chat_left {"chat_id":"chat-1"})");
}

TEST_F(chat_test, is_renamed) {
  EXPECT_THAT(submit("rename_chat", {{"sender", "ann"}, {"name", "Coffee"}}),
              ElementsAre(R"(chat_renamed {"chat_id":"chat-1","name":"Coffee","user_id":"ann"})"));
  submit("join_chat", {{"sender", "bob"}});
  EXPECT_THAT(world_.updates_of("user-bob"), ElementsAre(R"(chat_joined {"chat_id":"chat-1","name":"Coffee"})"));
}

TEST_F(chat_test, is_full_at_its_limit) {
  for (std::size_t i = 1; i < chat::chat::members_max; ++i)
    ASSERT_THAT(submit("join_chat", {{"sender", "u" + std::to_string(i)}}), ElementsAre(HasSubstr("member_joined")));
  EXPECT_THAT(submit("join_chat", {{"sender", "late"}}), ElementsAre(HasSubstr("the chat is full")));
  submit("leave_chat", {{"sender", "u7"}});
  EXPECT_THAT(submit("join_chat", {{"sender", "late"}}), ElementsAre(HasSubstr("member_joined")));
}

TEST_F(chat_test, counts_characters_not_bytes) {
  std::string text;
  for (std::size_t i = 0; i < chat::chat::text_characters_max; ++i) text += "🙂";
  EXPECT_THAT(submit("post_message", {{"sender", "ann"}, {"text", text}}), ElementsAre(HasSubstr("new_message")));
  EXPECT_THAT(submit("post_message", {{"sender", "ann"}, {"text", text + "x"}}),
              ElementsAre(HasSubstr("has 4001 characters, the limit is 4000")));
}

TEST_F(chat_test, says_what_is_wrong_with_a_name) {
  const auto rename = [this](std::string_view name) {
    return submit("rename_chat", {{"sender", "ann"}, {"name", name}});
  };
  EXPECT_THAT(rename(std::string(100, 'n')), ElementsAre(HasSubstr("chat_renamed")));
  EXPECT_THAT(rename(std::string(101, 'n')), ElementsAre(HasSubstr("the limit is 100")));
  EXPECT_THAT(rename(" \t"), ElementsAre(HasSubstr("is empty")));
  EXPECT_THAT(rename("a\x1b[2J"), ElementsAre(HasSubstr("control character")));
  EXPECT_THAT(submit("rename_chat", {{"sender", "ann"}}), ElementsAre(HasSubstr("is missing")));
}

TEST_F(chat_test, says_what_is_wrong_with_a_message) {
  EXPECT_THAT(submit("post_message", {{"sender", "ann"}}), ElementsAre(HasSubstr(R"(the string \"text\" is missing)")));
  EXPECT_THAT(submit("post_message", {{"sender", "ann"}, {"text", "\n"}}), ElementsAre(HasSubstr("is empty")));
  EXPECT_THAT(submit_to("chat-1", "post_message", R"({"sender":"ann","text":5})"),
              ElementsAre(HasSubstr("is missing")));
}

TEST_F(chat_test, needs_a_sender_that_is_a_user) {
  EXPECT_THAT(submit("post_message", {{"text", "x"}}), ElementsAre(HasSubstr("sender")));
  for (const auto* sender : {"", "a b", "a.b", "*", "ä"})
    EXPECT_THAT(submit("join_chat", {{"sender", sender}}), ElementsAre(HasSubstr("a user's id is"))) << sender;
  EXPECT_THAT(submit("join_chat", {{"sender", std::string(59, 'u')}}), ElementsAre(HasSubstr("member_joined")));
  EXPECT_THAT(submit("join_chat", {{"sender", std::string(60, 'u')}}), ElementsAre(HasSubstr("a user's id is")));
}

TEST_F(chat_test, rejects_a_command_that_it_does_not_know) {
  EXPECT_THAT(submit("dance", {{"sender", "ann"}}), ElementsAre(HasSubstr("a chat knows no command dance")));
}

TEST_F(chat_test, tells_nobody_of_a_rejection_that_no_user_session_asked_for) {
  submit("join_chat", {{"sender", "eve"}, {"name", ""}});
  submit("rename_chat", {{"sender", "zoe"}, {"name", "x"}});
  EXPECT_THAT(world_.updates_of("user-zoe"), IsEmpty());
}

}  // namespace
