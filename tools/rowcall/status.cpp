#include <unistd.h>

#include <cstdio>

#include "tools/connect/duration.hpp"
#include "tools/rowcall/actions.hpp"
#include "tools/rowcall/format.hpp"
#include "tools/rowcall/stop_signal.hpp"

namespace rowcall::tools {
namespace {

void print_json(const engine::status_report& s) {
  engine::json::writer w;
  w.begin_object().key("sessions").number(s.sessions).key("pending_commands").number(s.pending_commands);
  w.key("pending_sessions").number(s.pending_sessions).key("pending_is_exact").boolean(s.pending_is_exact);
  w.key("oldest_pending_age_ms").number(std::int64_t{s.oldest_pending_age.count()});
  w.key("unserved_commands").number(s.unserved_commands).key("retrying").number(s.retrying).key("dead").number(s.dead);
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
  std::printf("%s\n", w.str().c_str());
}

void print_text(const engine::status_report& s) {
  std::printf("sessions          %s\n", format_count(s.sessions).c_str());
  std::printf("pending commands  %s%s", s.pending_is_exact ? "" : "at least ",
              format_count(s.pending_commands).c_str());
  if (s.pending_commands > 0)
    std::printf(" in %s sessions, the oldest for %s", format_count(s.pending_sessions).c_str(),
                describe_duration(s.oldest_pending_age).c_str());
  std::printf("\n");
  if (s.unserved_commands > 0)
    std::printf("                  %s of them wait for a kind that no running engine serves\n",
                format_count(s.unserved_commands).c_str());
  std::printf("retrying          %s\n", format_count(s.retrying).c_str());
  std::printf("dead letters      %s%s\n", format_count(s.dead).c_str(),
              s.dead > 0 ? "  (see `rowcall dead list`)" : "");
  std::printf("rate              %.1f turns/s, %.1f commands/s\n", s.turns_per_s, s.commands_per_s);
  std::printf("schema            version %d\n", s.schema_version);
  if (s.nodes.empty()) {
    std::printf("engines           none is running: start one with `rowcall serve`\n");
    return;
  }
  for (std::size_t i = 0; i < s.nodes.size(); ++i) {
    const auto& node = s.nodes[i];
    std::string kinds;
    for (const auto& kind : node.kinds) kinds += (kinds.empty() ? "" : " ") + kind;
    std::printf("%-18s%s: %s; up %s, heard %s ago%s%s\n", i == 0 ? "engines" : "", sanitised(node.node).c_str(),
                kinds.c_str(), describe_duration(node.uptime).c_str(), describe_duration(node.heartbeat_age).c_str(),
                node.version.empty() ? "" : ", version ", sanitised(node.version).c_str());
  }
}

}  // namespace

exit_code run(const global_options& global, const status_options& options) {
  if (auto checked = check_database(global.connection); !checked) return fail_with(checked.error());
  const auto store = storage::postgres::make_admin_store(store_config_of(global.connection, "status"));
  if (!options.watch) {
    auto report = store->status();
    if (!report) return fail_with(report.error());
    global.json ? print_json(*report) : print_text(*report);
    return exit_code::ok;
  }
  stop_signal stop;
  const bool redraw = !global.json && isatty(STDOUT_FILENO) == 1;
  do {
    auto report = store->status();
    if (redraw) std::printf("\x1b[H\x1b[2J");
    if (!report)
      print_error(report.error());  // the store reconnects by itself: keep looking
    else
      global.json ? print_json(*report) : print_text(*report);
    if (std::fflush(stdout) != 0) break;
  } while (!stop.wait_for(options.interval));
  return exit_code::ok;
}

}  // namespace rowcall::tools
