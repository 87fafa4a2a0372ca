#include "tools/rowcall/chat_presence.hpp"

#include <gtest/gtest.h>

namespace rowcall::tools {
namespace {

const engine::session_id room = *engine::session_id::parse("chat-room");

TEST(presence, comes_back_as_it_was_said) {
  for (const auto what : {presence::here, presence::asking, presence::left}) {
    const auto read = read_presence(room, presence_payload("chat-1", room, "ann", what));
    ASSERT_TRUE(read);
    EXPECT_EQ(read->user, "ann");
    EXPECT_EQ(read->what, what);
  }
}

TEST(presence, is_said_in_the_form_of_the_gateways) {
  EXPECT_EQ(presence_payload("chat-1", room, "ann", presence::asking),
            R"({"gateway":"chat-1","signal":{"session":"chat-room","type":"here","from":"ann","data":{"ask":true}}})");
}

TEST(presence, of_who_types_is_here) {
  const auto read = read_presence(
      room, R"({"gateway":"g","signal":{"session":"chat-room","type":"typing","from":"bob","data":{}}})");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->what, presence::here);
}

TEST(presence, is_not_read_from_what_is_no_signal_of_the_room) {
  for (const char* payload :
       {"", "forged", "[]", "{}", R"({"signal":1})", R"({"signal":{"session":"chat-room","type":"here"}})",
        R"({"signal":{"session":"chat-room","from":"bob"}})",
        R"({"signal":{"session":"chat-room","type":1,"from":"bob"}})",
        R"({"signal":{"session":"chat-den","type":"here","from":"bob","data":{}}})"})
    EXPECT_FALSE(read_presence(room, payload)) << payload;
}

}  // namespace
}  // namespace rowcall::tools
