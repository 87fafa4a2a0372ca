#include "tools/rowcall/format.hpp"

#include <gtest/gtest.h>

#include <clocale>

namespace rowcall::tools {
namespace {

TEST(sanitised_text, has_nothing_that_a_terminal_obeys) {
  EXPECT_EQ(sanitised("a\x1b[2Jb"), "a\xEF\xBF\xBD[2Jb");
  EXPECT_EQ(sanitised("bell\x07 del\x7f"), "bell\xEF\xBF\xBD del\xEF\xBF\xBD");
  EXPECT_EQ(sanitised("c1 \xC2\x9B"
                      "31m"),
            "c1 \xEF\xBF\xBD"
            "31m");
  EXPECT_EQ(sanitised("line\nfeed\r\ttab"), "line feed  tab");
  EXPECT_EQ(sanitised("\xE2\x80\xAE"
                      "evil"),
            "\xEF\xBF\xBD"
            "evil");
}

TEST(sanitised_text, is_valid_utf8) {
  EXPECT_EQ(sanitised("\xff"), "\xEF\xBF\xBD");
  EXPECT_EQ(sanitised("\xC3"), "\xEF\xBF\xBD");
  EXPECT_EQ(sanitised("\xC0\xAF"), "\xEF\xBF\xBD\xEF\xBF\xBD");
  EXPECT_EQ(sanitised("\xED\xA0\x80"), "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
}

TEST(sanitised_text, keeps_what_people_write) { EXPECT_EQ(sanitised("Grüße, 漢字 and 🐟!"), "Grüße, 漢字 and 🐟!"); }

TEST(display_width, counts_columns_and_not_bytes) {
  std::setlocale(LC_CTYPE, "C.UTF-8");
  EXPECT_EQ(display_width("abc"), 3u);
  EXPECT_EQ(display_width("Grüße"), 5u);
  EXPECT_EQ(display_width("漢字"), 4u);
}

TEST(a_time, is_written_in_utc_with_microseconds) {
  EXPECT_EQ(format_time(engine::db_time{std::chrono::microseconds{1'748'242'800'000'042}}),
            "2025-05-26T07:00:00.000042Z");
}

TEST(an_update, is_one_json_object_for_scripts) {
  const engine::update_row update{{7}, {3}, "echo", R"({"a": "\n"})", engine::db_time{}};
  EXPECT_EQ(
      format_update(*engine::session_id::parse("echo-1"), update, true),
      R"({"session":"echo-1","seq":7,"command_seq":3,"type":"echo","data":{"a": "\n"},"at":"1970-01-01T00:00:00.000000Z"})");
}

TEST(a_count, has_its_thousands_apart) {
  EXPECT_EQ(format_count(0), "0");
  EXPECT_EQ(format_count(999), "999");
  EXPECT_EQ(format_count(1'000), "1,000");
  EXPECT_EQ(format_count(12'345'678), "12,345,678");
  EXPECT_EQ(format_count(-1'000), "-1,000");
}

TEST(a_count, has_its_word_in_the_right_number) {
  EXPECT_EQ(format_count(0, "error"), "0 errors");
  EXPECT_EQ(format_count(1, "error"), "1 error");
  EXPECT_EQ(format_count(2'000, "error"), "2,000 errors");
}

}  // namespace
}  // namespace rowcall::tools
