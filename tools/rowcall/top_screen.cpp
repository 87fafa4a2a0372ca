#include "tools/rowcall/top_screen.hpp"

#include <algorithm>
#include <cstdio>

#include "engine/json.hpp"
#include "tools/connect/duration.hpp"
#include "tools/rowcall/format.hpp"
#include "tools/rowcall/status_text.hpp"

namespace rowcall::tools {
namespace {

std::string padded(std::string text, std::size_t columns) {
  const auto width = display_width(text);
  return width < columns ? text + std::string(columns - width, ' ') : text;
}

/// Padded, and never without a space before what comes next.
std::string column(std::string text, std::size_t columns) { return padded(std::move(text), columns - 1) + " "; }

std::string right(const std::string& text, std::size_t columns) {
  return (text.size() < columns ? std::string(columns - text.size(), ' ') : "") + text;
}

std::string rate(double per_s) {
  char text[48];
  std::snprintf(text, sizeof text, "%.1f", per_s);
  return text;
}

std::vector<std::string> lines_of(const top_view& v) {
  const auto& s = v.status;
  std::vector<std::string> lines;
  lines.push_back("rowcall top  " + v.clock);
  if (!v.error.empty()) lines.push_back("OLD FIGURES: " + sanitised(v.error));
  lines.push_back("");
  auto work = "commands/s  " + padded(rate(s.commands_per_s), 12) + "turns/s  " + padded(rate(s.turns_per_s), 10);
  if (s.turns_per_s > 0) work += "commands a turn  " + rate(s.commands_per_s / s.turns_per_s);
  lines.push_back(work);
  auto pending =
      std::string{"pending     "} + (s.pending_is_exact ? "" : "at least ") + format_count(s.pending_commands);
  if (s.pending_commands > 0)
    pending += " in " + format_count(s.pending_sessions, "session") + ", the oldest for " +
               describe_duration(s.oldest_pending_age);
  if (v.pending_change_per_s >= 0.05 || v.pending_change_per_s <= -0.05)
    pending += std::string{"  ("} + (v.pending_change_per_s > 0 ? "+" : "") + rate(v.pending_change_per_s) + "/s)";
  lines.push_back(pending);
  if (s.unserved_commands > 0)
    lines.push_back("            " + format_count(s.unserved_commands) +
                    (s.unserved_commands == 1 ? " waits" : " wait") + " for a kind that no running engine serves");
  lines.push_back("retrying    " + padded(format_count(s.retrying), 12) + "dead letters  " +
                  padded(format_count(s.dead), 10) + "sessions  " + format_count(s.sessions));
  lines.push_back("");
  if (s.nodes.empty()) {
    lines.push_back("no engine is running: start one with `rowcall serve`");
  } else {
    constexpr std::size_t name_columns_max = 40, duration_columns = 12, version_columns = 9;
    std::size_t name_columns = 12;
    for (const auto& n : s.nodes) name_columns = std::max(name_columns, display_width(sanitised(n.node)) + 2);
    name_columns = std::min(name_columns, name_columns_max);
    lines.push_back(column("engine", name_columns) + column("up", duration_columns) +
                    column("heard", duration_columns) + column("version", version_columns) + "kinds");
    for (const auto& n : s.nodes)
      lines.push_back(column(sanitised(n.node), name_columns) + column(describe_duration(n.uptime), duration_columns) +
                      column(describe_duration(n.heartbeat_age), duration_columns) +
                      column(sanitised(n.version), version_columns) + joined(n.kinds, " "));
  }
  if (!v.busiest.empty()) {
    lines.push_back("");
    lines.push_back(padded("busiest session", 40) + right("pending", 10) + right("oldest", 10) + right("lately", 10));
    for (const auto& b : v.busiest)
      lines.push_back(padded(b.session.str(), 40) + right(format_count(b.pending_commands), 10) +
                      right(b.pending_commands > 0 ? describe_duration(b.oldest_pending_age) : "-", 10) +
                      right(format_count(b.recent_commands), 10));
  }
  return lines;
}

/// The longest beginning that takes at most this many columns; what is left out shows as an ellipsis.
std::string cut(const std::string& text, std::size_t columns) {
  if (display_width(text) <= columns) return text;
  if (columns == 0) return {};
  std::size_t end = 0;
  for (std::size_t next = 1; next <= text.size(); ++next) {
    if (next < text.size() && (static_cast<unsigned char>(text[next]) & 0xC0) == 0x80) continue;  // within a character
    if (display_width(std::string_view{text}.substr(0, next)) > columns - 1) break;
    end = next;
  }
  return text.substr(0, end) + "…";
}

}  // namespace

std::string top_screen(const top_view& v, screen_size size) {
  auto lines = lines_of(v);
  lines.front() += "  (q quits)";
  if (lines.size() > size.rows) lines.resize(size.rows);
  std::string out;
  for (std::size_t i = 0; i < lines.size(); ++i) out += (i == 0 ? "" : "\r\n") + cut(lines[i], size.columns) + "\x1b[K";
  return out;
}

std::string top_text(const top_view& v) {
  std::string out;
  for (const auto& line : lines_of(v)) out += (out.empty() ? "" : "\n") + line;
  return out;
}

std::string top_json(const top_view& v) {
  engine::json::writer w;
  w.begin_object().key("status").raw(status_json(v.status)).key("busiest").begin_array();
  for (const auto& b : v.busiest) {
    w.begin_object().key("session").string(b.session.str()).key("pending_commands").number(b.pending_commands);
    w.key("oldest_pending_age_ms").number(std::int64_t{b.oldest_pending_age.count()});
    w.key("recent_commands").number(b.recent_commands).end_object();
  }
  w.end_array().end_object();
  return std::move(w).str();
}

}  // namespace rowcall::tools
