#include <cstdio>

#include "storage/postgres/inspector.hpp"
#include "tools/connect/duration.hpp"
#include "tools/rowcall/actions.hpp"
#include "tools/rowcall/format.hpp"
#include "tools/rowcall/stop_bound.hpp"
#include "tools/rowcall/stop_signal.hpp"

namespace rowcall::tools {
namespace {

using storage::postgres::kept_rows;

void add_part(engine::json::writer& w, std::string_view name, const kept_rows::part& p) {
  w.key(name).begin_object().key("sessions").number(p.sessions).key("commands").number(p.commands);
  w.key("updates").number(p.updates).end_object();
}

/// `kept`: nothing when it was not counted.
void print_json(const engine::cleanup_report& total, const std::optional<kept_rows>& kept) {
  engine::json::writer w;
  w.begin_object().key("commands").number(total.commands).key("updates").number(total.updates);
  w.key("snapshots").number(total.snapshots).key("domain_rows").number(total.domain_rows);
  w.key("more").boolean(total.more).key("kept");
  if (kept) {
    w.begin_object();
    add_part(w, "without_snapshot", kept->without_snapshot);
    add_part(w, "above_snapshot", kept->above_snapshot);
    w.key("is_exact").boolean(kept->is_exact).end_object();
  } else {
    w.null();
  }
  w.end_object();
  std::printf("%s\n", w.str().c_str());
}

std::string text_of(const kept_rows::part& p) {
  return format_count(p.commands, "command") + " and " + format_count(p.updates, "update") + " of " +
         format_count(p.sessions, "session");
}

void print_kept(const kept_rows& kept) {
  const char* at_least = kept.is_exact ? "" : "at least ";
  if (kept.without_snapshot.sessions > 0)
    std::printf("kept, though older: %s%s without a snapshot (the first is made after --snapshot-interval-updates)\n",
                at_least, text_of(kept.without_snapshot).c_str());
  if (kept.above_snapshot.sessions > 0)
    std::printf("kept, though older: %s%s above the last snapshot (until the next one is made)\n", at_least,
                text_of(kept.above_snapshot).c_str());
}

}  // namespace

exit_code run(const global_options& global, const cleanup_options& options) {
  if (auto checked = check_database(global.connection); !checked) return fail_with(checked.error());
  stop_signal stop;
  const stop_bound bound{stop, interrupt_bound};
  const auto config = store_config_of(global.connection, "cleanup");
  const auto store = storage::postgres::make_node_store(config);
  const engine::cleanup_request request{std::chrono::duration_cast<std::chrono::seconds>(options.older_than),
                                        options.chunk_rows};
  engine::cleanup_report total;
  do {
    auto chunk = store->cleanup(request);
    if (!chunk) return fail_with(chunk.error());
    total.commands += chunk->commands;
    total.updates += chunk->updates;
    total.snapshots += chunk->snapshots;
    total.domain_rows += chunk->domain_rows;
    total.more = chunk->more;
  } while (total.more && !stop.is_stopped());
  if (!global.json) {
    std::printf("deleted %s commands, %s updates, %s snapshots and %s domain rows older than %s%s\n",
                format_count(total.commands).c_str(), format_count(total.updates).c_str(),
                format_count(total.snapshots).c_str(), format_count(total.domain_rows).c_str(),
                format_duration(options.older_than).c_str(), total.more ? "; stopped early, there is more" : "");
    std::fflush(stdout);  // the count takes a moment, and may be interrupted
  }
  std::optional<kept_rows> kept;
  if (!stop.is_stopped()) {
    if (auto counted = storage::postgres::find_kept_rows(config, request.older_than))
      kept = *counted;
    else
      std::fprintf(stderr, "rowcall: what is kept could not be counted: %s\n", counted.error().message.c_str());
  }
  if (global.json)
    print_json(total, kept);
  else if (kept)
    print_kept(*kept);
  return exit_code::ok;
}

}  // namespace rowcall::tools
