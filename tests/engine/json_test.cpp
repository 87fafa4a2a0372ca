#include "engine/json.hpp"

#include <gmock/gmock.h>

#include <cstdint>
#include <limits>
#include <string>

using namespace rowcall::engine;
using testing::HasSubstr;

namespace {

std::string nested(std::size_t levels) {
  return "{\"a\":" + std::string(levels - 1, '[') + std::string(levels - 1, ']') + "}";
}

std::string error_of(std::string_view text) {
  json::parser parser;
  const auto parsed = parser.parse_object(text);
  return parsed ? "no error" : parsed.error().message;
}

std::string round_trip(std::string_view text) {
  json::parser parser;
  const auto parsed = parser.parse(text);
  return parsed ? json::to_text(*parsed) : parsed.error().message;
}

std::string as_quoted(std::string_view text) {
  std::string out;
  json::append_quoted(out, text);
  return out;
}

TEST(json_parser, reads_an_object_of_1024_levels) { EXPECT_EQ(error_of(nested(1024)), "no error"); }

TEST(json_parser, refuses_an_object_of_1025_levels) {
  EXPECT_THAT(error_of(nested(1025)), HasSubstr("deeper than 1024"));
}

TEST(json_parser, refuses_10000_levels_without_falling_over) {
  EXPECT_THAT(error_of(nested(10'000)), HasSubstr("deeper than 1024"));
  EXPECT_THAT(error_of(std::string(10'000, '[')), HasSubstr("10000 brackets are not closed"));
}

TEST(json_parser, says_that_bytes_are_not_utf8) {
  EXPECT_THAT(error_of("{\"a\":\"\xff\"}"), HasSubstr("not valid UTF-8"));
  EXPECT_THAT(error_of("{\"a\":\"\xc0\x80\"}"), HasSubstr("not valid UTF-8")) << "an overlong NUL";
  EXPECT_THAT(error_of("{\"a\":\"\xed\xa0\x80\"}"), HasSubstr("not valid UTF-8")) << "a surrogate";
}

TEST(json_parser, refuses_half_a_surrogate_pair) { EXPECT_THAT(error_of(R"({"a":"\ud800"})"), HasSubstr("escape")); }

TEST(json_parser, asks_for_a_string_where_an_integer_is_beyond_64_bits) {
  EXPECT_THAT(error_of(R"({"a":18446744073709551616})"), HasSubstr("as a string"));
  EXPECT_THAT(error_of(R"({"a":-9223372036854775809})"), HasSubstr("as a string"));
  EXPECT_THAT(error_of(R"({"a":1e400})"), HasSubstr("as a string"));
}

TEST(json_parser, tells_that_the_text_is_cut_off) {
  EXPECT_THAT(error_of(R"({"a":[1,{"b":2})"), HasSubstr("2 brackets are not closed"));
  EXPECT_THAT(error_of(R"({"a":"x)"), HasSubstr("ends within a string"));
}

TEST(json_parser, tells_where_text_follows_the_end) {
  EXPECT_THAT(error_of(R"({"a":"}"} {"b":1})"), HasSubstr("more text after its end, at byte 10"));
  EXPECT_THAT(error_of(std::string("{\"a\":1}\0", 8)), HasSubstr("more text after its end"));
}

TEST(json_parser, refuses_what_is_no_object) {
  for (const auto* text : {"[1]", "1", "null", "\"{}\"", "true"})
    EXPECT_THAT(error_of(text), HasSubstr("not an object")) << text;
}

TEST(json_parser, refuses_nothing_at_all) {
  EXPECT_THAT(error_of(""), HasSubstr("empty"));
  EXPECT_THAT(error_of(" \n"), HasSubstr("empty"));
}

TEST(json_parser, refuses_what_is_not_json) {
  for (const auto* text :
       {"{\"a\":1,}", "{a:1}", "{\"a\":01}", "{\"a\":tru}", "{\"a\":\"\t\"}", "{'a':1}", "}", "{\"a\":NaN}"})
    EXPECT_NE(error_of(text), "no error") << text;
}

TEST(json_parser, refuses_more_than_16_mib) {
  EXPECT_THAT(error_of("{\"a\":\"" + std::string(json::parser::text_bytes_max, 'x') + "\"}"),
              HasSubstr("the limit is"));
}

TEST(json_parser, is_as_good_as_new_after_an_error) {
  json::parser parser;
  EXPECT_FALSE(parser.parse_object(nested(10'000)));
  EXPECT_FALSE(parser.parse_object("{"));
  const auto parsed = parser.parse_object(R"({"a":"b"})");
  ASSERT_TRUE(parsed);
  EXPECT_EQ(json::string_at(*parsed, "a"), "b");
}

TEST(json_parser, does_not_read_what_an_earlier_and_longer_text_left_behind) {
  json::parser parser;
  ASSERT_TRUE(parser.parse_object(R"({"a":12345678,"b":[1,2,3,4,5,6,7,8,9]})"));
  EXPECT_FALSE(parser.parse_object(R"({"a":12)"));
}

TEST(json_text, keeps_the_digits_of_64_bit_integers) {
  const auto text = R"({"a":9007199254740993,"b":-9223372036854775808,"c":18446744073709551615})";
  EXPECT_EQ(round_trip(text), text);
}

TEST(json_text, keeps_the_value_of_a_double) {
  EXPECT_EQ(round_trip(R"({ "a" : 0.1, "b" : 1e2 })"), R"({"a":0.1,"b":100.0})");
}

TEST(json_text, keeps_text_that_looks_like_sql_copy_or_nats_syntax) {
  const std::string nasty = "'; DROP TABLE x; --\t\\.\n\\N $$ %s * > a.b.c \r\n\\";
  json::writer w;
  w.begin_object().key("text").string(nasty).end_object();
  json::parser parser;
  const auto parsed = parser.parse_object(round_trip(w.str()));
  ASSERT_TRUE(parsed);
  EXPECT_EQ(json::string_at(*parsed, "text"), nasty);
}

TEST(json_has_nul, finds_it_in_strings_and_keys_at_any_depth) {
  json::parser parser;
  for (const auto* text : {R"({"a":"x\u0000"})", R"({"a\u0000":1})", R"({"a":[1,{"b":["\u0000"]}]})"})
    EXPECT_TRUE(json::has_nul(*parser.parse(text))) << text;
}

// jsonb writes an exponent out; what it then gives back must be readable.
TEST(json_has_unstorable_exponent, finds_what_becomes_an_integer_past_64_bits_or_a_text_without_end) {
  for (const auto* text : {R"({"a":1e20})", R"({"a":[{"b":-1E+19}]})", R"({"a":1e300})", R"({"a":0.0000001e30})",
                           R"({"a":"\"","b":9.223372036854775809e18,"c":-9.223372036854775809e18})", R"([1e-16000])"})
    EXPECT_TRUE(json::has_unstorable_exponent(text)) << text;
}

TEST(json_has_unstorable_exponent, leaves_other_numbers_and_strings_alone) {
  for (const auto* text : {R"({"a":1e18,"b":1.5E-7,"c":-0.0e5,"d":18446744073709551615})", R"({"a":"1e300","1e300":"\"1e300"})",
                           R"({"a":"0e","b":true,"c":1.5,"d":123456789012345678901234.5})", "{}"})
    EXPECT_FALSE(json::has_unstorable_exponent(text)) << text;
}

TEST(json_has_nul, is_not_fooled_by_an_escaped_backslash) {
  json::parser parser;
  EXPECT_FALSE(json::has_nul(*parser.parse(R"({"a":"\\u0000","b":[null,0,"\u0001"]})")));
}

TEST(json_members, are_nothing_when_missing_or_of_another_type) {
  json::parser parser;
  const auto o = *parser.parse_object(R"({"s":"x","i":-5,"d":1.5,"big":18446744073709551615,"n":null})");
  EXPECT_EQ(json::string_at(o, "s"), "x");
  EXPECT_EQ(json::string_at(o, "i"), std::nullopt);
  EXPECT_EQ(json::string_at(o, "none"), std::nullopt);
  EXPECT_EQ(json::int_at(o, "i"), -5);
  EXPECT_EQ(json::int_at(o, "d"), std::nullopt);
  EXPECT_EQ(json::int_at(o, "big"), std::nullopt);
  EXPECT_EQ(json::int_at(o, "n"), std::nullopt);
}

TEST(json_quoted, escapes_control_characters_and_line_separators) {
  EXPECT_EQ(as_quoted("a\"b\\c\n\r\t\b\f"), R"("a\"b\\c\n\r\t\b\f")");
  EXPECT_EQ(as_quoted(std::string_view("\0\x01\x1f\x7f", 4)), R"("\u0000\u0001\u001f\u007f")");
  EXPECT_EQ(as_quoted("\u2028x\u2029"), R"("\u2028x\u2029")");
}

TEST(json_quoted, leaves_other_utf8_alone) {
  EXPECT_EQ(as_quoted("Grüße, 世界 🙂 \u2027"), "\"Grüße, 世界 🙂 \u2027\"");
}

TEST(json_quoted, every_character_comes_back) {
  std::string all;
  for (char32_t c = 0; c < 0x800; ++c) {
    if (c < 0x80) {
      all += static_cast<char>(c);
    } else {
      all += static_cast<char>(0xc0 | (c >> 6));
      all += static_cast<char>(0x80 | (c & 0x3f));
    }
  }
  all += "\u2028\u2029\u2027\u202a\ufeff\U0001f642\xe2\x80\xa8";
  json::parser parser;
  const auto parsed = parser.parse(as_quoted(all));
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_EQ(std::string_view{*parsed}, all);
}

TEST(json_writer, puts_commas_where_they_belong) {
  json::writer w;
  w.begin_object()
      .key("a")
      .number(std::int64_t{1})
      .key("b")
      .begin_array()
      .string("x")
      .null()
      .begin_object()
      .end_object();
  w.begin_array().end_array().boolean(true).end_array().key("c").raw("{\"d\":[]}").key("e").boolean(false).end_object();
  EXPECT_EQ(w.str(), R"({"a":1,"b":["x",null,{},[],true],"c":{"d":[]},"e":false})");
}

TEST(json_writer, puts_commas_after_strings_that_look_like_brackets) {
  json::writer w;
  w.begin_array().string("{").string("[").string(":").end_array();
  EXPECT_EQ(w.str(), R"(["{","[",":"])");
}

TEST(json_writer, writes_numbers_exactly) {
  json::writer w;
  w.begin_array().number(std::numeric_limits<std::int64_t>::min()).number(0.1).number(1e300);
  w.number(std::numeric_limits<double>::infinity()).end_array();
  EXPECT_EQ(w.str(), "[-9223372036854775808,0.1,1e+300,null]");
}

}  // namespace
