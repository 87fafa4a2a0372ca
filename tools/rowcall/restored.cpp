#include <cstdio>

#include "storage/postgres/incarnation.hpp"
#include "tools/rowcall/actions.hpp"

namespace rowcall::tools {

exit_code run(const global_options& global, const restored_options&) {
  if (auto checked = check_database(global.connection); !checked) return fail_with(checked.error());
  auto made = storage::postgres::mark_restored(store_config_of(global.connection, "restored"));
  if (!made) return fail_with(made.error());
  if (global.json)
    std::printf("{\"incarnation\":\"%s\"}\n", made->c_str());
  else
    std::printf("the database has the new incarnation %s: start the engines; followers take the snapshots\n",
                made->c_str());
  return exit_code::ok;
}

}  // namespace rowcall::tools
