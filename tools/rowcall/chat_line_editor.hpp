#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace rowcall::tools {

/// The input line of a terminal in raw mode. Pure: bytes of the terminal in, events and a view out; so the line can be
/// drawn again whenever something else was printed. UTF-8, bracketed paste, the usual Emacs keys, a history.
class chat_line_editor {
 public:
  static constexpr std::size_t text_bytes_max = 32 * 1024;
  static constexpr std::size_t history_lines_max = 200;

  struct event {
    enum class kind {
      line,       ///< Enter: `text` is the line
      end,        ///< Ctrl-D on an empty line
      interrupt,  ///< Ctrl-C: the line was given up; `text` is what stood there
      clear,      ///< Ctrl-L: clear the screen
    };
    kind what = kind::line;
    std::string text;
  };

  /// Takes what the terminal sent, in pieces of any size.
  std::vector<event> feed(std::string_view bytes);

  /// What fits into `columns` around the cursor, and the column of the cursor in it.
  struct view {
    std::string text;
    std::size_t cursor_column = 0;
  };
  view visible(std::size_t columns) const;
  const std::string& text() const { return text_; }

 private:
  enum class state { plain, escape, csi, ss3 };

  void take(char byte, std::vector<event>& events);
  void control(char byte, std::vector<event>& events);
  void csi(char final_byte);
  void insert(char byte);
  std::size_t before(std::size_t at) const;  ///< start of the character before
  std::size_t after(std::size_t at) const;   ///< end of the character at
  std::size_t word_before() const;
  std::size_t word_after() const;
  void erase(std::size_t from, std::size_t to);
  void remember();
  void recall(std::ptrdiff_t step);

  std::string text_;
  std::size_t cursor_ = 0;  ///< byte offset, at a character's start
  state state_ = state::plain;
  std::string parameters_;  ///< of the control sequence being read
  bool pasting_ = false;
  std::deque<std::string> history_;
  std::size_t recalled_ = 0;  ///< index into history_; its size = the line being written
  std::string draft_;         ///< the line being written while an older one is shown
};

}  // namespace rowcall::tools
