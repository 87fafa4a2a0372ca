#include "storage/postgres/migrator.hpp"

#include <cstdio>

#include "engine/json.hpp"
#include "tools/connect/connect.hpp"
#include "tools/rowcall/actions.hpp"

namespace rowcall::tools {
namespace {

using storage::postgres::migration_status;
using storage::postgres::migrator;

void print(const migration_status& m, bool json) {
  if (json) {
    engine::json::writer w;
    w.begin_object().key("version").number(std::int64_t{m.version}).key("name").string(m.name);
    w.key("compatible_from").number(std::int64_t{m.compatible_from});
    w.key("applied").boolean(m.applied).key("changed").boolean(m.changed).key("applied_at");
    if (m.applied)
      w.string(m.applied_at);
    else
      w.null();
    w.end_object();
    std::printf("%s\n", w.str().c_str());
    return;
  }
  std::printf("%4d  %-32s %s%s\n", m.version, m.name.c_str(),
              m.applied ? ("applied " + m.applied_at).c_str() : "not applied", m.changed ? "  CHANGED SINCE" : "");
}

/// The version to go back to when none is named: that before the last applied one.
engine::result<int> version_before(migrator& m) {
  auto status = m.status();
  if (!status) return tl::make_unexpected(status.error());
  int last = 0, before = 0;
  for (const auto& one : *status) {
    if (!one.applied) continue;
    before = last;
    last = one.version;
  }
  return before;
}

exit_code fail_migration(const global_options& global, engine::error error) {
  if (error.code == engine::errc::connection_lost || error.code == engine::errc::unavailable)
    error.message = unreachable_database(global.connection, error.message);
  return fail_with(error);
}

void print_count(const char* word, int count, bool json) {
  if (json)
    std::printf("{\"%s\":%d,\"newest\":%d}\n", word, count, migrator::newest());
  else if (count == 0)
    std::printf("nothing to do: the schema is at version %d\n", migrator::newest());
  else
    std::printf("%s %d migration%s\n", word, count, count == 1 ? "" : "s");
}

}  // namespace

exit_code run(const global_options& global, const migrate_options& options) {
  if (auto configured = require_database(global.connection); !configured) return fail_with(configured.error());
  migrator m{store_config_of(global.connection, "migrate")};
  switch (options.what) {
    case migrate_options::direction::up: {
      auto applied = m.up(options.force);
      if (!applied) return fail_migration(global, applied.error());
      print_count("applied", *applied, global.json);
      return exit_code::ok;
    }
    case migrate_options::direction::down: {
      auto target = options.target ? engine::result<int>{*options.target} : version_before(m);
      if (!target) return fail_migration(global, target.error());
      auto undone = m.down(*target);
      if (!undone) return fail_migration(global, undone.error());
      if (global.json)
        std::printf("{\"undone\":%d,\"version\":%d}\n", *undone, *target);
      else
        std::printf("undone %d migration%s, the schema is at version %d\n", *undone, *undone == 1 ? "" : "s", *target);
      return exit_code::ok;
    }
    case migrate_options::direction::status: {
      auto status = m.status();
      if (!status) return fail_migration(global, status.error());
      for (const auto& one : *status) print(one, global.json);
      return exit_code::ok;
    }
  }
  return exit_code::failed;
}

}  // namespace rowcall::tools
