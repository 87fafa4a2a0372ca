#include <unistd.h>

#include <cstdio>

#include "tools/rowcall/actions.hpp"
#include "tools/rowcall/status_text.hpp"
#include "tools/rowcall/stop_bound.hpp"
#include "tools/rowcall/stop_signal.hpp"

namespace rowcall::tools {

exit_code run(const global_options& global, const status_options& options) {
  if (auto checked = check_database(global.connection); !checked) return fail_with(checked.error());
  const auto store = storage::postgres::make_admin_store(store_config_of(global.connection, "status"));
  if (!options.watch) {
    auto report = store->status();
    if (!report) return fail_with(report.error());
    std::printf("%s\n", (global.json ? status_json(*report) : status_text(*report)).c_str());
    return exit_code::ok;
  }
  stop_signal stop;
  const stop_bound bound{stop, interrupt_bound};
  const bool redraw = !global.json && isatty(STDOUT_FILENO) == 1;
  do {
    auto report = store->status();
    if (redraw) std::printf("\x1b[H\x1b[2J");
    if (!report)
      print_error(report.error());  // the store reconnects by itself: keep looking
    else
      std::printf("%s\n", (global.json ? status_json(*report) : status_text(*report)).c_str());
    if (std::fflush(stdout) != 0) break;
  } while (!stop.wait_for(options.interval));
  return exit_code::ok;
}

}  // namespace rowcall::tools
