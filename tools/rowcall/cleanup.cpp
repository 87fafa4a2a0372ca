#include <cstdio>

#include "tools/connect/duration.hpp"
#include "tools/rowcall/actions.hpp"
#include "tools/rowcall/format.hpp"
#include "tools/rowcall/stop_bound.hpp"
#include "tools/rowcall/stop_signal.hpp"

namespace rowcall::tools {

exit_code run(const global_options& global, const cleanup_options& options) {
  if (auto checked = check_database(global.connection); !checked) return fail_with(checked.error());
  stop_signal stop;
  const stop_bound bound{stop, interrupt_bound};
  const auto store = storage::postgres::make_node_store(store_config_of(global.connection, "cleanup"));
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
  if (global.json) {
    engine::json::writer w;
    w.begin_object().key("commands").number(total.commands).key("updates").number(total.updates);
    w.key("snapshots").number(total.snapshots).key("domain_rows").number(total.domain_rows);
    w.key("more").boolean(total.more).end_object();
    std::printf("%s\n", w.str().c_str());
  } else {
    std::printf("deleted %s commands, %s updates, %s snapshots and %s domain rows older than %s%s\n",
                format_count(total.commands).c_str(), format_count(total.updates).c_str(),
                format_count(total.snapshots).c_str(), format_count(total.domain_rows).c_str(),
                format_duration(options.older_than).c_str(), total.more ? "; stopped early, there is more" : "");
  }
  return exit_code::ok;
}

}  // namespace rowcall::tools
