#include "tools/rowcall/log_line.hpp"

#include <gtest/gtest.h>

#include "engine/json.hpp"

namespace rowcall::tools {
namespace {

log_record record(std::string_view text, engine::log_fields about = {}) {
  log_record r;
  r.at = std::chrono::sys_time<std::chrono::milliseconds>{std::chrono::milliseconds{1'748'242'800'007}};
  r.level = "warning";
  r.text = text;
  r.about = about;
  return r;
}

TEST(json_line, has_time_level_and_message) {
  EXPECT_EQ(json_line(record("hello")), R"({"time":"2025-05-26T07:00:00.007Z","level":"warning","message":"hello"})");
}

TEST(json_line, has_the_fields_that_the_line_is_about) {
  auto r = record("failed", {"command_failed", "echo-1", engine::command_seq{17}, "why"});
  r.left_out = 3;
  EXPECT_EQ(json_line(r),
            R"({"time":"2025-05-26T07:00:00.007Z","level":"warning","message":"failed","event":"command_failed",)"
            R"("session":"echo-1","command":17,"detail":"why","left_out":3})");
}

TEST(json_line, is_valid_json_whatever_the_bytes) {
  engine::json::parser parser;
  for (const std::string text :
       {"quote \" and \\ and \n", "\xff\xfe", "\x1b[2J", "a\tb", "\xE2\x80\xA8", "{\"a\":1}"}) {
    const auto line = json_line(record(text, {text, text, {}, text}));
    EXPECT_TRUE(parser.parse_object(line)) << line;
    EXPECT_EQ(line.find('\n'), std::string::npos);
  }
}

TEST(line_text, is_one_line_whatever_it_quotes) {
  EXPECT_EQ(line_text(record("cannot reach it: refused\nCheck --database.")),
            "cannot reach it: refused Check --database.");
}

TEST(field_text, follows_the_text_of_a_line_for_people) {
  EXPECT_EQ(field_text(record("x")), "");
  EXPECT_EQ(field_text(record("x", {"e", "echo-1", engine::command_seq{17}, "two\nlines"})),
            " session=echo-1 command=17 detail=two lines");
}

}  // namespace
}  // namespace rowcall::tools
