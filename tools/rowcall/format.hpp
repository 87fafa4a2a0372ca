#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/ports.hpp"

/// How things are shown to people and to scripts.
namespace rowcall::tools {

/// "2025-05-26T07:00:00.123456Z".
std::string format_time(engine::db_time t);

/// "07:00:12" in the local time zone, for a chat.
std::string format_clock(engine::db_time t);

/// Text of others made safe for a terminal: control characters (C0, DEL, C1), escape sequences, line and paragraph
/// separators, bidirectional overrides and invalid UTF-8 become U+FFFD or a space. Nothing that is left moves the
/// cursor.
std::string sanitised(std::string_view text);

/// Columns that (sanitised) UTF-8 text takes on a terminal; wide characters take two.
std::size_t display_width(std::string_view text);

/// One update as a line, without the line feed. For people: seq, time, type, data. For scripts: a JSON object with
/// session, seq, command_seq, type, data, at.
std::string format_update(const engine::session_id& session, const engine::update_row& update, bool json);

/// All of them, with something in between.
std::string joined(const std::vector<std::string>& words, std::string_view between = ", ");

/// 1234567 as "1,234,567".
std::string format_count(std::int64_t n);
/// With its word, which takes an s in the plural: "1 session", "1,234 sessions".
std::string format_count(std::int64_t n, std::string_view word);

}  // namespace rowcall::tools
