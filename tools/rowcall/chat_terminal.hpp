#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "tools/rowcall/chat_line_editor.hpp"
#include "tools/rowcall/chat_model.hpp"

namespace rowcall::tools {

/// What the chat writes to. On a terminal: the conversation scrolls, and below it stands a foot of what is pending and
/// the input line, which is taken away and drawn again around everything that is printed. On a pipe: plain lines.
class chat_terminal {
 public:
  struct foot {
    std::string status;                ///< one line, empty for none
    std::vector<std::string> pending;  ///< sent, not yet confirmed
    std::string prompt;
  };

  /// Raw mode while it lives, when stdin and stdout are a terminal.
  explicit chat_terminal(bool colour);
  ~chat_terminal();
  chat_terminal(const chat_terminal&) = delete;

  bool is_interactive() const { return is_interactive_; }
  /// Prints the lines above the foot and draws the foot again.
  void show(const std::vector<chat_line>& lines, const foot& f);
  void clear_screen();
  /// Takes the foot away for good: before the end.
  void finish();

  chat_line_editor editor;

 private:
  std::string formatted(const chat_line& line) const;
  std::string coloured(const char* code, const std::string& text) const;
  void append_foot(std::string& out, const foot& f);
  void write_out(const std::string& out);

  bool is_interactive_ = false;
  bool has_colour_ = false;
  std::size_t foot_lines_ = 0;  ///< above the input line
  bool foot_drawn_ = false;
  std::string last_foot_;
};

}  // namespace rowcall::tools
