#include "gateway/internal/update_text.hpp"

#include <algorithm>
#include <cstdio>
#include <ctime>

#include "engine/json.hpp"

namespace rowcall::gateway::internal {

std::string time_text(engine::db_time t) {
  const auto us = t.time_since_epoch().count();
  auto seconds = static_cast<std::time_t>(us / 1'000'000);
  auto rest = us % 1'000'000;
  if (rest < 0) {
    rest += 1'000'000;
    --seconds;
  }
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char text[80];
  std::snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", utc.tm_year + 1900, utc.tm_mon + 1,
                utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, static_cast<int>(rest));
  return text;
}

std::string update_text(const engine::session_id& session, const engine::update_row& update) {
  std::string out;
  out.reserve(update.data.size() + session.str().size() + update.type.size() + 120);
  out += "{\"session\":\"";
  out += session.str();  // of A-Z a-z 0-9 _ -
  out += "\",\"seq\":";
  out += std::to_string(update.seq.value);
  out += ",\"command_seq\":";
  out += std::to_string(update.command.value);
  out += ",\"type\":";
  engine::json::append_quoted(out, update.type);
  out += ",\"data\":";
  const auto data_at = out.size();
  out += update.data;
  // A line feed can only be white space between tokens; in an event stream it would end the line.
  std::replace_if(
      out.begin() + static_cast<std::ptrdiff_t>(data_at), out.end(), [](char c) { return c == '\n' || c == '\r'; },
      ' ');
  out += ",\"at\":\"";
  out += time_text(update.created_at);
  out += "\"}";
  return out;
}

}  // namespace rowcall::gateway::internal
