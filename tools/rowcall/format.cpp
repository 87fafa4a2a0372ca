#include "tools/rowcall/format.hpp"

#include <cstdio>
#include <ctime>
#include <cwchar>

namespace rowcall::tools {
namespace {

/// Reads one code point at `at` and moves on. False for an invalid byte (one is skipped).
bool next_code_point(std::string_view text, std::size_t& at, char32_t& out) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto first = byte(at);
  std::size_t length = 1;
  char32_t value = first, least = 0;
  if (first >= 0xF0 && first < 0xF8)
    length = 4, value = first & 0x07u, least = 0x10000;
  else if (first >= 0xE0)
    length = 3, value = first & 0x0Fu, least = 0x800;
  else if (first >= 0xC0)
    length = 2, value = first & 0x1Fu, least = 0x80;
  else if (first >= 0x80)
    length = 0;
  bool valid = length != 0 && first < 0xF8 && at + length <= text.size();
  for (std::size_t i = 1; valid && i < length; ++i) {
    valid = (byte(at + i) & 0xC0) == 0x80;
    value = (value << 6) | (byte(at + i) & 0x3Fu);
  }
  if (!valid || value < least || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) {
    ++at;
    return false;
  }
  at += length;
  out = value;
  return true;
}

bool is_harmful(char32_t c) {
  return c < 0x20 || (c >= 0x7F && c <= 0x9F) ||                          // C0, DEL, C1: escape sequences start here
         c == 0x200E || c == 0x200F || c == 0x061C ||                     // direction marks
         (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069) ||  // overrides: text that reads backwards
         c == 0x2028 || c == 0x2029 || c == 0xFEFF || (c >= 0xFFF9 && c <= 0xFFFB) || (c >= 0xE0000 && c <= 0xE007F);
}

std::tm broken_down(engine::db_time t, bool local) {
  const std::time_t seconds = std::chrono::floor<std::chrono::seconds>(t).time_since_epoch().count();
  std::tm tm{};
  if (local)
    localtime_r(&seconds, &tm);
  else
    gmtime_r(&seconds, &tm);
  return tm;
}

}  // namespace

std::string format_time(engine::db_time t) {
  const auto tm = broken_down(t, false);
  const auto us = (t - std::chrono::floor<std::chrono::seconds>(t)).count();
  char text[48];
  const auto length = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
  std::snprintf(text + length, sizeof text - length, ".%06dZ", static_cast<int>(us));
  return text;
}

std::string format_clock(engine::db_time t) {
  const auto tm = broken_down(t, true);
  char text[16];
  std::strftime(text, sizeof text, "%H:%M:%S", &tm);
  return text;
}

std::string sanitised(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const auto begin = at;
    char32_t c = 0;
    if (!next_code_point(text, at, c))
      out += "\xEF\xBF\xBD";
    else if (c == '\t' || c == '\n' || c == '\r' || c == 0x2028 || c == 0x2029)
      out += ' ';
    else if (is_harmful(c))
      out += "\xEF\xBF\xBD";
    else
      out += text.substr(begin, at - begin);
  }
  return out;
}

std::size_t display_width(std::string_view text) {
  std::size_t width = 0;
  for (std::size_t at = 0; at < text.size();) {
    char32_t c = 0;
    if (!next_code_point(text, at, c)) {
      ++width;
      continue;
    }
    const int columns = c < 0x80 ? 1 : wcwidth(static_cast<wchar_t>(c));
    width += columns > 0 ? static_cast<std::size_t>(columns) : 0;
  }
  return width;
}

std::string format_update(const engine::session_id& session, const engine::update_row& update, bool json) {
  if (json) {
    engine::json::writer w;
    w.begin_object().key("session").string(session.str()).key("seq").number(update.seq.value);
    w.key("command_seq").number(update.command.value).key("type").string(update.type);
    w.key("data").raw(update.data).key("at").string(format_time(update.created_at)).end_object();
    return std::move(w).str();
  }
  char head[96];
  std::snprintf(head, sizeof head, "%8lld  %s  ", static_cast<long long>(update.seq.value),
                format_time(update.created_at).c_str());
  return head + sanitised(update.type) + "  " + sanitised(update.data);
}

std::string joined(const std::vector<std::string>& words, std::string_view between) {
  std::string out;
  for (const auto& word : words) {
    if (!out.empty()) out += between;
    out += word;
  }
  return out;
}

std::string format_count(std::int64_t n) {
  auto text = std::to_string(n < 0 ? -n : n);
  for (auto at = static_cast<std::ptrdiff_t>(text.size()) - 3; at > 0; at -= 3)
    text.insert(static_cast<std::size_t>(at), 1, ',');
  return n < 0 ? "-" + text : text;
}

std::string format_count(std::int64_t n, std::string_view word) {
  return format_count(n) + " " + std::string{word} + (n == 1 ? "" : "s");
}

}  // namespace rowcall::tools
