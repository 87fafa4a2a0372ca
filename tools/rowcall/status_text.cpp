#include "tools/rowcall/status_text.hpp"

#include <cstdio>

#include "engine/json.hpp"
#include "tools/connect/duration.hpp"
#include "tools/rowcall/format.hpp"

namespace rowcall::tools {

std::string status_json(const engine::status_report& s) {
  engine::json::writer w;
  w.begin_object().key("sessions").number(s.sessions).key("pending_commands").number(s.pending_commands);
  w.key("pending_sessions").number(s.pending_sessions).key("pending_is_exact").boolean(s.pending_is_exact);
  w.key("oldest_pending_age_ms").number(std::int64_t{s.oldest_pending_age.count()});
  w.key("unserved_commands").number(s.unserved_commands).key("unserved_kinds").begin_array();
  for (const auto& kind : s.unserved_kinds) w.string(kind);
  w.end_array().key("retrying").number(s.retrying).key("retrying_sessions").begin_array();
  for (const auto& r : s.retrying_sessions) {
    w.begin_object().key("session").string(r.session.str()).key("command_seq").number(r.retry.command.value);
    w.key("attempts")
        .number(std::int64_t{r.retry.attempts})
        .key("next_in_ms")
        .number(std::int64_t{r.retry.wait.count()});
    w.key("error").string(r.retry.last_error).end_object();
  }
  w.end_array().key("dead").number(s.dead);
  w.key("turns_per_s").number(s.turns_per_s).key("commands_per_s").number(s.commands_per_s);
  w.key("schema_version").number(std::int64_t{s.schema_version}).key("nodes").begin_array();
  for (const auto& node : s.nodes) {
    w.begin_object().key("node").string(node.node).key("kinds").begin_array();
    for (const auto& kind : node.kinds) w.string(kind);
    w.end_array().key("uptime_s").number(std::int64_t{node.uptime.count()});
    w.key("heartbeat_age_ms").number(std::int64_t{node.heartbeat_age.count()});
    w.key("version").string(node.version).end_object();
  }
  w.end_array().end_object();
  return std::move(w).str();
}

std::string status_text(const engine::status_report& s) {
  std::string out = "sessions          " + format_count(s.sessions) + "\n";
  out += std::string{"pending commands  "} + (s.pending_is_exact ? "" : "at least ") + format_count(s.pending_commands);
  if (s.pending_commands > 0)
    out += " in " + format_count(s.pending_sessions, "session") + ", the oldest for " +
           describe_duration(s.oldest_pending_age);
  out += "\n";
  if (s.unserved_commands > 0)
    out += "                  " + format_count(s.unserved_commands) +
           (s.unserved_commands == 1 ? " of them waits" : " of them wait") +
           " for a kind that no running engine serves" + (s.unserved_kinds.empty() ? "" : ": ") +
           joined(s.unserved_kinds) + "\n";
  out += "retrying          " + format_count(s.retrying) + "\n";
  for (const auto& r : s.retrying_sessions)
    out += "                  " + r.session.str() + " command " + std::to_string(r.retry.command.value) + ": " +
           format_count(r.retry.attempts, "attempt") + ", " +
           (r.retry.wait.count() == 0 ? "due now" : "again in " + describe_duration(r.retry.wait)) +
           (r.retry.last_error.empty() ? "" : ", ") + sanitised(r.retry.last_error) + "\n";
  if (const auto more = s.retrying - std::ssize(s.retrying_sessions); more > 0 && !s.retrying_sessions.empty())
    out += "                  and " + format_count(more) + " more\n";
  out += "dead letters      " + format_count(s.dead) + (s.dead > 0 ? "  (see `rowcall dead list`)" : "") + "\n";
  char rate[96];
  std::snprintf(rate, sizeof rate, "rate              %.1f turns/s, %.1f commands/s\n", s.turns_per_s,
                s.commands_per_s);
  out += rate;
  out += "schema            version " + std::to_string(s.schema_version);
  if (s.nodes.empty()) return out + "\nengines           none is running: start one with `rowcall serve`";
  for (std::size_t i = 0; i < s.nodes.size(); ++i) {
    const auto& node = s.nodes[i];
    out += std::string{"\n"} + (i == 0 ? "engines           " : "                  ") + sanitised(node.node) + ": " +
           joined(node.kinds, " ") + "; up " + describe_duration(node.uptime) + ", heard " + describe_duration(node.heartbeat_age) +
           " ago" + (node.version.empty() ? "" : ", version ") + sanitised(node.version);
  }
  return out;
}

}  // namespace rowcall::tools
