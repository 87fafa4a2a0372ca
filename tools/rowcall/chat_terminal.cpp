#include "tools/rowcall/chat_terminal.hpp"

#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>

#include "tools/rowcall/format.hpp"

namespace rowcall::tools {
namespace {

constexpr std::size_t pending_lines_max = 5;

termios saved_mode;
bool mode_is_saved = false;

void restore_mode() {
  if (!mode_is_saved) return;
  mode_is_saved = false;
  tcsetattr(STDIN_FILENO, TCSANOW, &saved_mode);
}

bool enter_raw_mode() {
  if (tcgetattr(STDIN_FILENO, &saved_mode) != 0) return false;
  mode_is_saved = true;
  std::atexit(restore_mode);  // also when something calls exit
  termios raw = saved_mode;
  raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO | ISIG | IEXTEN);
  raw.c_iflag &= ~static_cast<tcflag_t>(IXON | ICRNL | INLCR | IGNCR | ISTRIP);
  raw.c_cc[VMIN] = 0;
  raw.c_cc[VTIME] = 0;
  return tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
}

std::size_t terminal_columns() {
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 20) return 80;
  return size.ws_col;
}

/// At most `columns` wide, by characters, with "…" when something was cut.
std::string cut_to(const std::string& text, std::size_t columns) {
  if (display_width(text) <= columns) return text;
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    auto next = at + 1;
    while (next < text.size() && (static_cast<unsigned char>(text[next]) & 0xC0) == 0x80) ++next;
    if (display_width(out) + display_width(text.substr(at, next - at)) + 1 > columns) break;
    out += text.substr(at, next - at);
    at = next;
  }
  return out + "…";
}

const char* colour_of(const std::string& name) {
  constexpr std::array codes = {"36", "33", "35", "34", "31", "96", "93", "95"};
  return codes[engine::fnv1a_64(name) % codes.size()];
}

}  // namespace

chat_terminal::chat_terminal(bool colour) {
  is_interactive_ = isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1 && enter_raw_mode();
  const char* no_colour = std::getenv("NO_COLOR");
  has_colour_ = is_interactive_ && colour && (no_colour == nullptr || *no_colour == '\0');
  if (is_interactive_) write_out("\x1b[?2004h");  // bracketed paste: a pasted line feed sends nothing
}

chat_terminal::~chat_terminal() {
  if (!is_interactive_) return;
  finish();
  write_out("\x1b[?2004l");
  restore_mode();
}

std::string chat_terminal::coloured(const char* code, const std::string& text) const {
  return has_colour_ ? "\x1b[" + std::string{code} + "m" + text + "\x1b[0m" : text;
}

std::string chat_terminal::formatted(const chat_line& line) const {
  const auto text = sanitised(line.text);
  std::string head = line.at ? format_clock(*line.at) + " " : "";
  if (!is_interactive_ && !line.room.empty()) head = "#" + line.room + " " + head;
  switch (line.what) {
    case chat_line::kind::message:
      return coloured("2", head) + coloured(colour_of(line.sender), sanitised(line.sender) + ":") + " " + text;
    case chat_line::kind::own_message:
      return coloured("2", head) + coloured("1;32", sanitised(line.sender) + (is_interactive_ ? " (you):" : ":")) +
             " " + text;
    case chat_line::kind::notice:
      return coloured("2", head + "-- " + text);
    case chat_line::kind::error:
      return coloured("31", "! " + text);
  }
  return text;
}

void chat_terminal::append_foot(std::string& out, const foot& f) {
  const auto columns = terminal_columns();
  foot_lines_ = 0;
  const auto line = [&](const std::string& text) {
    out += coloured("2", cut_to(text, columns - 1)) + "\r\n";
    ++foot_lines_;
  };
  if (!f.status.empty()) line("~~ " + f.status);
  const auto skipped = f.pending.size() > pending_lines_max ? f.pending.size() - pending_lines_max : 0;
  if (skipped > 0) line("  … " + std::to_string(skipped) + " more on the way");
  for (auto i = skipped; i < f.pending.size(); ++i) line("  … " + sanitised(f.pending[i]));
  auto prompt = sanitised(f.prompt);
  auto width = display_width(prompt);
  if (width + 20 > columns) prompt = "> ", width = 2;
  const auto view = editor.visible(columns - width - 1);
  out += coloured("1", prompt) + view.text + "\r";
  if (width + view.cursor_column > 0) out += "\x1b[" + std::to_string(width + view.cursor_column) + "C";
  foot_drawn_ = true;
}

void chat_terminal::show(const std::vector<chat_line>& lines, const foot& f) {
  std::string out;
  if (!is_interactive_) {
    for (const auto& line : lines) out += formatted(line) + "\n";
    return write_out(out);
  }
  const auto lines_before = foot_lines_;
  std::string drawn;
  append_foot(drawn, f);
  if (lines.empty() && drawn == last_foot_) return;
  if (!last_foot_.empty()) {
    out += "\r";
    if (lines_before > 0) out += "\x1b[" + std::to_string(lines_before) + "A";
    out += "\x1b[J";
  }
  for (const auto& line : lines) out += formatted(line) + "\r\n";
  last_foot_ = std::move(drawn);
  write_out(out + last_foot_);
}

void chat_terminal::clear_screen() {
  if (!is_interactive_) return;
  write_out("\x1b[H\x1b[2J");
  foot_lines_ = 0;
  last_foot_.clear();
}

void chat_terminal::finish() {
  if (!is_interactive_ || !foot_drawn_) return;
  std::string out = "\r";
  if (foot_lines_ > 0) out += "\x1b[" + std::to_string(foot_lines_) + "A";
  write_out(out + "\x1b[J");
  foot_drawn_ = false;
  foot_lines_ = 0;
  last_foot_.clear();
}

void chat_terminal::write_out(const std::string& out) {
  for (std::size_t at = 0; at < out.size();) {
    const auto written = write(STDOUT_FILENO, out.data() + at, out.size() - at);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;  // nobody reads any more; the loop sees the hang-up on stdin
    at += static_cast<std::size_t>(written);
  }
}

}  // namespace rowcall::tools
