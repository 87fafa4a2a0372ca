#include "tools/rowcall/chat_line_editor.hpp"

#include <algorithm>

#include "tools/rowcall/format.hpp"

namespace rowcall::tools {
namespace {

constexpr bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }
constexpr char ctrl(char letter) { return static_cast<char>(letter & 0x1F); }
constexpr char escape_byte = 0x1B;
constexpr char delete_byte = 0x7F;

}  // namespace

std::vector<chat_line_editor::event> chat_line_editor::feed(std::string_view bytes) {
  std::vector<event> events;
  for (const char byte : bytes) take(byte, events);
  return events;
}

void chat_line_editor::take(char byte, std::vector<event>& events) {
  switch (state_) {
    case state::escape:
      state_ = state::plain;
      if (byte == '[') {
        state_ = state::csi;
        parameters_.clear();
      } else if (byte == 'O') {
        state_ = state::ss3;
      } else if (byte == 'b') {
        cursor_ = word_before();
      } else if (byte == 'f') {
        cursor_ = word_after();
      } else if (byte == 'd') {
        erase(cursor_, word_after());
      } else if (byte == delete_byte) {
        erase(word_before(), cursor_);
      } else if (byte == escape_byte) {
        state_ = state::escape;
      }
      return;
    case state::csi:
      if (byte >= 0x40 && byte <= 0x7E) {
        state_ = state::plain;
        csi(byte);
      } else if (parameters_.size() < 32) {
        parameters_ += byte;
      }
      return;
    case state::ss3:
      state_ = state::plain;
      parameters_.clear();
      csi(byte);
      return;
    case state::plain:
      break;
  }
  if (byte == escape_byte)
    state_ = state::escape;
  else if (pasting_ && (byte == '\r' || byte == '\n' || byte == '\t'))
    insert(' ');
  else if (static_cast<unsigned char>(byte) < 0x20 || byte == delete_byte)
    control(byte, events);
  else
    insert(byte);
}

void chat_line_editor::control(char byte, std::vector<event>& events) {
  switch (byte) {
    case '\r':
    case '\n':
      remember();
      events.push_back({event::kind::line, std::move(text_)});
      erase(0, std::string::npos);
      recalled_ = history_.size();
      return;
    case ctrl('C'):
      remember();  // given up, but not lost
      events.push_back({event::kind::interrupt, std::move(text_)});
      erase(0, std::string::npos);
      recalled_ = history_.size();
      return;
    case ctrl('D'):
      if (text_.empty())
        events.push_back({event::kind::end, {}});
      else
        erase(cursor_, after(cursor_));
      return;
    case ctrl('L'):
      events.push_back({event::kind::clear, {}});
      return;
    case ctrl('A'):
      cursor_ = 0;
      return;
    case ctrl('E'):
      cursor_ = text_.size();
      return;
    case ctrl('B'):
      cursor_ = before(cursor_);
      return;
    case ctrl('F'):
      cursor_ = after(cursor_);
      return;
    case ctrl('H'):
    case delete_byte:
      erase(before(cursor_), cursor_);
      return;
    case ctrl('K'):
      erase(cursor_, text_.size());
      return;
    case ctrl('U'):
      erase(0, cursor_);
      return;
    case ctrl('W'):
      erase(word_before(), cursor_);
      return;
    case ctrl('P'):
      recall(-1);
      return;
    case ctrl('N'):
      recall(+1);
      return;
    case '\t':
      insert(' ');
      return;
    default:
      return;
  }
}

void chat_line_editor::csi(char final_byte) {
  const bool by_word = parameters_ == "1;5" || parameters_ == "1;3";
  switch (final_byte) {
    case 'A':
      recall(-1);
      return;
    case 'B':
      recall(+1);
      return;
    case 'C':
      cursor_ = by_word ? word_after() : after(cursor_);
      return;
    case 'D':
      cursor_ = by_word ? word_before() : before(cursor_);
      return;
    case 'H':
      cursor_ = 0;
      return;
    case 'F':
      cursor_ = text_.size();
      return;
    case '~':
      if (parameters_ == "1" || parameters_ == "7") cursor_ = 0;
      if (parameters_ == "4" || parameters_ == "8") cursor_ = text_.size();
      if (parameters_ == "3") erase(cursor_, after(cursor_));
      if (parameters_ == "200") pasting_ = true;
      if (parameters_ == "201") pasting_ = false;
      return;
    default:
      return;
  }
}

void chat_line_editor::insert(char byte) {
  if (text_.size() >= text_bytes_max) return;
  text_.insert(cursor_, 1, byte);
  ++cursor_;
}

std::size_t chat_line_editor::before(std::size_t at) const {
  while (at > 0 && is_continuation(text_[--at])) {
  }
  return at;
}

std::size_t chat_line_editor::after(std::size_t at) const {
  if (at < text_.size()) ++at;
  while (at < text_.size() && is_continuation(text_[at])) ++at;
  return at;
}

std::size_t chat_line_editor::word_before() const {
  auto at = cursor_;
  while (at > 0 && text_[at - 1] == ' ') --at;
  while (at > 0 && text_[at - 1] != ' ') --at;
  return at;
}

std::size_t chat_line_editor::word_after() const {
  auto at = cursor_;
  while (at < text_.size() && text_[at] == ' ') ++at;
  while (at < text_.size() && text_[at] != ' ') ++at;
  return at;
}

void chat_line_editor::erase(std::size_t from, std::size_t to) {
  if (from < text_.size()) text_.erase(from, to == std::string::npos ? to : to - from);
  cursor_ = std::min(from, text_.size());
}

void chat_line_editor::remember() {
  if (text_.empty() || (!history_.empty() && history_.back() == text_)) return;
  history_.push_back(text_);
  if (history_.size() > history_lines_max) history_.pop_front();
}

void chat_line_editor::recall(std::ptrdiff_t step) {
  if (recalled_ == history_.size()) draft_ = text_;
  const auto wanted = static_cast<std::ptrdiff_t>(recalled_) + step;
  if (wanted < 0 || wanted > static_cast<std::ptrdiff_t>(history_.size())) return;
  recalled_ = static_cast<std::size_t>(wanted);
  text_ = recalled_ == history_.size() ? draft_ : history_[recalled_];
  cursor_ = text_.size();
}

chat_line_editor::view chat_line_editor::visible(std::size_t columns) const {
  if (columns == 0) return {};
  const auto width = [this](std::size_t from, std::size_t to) {
    return display_width(std::string_view{text_}.substr(from, to - from));
  };
  // Scroll so that the cursor is inside, with some text before it; one column is left for the cursor itself.
  std::size_t from = 0;
  while (width(from, cursor_) >= columns) from = after(from);
  std::size_t to = cursor_;
  while (to < text_.size() && width(from, after(to)) < columns) to = after(to);
  return {sanitised(std::string_view{text_}.substr(from, to - from)), width(from, cursor_)};
}

}  // namespace rowcall::tools
