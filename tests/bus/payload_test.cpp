#include "bus/payload.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "tests/bus/bus_test.hpp"

namespace rowcall::bus {
namespace {

using engine::session_id;
using engine::update_notice;
using engine::update_row;

update_notice two_updates() {
  return {id("chat-1"),
          {5},
          {6},
          {update_row{{5},
                      {3},
                      "message_posted",
                      R"({"text":"a \"b\" \u00e9 \\.\t"})",
                      engine::db_time{std::chrono::microseconds{12}}},
           update_row{{6}, {4}, "command_done", "{}", {}}}};
}

class payload : public testing::Test {
 protected:
  engine::json::parser parser;
};

TEST_F(payload, of_a_wake_is_its_hint_and_empty_without_one) {
  EXPECT_EQ(encode(engine::wake{id("chat-1"), {17}}), R"({"last":17})");
  EXPECT_EQ(encode(engine::wake{id("chat-1"), {0}}), "");
}

TEST_F(payload, of_a_wake_is_read_back) {
  for (const std::int64_t last :
       {std::int64_t{0}, std::int64_t{1}, std::int64_t{17}, std::numeric_limits<std::int64_t>::max()}) {
    const auto read = decode_wake(id("chat-1"), encode(engine::wake{id("chat-1"), {last}}), parser);
    EXPECT_EQ(read.session, id("chat-1"));
    EXPECT_EQ(read.last.value, last);
  }
}

TEST_F(payload, of_a_wake_brings_its_command_when_that_is_small) {
  engine::wake sent{id("chat-1"), {17}};
  sent.command =
      std::make_shared<const engine::command_row>(engine::command_row{{17},
                                                                      "post.it",
                                                                      R"({"text": "a \"b\" \u00e9 \\.\t", "n": 1.10})",
                                                                      engine::db_time{std::chrono::microseconds{12}}});
  EXPECT_EQ(encode(sent, 10), R"({"last":17})");
  EXPECT_EQ(encode(engine::wake{id("chat-1"), {18}, sent.command}, 1'000), R"({"last":18})");
  const auto read = decode_wake(id("chat-1"), encode(sent, 1'000), parser);
  EXPECT_EQ(read.last.value, 17);
  ASSERT_TRUE(read.command);
  EXPECT_EQ(read.command->seq.value, 17);
  EXPECT_EQ(read.command->type, "post.it");
  EXPECT_EQ(read.command->data, sent.command->data);
  EXPECT_EQ(read.command->created_at, sent.command->created_at);
}

TEST_F(payload, of_a_wake_with_a_broken_command_is_a_wake_without) {
  for (const std::string_view broken :
       {R"("command":{})", R"("command":[1])", R"("command":{"type":"a","at":1})",
        R"("command":{"type":"a","data":[],"at":1})", R"("command":{"type":"a b","data":{},"at":1})",
        R"("command":{"type":1,"data":{},"at":1})", R"("command":{"type":"a","data":{},"at":"x"})",
        R"("command":{"data":{},"at":1})"}) {
    const auto read = decode_wake(id("chat-1"), "{\"last\":4," + std::string{broken} + "}", parser);
    EXPECT_EQ(read.last.value, 4) << broken;
    EXPECT_FALSE(read.command) << broken;
  }
  EXPECT_EQ(decode_wake(id("chat-1"), R"({"last":4,"command":{"type":"a","data":{"x":},"at":1}})", parser).last.value,
            0);
  const auto large =
      "{\"last\":4,\"command\":{\"type\":\"a\",\"data\":{\"x\":\"" + std::string(20'000, 'x') + "\"},\"at\":1}}";
  EXPECT_FALSE(decode_wake(id("chat-1"), large, parser).command);
}

TEST_F(payload, of_a_wake_from_another_writer_is_read_in_any_spelling) {
  EXPECT_EQ(decode_wake(id("chat-1"), R"( { "more" : [1] , "last" : 9 } )", parser).last.value, 9);
}

TEST_F(payload, that_is_garbage_is_a_wake_without_a_hint) {
  const std::string zeros(4, '\0');
  for (const std::string_view garbage :
       {std::string_view{"hello"}, std::string_view{"{\"last\":"}, std::string_view{"{\"last\":}"},
        std::string_view{"{\"last\":1e3}"}, std::string_view{"{\"last\":-4}"}, std::string_view{"{\"last\":\"4\"}"},
        std::string_view{"{\"last\":99999999999999999999}"}, std::string_view{"[4]"}, std::string_view{"4"},
        std::string_view{"\xff\xfe"}, std::string_view{zeros}, std::string_view{"{\"last\":4}}"}})
    EXPECT_EQ(decode_wake(id("chat-1"), garbage, parser).last.value, 0) << garbage;
  EXPECT_EQ(decode_wake(id("chat-1"), std::string(1024 * 1024, '['), parser).last.value, 0);
}

TEST_F(payload, of_a_notice_is_read_back_with_its_updates) {
  const auto sent = two_updates();
  const auto read = decode_updates(id("chat-1"), encode(sent, 8192), parser);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->session, sent.session);
  EXPECT_EQ(read->first, sent.first);
  EXPECT_EQ(read->last, sent.last);
  ASSERT_EQ(read->updates.size(), 2u);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(read->updates[i].seq, sent.updates[i].seq);
    EXPECT_EQ(read->updates[i].command, sent.updates[i].command);
    EXPECT_EQ(read->updates[i].type, sent.updates[i].type);
    EXPECT_EQ(read->updates[i].data, sent.updates[i].data);
    EXPECT_EQ(read->updates[i].created_at, sent.updates[i].created_at);
  }
}

TEST_F(payload, keeps_numbers_as_they_were_written) {
  auto sent = two_updates();
  sent.updates[0].data = R"({"a": 1.10, "b": 9007199254740993, "c": 0.1000000000000000055511151231257827})";
  const auto read = decode_updates(id("chat-1"), encode(sent, 8192), parser);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->updates[0].data, sent.updates[0].data);
}

TEST_F(payload, leaves_out_updates_that_are_too_large) {
  auto sent = two_updates();
  sent.updates[0].data = "{\"text\":\"" + std::string(9000, 'x') + "\"}";
  const auto text = encode(sent, 8192);
  EXPECT_EQ(text, R"({"session":"chat-1","first":5,"last":6})");
  const auto read = decode_updates(id("chat-1"), text, parser);
  ASSERT_TRUE(read);
  EXPECT_TRUE(read->updates.empty());
  EXPECT_EQ(read->last.value, 6);
}

TEST_F(payload, of_a_notice_is_refused_when_anything_in_it_is_wrong) {
  for (
      const std::string_view text : {
          "",
          "{}",
          "[]",
          "null",
          R"({"session":"chat-1","first":5})",
          R"({"session":"chat-2","first":5,"last":6})",
          R"({"session":5,"first":5,"last":6})",
          R"({"session":"chat-1","first":0,"last":6})",
          R"({"session":"chat-1","first":7,"last":6})",
          R"({"session":"chat-1","first":"5","last":6})",
          R"({"session":"chat-1","first":5,"last":9223372036854775807})",
          R"({"session":"chat-1","first":5,"last":5,"updates":[]})",
          R"({"session":"chat-1","first":5,"last":5,"updates":{}})",
          R"({"session":"chat-1","first":5,"last":5,"updates":[5]})",
          R"({"session":"chat-1","first":5,"last":5,"updates":[{"seq":6,"command_seq":1,"type":"a","data":{}}]})",
          R"({"session":"chat-1","first":5,"last":5,"updates":[{"seq":5,"command_seq":0,"type":"a","data":{}}]})",
          R"({"session":"chat-1","first":5,"last":5,"updates":[{"seq":5,"command_seq":1,"type":"a b","data":{}}]})",
          R"({"session":"chat-1","first":5,"last":5,"updates":[{"seq":5,"command_seq":1,"type":"a","data":[]}]})",
          R"({"session":"chat-1","first":5,"last":5,"updates":[{"seq":5,"command_seq":1,"type":"a"}]})",
          R"({"session":"chat-1","first":5,"last":5,"updates":[{"seq":5,"command_seq":1,"type":"a","data":{"x":}}]})",
          R"({"session":"chat-1","first":5,"last":6,"updates":[{"seq":5,"command_seq":1,"type":"a","data":{}}]})",
          R"({"session":"chat-1","first":5,"last":5,"updates":[{"seq":5,"command_seq":1,"type":"a","data":{}},{"seq":6,"command_seq":1,"type":"a","data":{}}]})",
          R"({"session":"chat-1","first":5,"last":5)",
      })
    EXPECT_FALSE(decode_updates(id("chat-1"), text, parser)) << text;
}

TEST_F(payload, that_was_damaged_anywhere_never_harms_the_reader) {
  const auto sent = encode(two_updates(), 8192);
  std::mt19937 random{7};
  int refused = 0;
  for (int round = 0; round < 5000; ++round) {
    auto text = sent;
    for (auto edits = 1 + random() % 3; edits > 0; --edits) {
      const auto at = random() % text.size();
      if (random() % 2 == 0)
        text[at] = static_cast<char>(random() % 256);
      else
        text.erase(at, 1 + random() % 8);
    }
    const auto read = decode_updates(id("chat-1"), text, parser);
    if (!read) {
      ++refused;
      continue;
    }
    // What is accepted holds what the type promises.
    EXPECT_LE(read->first, read->last);
    if (read->updates.empty()) continue;
    EXPECT_EQ(static_cast<std::int64_t>(read->updates.size()), read->last.value - read->first.value + 1);
    for (const auto& row : read->updates) EXPECT_TRUE(engine::json::parser{}.parse_object(row.data)) << row.data;
  }
  EXPECT_GT(refused, 1000);
}

}  // namespace
}  // namespace rowcall::bus
