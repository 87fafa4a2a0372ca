#include "tools/rowcall/chat_line_editor.hpp"

#include <gtest/gtest.h>

#include <clocale>

namespace rowcall::tools {
namespace {

using kind = chat_line_editor::event::kind;

TEST(line_editor, gives_a_line_on_enter) {
  chat_line_editor e;
  const auto events = e.feed("hello\r");
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].what, kind::line);
  EXPECT_EQ(events[0].text, "hello");
  EXPECT_EQ(e.text(), "");
}

TEST(line_editor, edits_in_the_middle) {
  chat_line_editor e;
  e.feed(
      "helo\x1b[D"
      "l");
  EXPECT_EQ(e.text(), "hello");
  e.feed("\x01>\x05!\x7f?");
  EXPECT_EQ(e.text(), ">hello?");
  e.feed("\x1b[H\x1b[3~");
  EXPECT_EQ(e.text(), "hello?");
}

TEST(line_editor, deletes_whole_characters_and_words) {
  chat_line_editor e;
  e.feed("Grüße 漢字\x7f");
  EXPECT_EQ(e.text(), "Grüße 漢");
  e.feed("\x17");
  EXPECT_EQ(e.text(), "Grüße ");
  e.feed("\x15");
  EXPECT_EQ(e.text(), "");
}

TEST(line_editor, takes_sequences_and_characters_in_pieces) {
  chat_line_editor e;
  e.feed("ab\x1b");
  e.feed("[");
  e.feed("D");
  e.feed("\xC3");
  e.feed("\xBC");
  EXPECT_EQ(e.text(), "aüb");
}

TEST(line_editor, brings_older_lines_back_and_the_draft_after_them) {
  chat_line_editor e;
  e.feed("one\rtwo\rdra");
  e.feed("\x1b[A");
  EXPECT_EQ(e.text(), "two");
  e.feed("\x1b[A\x1b[A");
  EXPECT_EQ(e.text(), "one");
  e.feed("\x1b[B\x1b[B");
  EXPECT_EQ(e.text(), "dra");
}

TEST(line_editor, does_not_send_a_pasted_line_feed) {
  chat_line_editor e;
  const auto events = e.feed("\x1b[200~one\ntwo\x1b[201~");
  EXPECT_TRUE(events.empty());
  EXPECT_EQ(e.text(), "one two");
}

TEST(line_editor, gives_up_a_line_on_control_c_and_keeps_it_in_the_history) {
  chat_line_editor e;
  const auto events = e.feed("half\x03");
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].what, kind::interrupt);
  EXPECT_EQ(events[0].text, "half");
  e.feed("\x1b[A");
  EXPECT_EQ(e.text(), "half");
}

TEST(line_editor, ends_on_control_d_only_when_the_line_is_empty) {
  chat_line_editor e;
  EXPECT_TRUE(e.feed("a\x04").empty());
  const auto events = e.feed("\x7f\x04");
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].what, kind::end);
}

TEST(line_editor, shows_the_part_around_the_cursor) {
  std::setlocale(LC_CTYPE, "C.UTF-8");
  chat_line_editor e;
  e.feed("0123456789");
  EXPECT_EQ(e.visible(20).text, "0123456789");
  EXPECT_EQ(e.visible(20).cursor_column, 10u);
  EXPECT_EQ(e.visible(5).text, "6789");
  EXPECT_EQ(e.visible(5).cursor_column, 4u);
  e.feed("\x01");
  EXPECT_EQ(e.visible(5).text, "0123");
  EXPECT_EQ(e.visible(5).cursor_column, 0u);
}

TEST(line_editor, counts_a_wide_character_as_two_columns) {
  std::setlocale(LC_CTYPE, "C.UTF-8");
  chat_line_editor e;
  e.feed("漢字");
  EXPECT_EQ(e.visible(20).cursor_column, 4u);
}

TEST(line_editor, has_a_bound) {
  chat_line_editor e;
  e.feed(std::string(chat_line_editor::text_bytes_max + 100, 'x'));
  EXPECT_EQ(e.text().size(), chat_line_editor::text_bytes_max);
}

}  // namespace
}  // namespace rowcall::tools
