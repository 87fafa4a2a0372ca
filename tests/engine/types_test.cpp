#include "engine/types.hpp"

#include <gmock/gmock.h>

#include <string>

using namespace rowcall::engine;
using testing::HasSubstr;

namespace {

std::string id_error(std::string_view id) {
  const auto parsed = session_id::parse(id);
  return parsed ? "no error" : parsed.error().message;
}

std::string error_of(const command_request& request) {
  const auto valid = validate(request);
  return valid ? "no error" : valid.error().message;
}

command_request request(std::string data, std::string type = "post") {
  return {*session_id::parse("echo-1"), std::move(type), std::move(data), std::nullopt};
}

TEST(session_id_parse, takes_kind_and_name) {
  const auto id = session_id::parse("chat-room-4_2");
  ASSERT_TRUE(id);
  EXPECT_EQ(id->kind(), "chat");
  EXPECT_EQ(id->name(), "room-4_2");
}

TEST(session_id_parse, takes_3_to_64_characters) {
  EXPECT_EQ(id_error("a-b"), "no error");
  EXPECT_EQ(id_error("a-" + std::string(62, 'x')), "no error");
  EXPECT_THAT(id_error("a-"), HasSubstr("3 to 64"));
  EXPECT_THAT(id_error("a-" + std::string(63, 'x')), HasSubstr("3 to 64"));
}

TEST(session_id_parse, refuses_what_is_no_single_nats_token) {
  for (const auto* text :
       {"chat-a.b", "chat-*", "chat->", "chat-a b", "chat-a\tb", "chat-a\n", "chat-ä", "chat-'x'", "chat-$$"})
    EXPECT_THAT(id_error(text), HasSubstr("only the characters")) << text;
  EXPECT_THAT(id_error(std::string_view("chat-a\0", 7)), HasSubstr("only the characters"));
}

TEST(session_id_parse, refuses_an_id_without_kind_or_name) {
  for (const auto* text : {"chat", "-chat", "chat-"}) EXPECT_THAT(id_error(text), HasSubstr("<kind>-<name>")) << text;
}

TEST(session_id_parse, refuses_a_kind_of_more_than_32_characters) {
  EXPECT_EQ(id_error(std::string(32, 'k') + "-n"), "no error");
  EXPECT_THAT(id_error(std::string(33, 'k') + "-n"), HasSubstr("32"));
}

TEST(shard_of_session, is_the_same_for_ever) {
  EXPECT_EQ(fnv1a_64(""), 0xcbf29ce484222325ull);
  EXPECT_EQ(fnv1a_64("a"), 0xaf63dc4c8601ec8cull);
  EXPECT_EQ(fnv1a_64("foobar"), 0x85944171f73967e8ull);
  EXPECT_EQ(shard_of(*session_id::parse("chat-42"), 64), static_cast<int>(fnv1a_64("chat-42") % 64));
}

TEST(validate_request, takes_an_ordinary_command) { EXPECT_EQ(error_of(request(R"({"a":1})")), "no error"); }

TEST(validate_request, takes_text_that_looks_like_sql_copy_or_nats_syntax) {
  EXPECT_EQ(error_of(request(R"({"t":"'; DROP TABLE x; --\t\\.\n\\N $$ * > a.b"})")), "no error");
}

TEST(validate_request, takes_an_integer_past_2_to_the_53) {
  EXPECT_EQ(error_of(request(R"({"n":9007199254740993,"m":18446744073709551615})")), "no error");
}

TEST(validate_request, refuses_an_integer_beyond_64_bits) {
  EXPECT_THAT(error_of(request(R"({"n":18446744073709551616})")), HasSubstr("as a string"));
}

TEST(validate_request, refuses_malformed_and_non_object_json) {
  for (const auto* text : {"", "{", "[]", "1", "null", "{\"a\":1,}", "{} {}"})
    EXPECT_NE(error_of(request(text)), "no error") << text;
}

TEST(validate_request, refuses_10000_levels) {
  EXPECT_THAT(error_of(request("{\"a\":" + std::string(10'000, '[') + std::string(10'000, ']') + "}")),
              HasSubstr("deeper"));
}

TEST(validate_request, refuses_invalid_utf8) { EXPECT_THAT(error_of(request("{\"a\":\"\xff\"}")), HasSubstr("UTF-8")); }

TEST(validate_request, refuses_a_nul_in_value_or_key) {
  EXPECT_THAT(error_of(request(R"({"a":"\u0000"})")), HasSubstr("NUL"));
  EXPECT_THAT(error_of(request(R"({"\u0000":1})")), HasSubstr("NUL"));
  EXPECT_EQ(error_of(request(R"({"a":"\\u0000"})")), "no error");
}

TEST(validate_request, refuses_an_exponent_that_jsonb_would_write_out_past_64_bits) {
  EXPECT_THAT(error_of(request(R"({"a":1e20})")), HasSubstr("as a string"));
  EXPECT_THAT(error_of(request(R"({"a":1e-16000})")), HasSubstr("as a string"));
  EXPECT_EQ(error_of(request(R"({"a":1e18,"b":2.5e-7})")), "no error");
}

TEST(validate_request, refuses_data_over_the_limit) {
  const auto of_size = [](std::size_t bytes) { return request("{\"a\":\"" + std::string(bytes - 8, 'x') + "\"}"); };
  EXPECT_EQ(error_of(of_size(65'536)), "no error");
  EXPECT_THAT(error_of(of_size(65'537)), HasSubstr("65537 bytes, the limit is 65536"));
  EXPECT_FALSE(validate(of_size(101), 100));
  EXPECT_TRUE(validate(of_size(100), 100));
}

TEST(validate_request, refuses_a_type_that_is_no_token) {
  for (const auto* type : {"", "a b", "a'b", "a\n", "ä", "*", "a>b"})
    EXPECT_NE(error_of(request("{}", type)), "no error") << type;
  EXPECT_NE(error_of(request("{}", std::string(65, 't'))), "no error");
  EXPECT_EQ(error_of(request("{}", std::string(64, 't'))), "no error");
}

TEST(validate_request, refuses_a_bad_idempotency_key) {
  auto r = request("{}");
  for (const auto& key : {std::string{}, std::string(201, 'k'), std::string("a\0b", 3), std::string("\xff")}) {
    r.idempotency_key = key;
    EXPECT_NE(error_of(r), "no error") << key;
  }
  for (const char* key : {"send:user-ann/7/0", "redrive:1"}) {
    r.idempotency_key = key;
    EXPECT_FALSE(validate(r)) << "the engine's own: " << key;
  }
  r.idempotency_key = std::string(200, 'k');
  EXPECT_EQ(error_of(r), "no error");
}

TEST(validate_request, refuses_a_missing_session) { EXPECT_NE(error_of({{}, "post", "{}", std::nullopt}), "no error"); }

}  // namespace
