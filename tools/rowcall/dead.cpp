#include <algorithm>
#include <cstdio>

#include "tools/rowcall/actions.hpp"
#include "tools/rowcall/format.hpp"
#include "tools/rowcall/park.hpp"

namespace rowcall::tools {
namespace {

std::string json_of(const engine::dead_letter& d) {
  engine::json::writer w;
  w.begin_object().key("session").string(d.session.str()).key("command_seq").number(d.command.value);
  w.key("type").string(d.type).key("data").raw(d.data).key("error").string(d.error);
  w.key("attempts")
      .number(std::int64_t{d.attempts})
      .key("failed_at")
      .string(format_time(d.failed_at))
      .key("resolution");
  if (d.resolution.empty())
    w.null();
  else
    w.string(d.resolution);
  w.end_object();
  return std::move(w).str();
}

void print_table(const std::vector<engine::dead_letter>& letters) {
  // More where one is longer, so that everything stays below its title.
  std::size_t session_columns = 24, type_columns = 20;
  for (const auto& d : letters) {
    session_columns = std::max(session_columns, d.session.str().size());
    type_columns = std::max(type_columns, sanitised(d.type).size());
  }
  const auto line = [&](const std::string& at, const std::string& session, const std::string& command,
                        const std::string& type, const std::string& error) {
    std::printf("%-27s  %-*s %7s  %-*s %s\n", at.c_str(), static_cast<int>(session_columns), session.c_str(),
                command.c_str(), static_cast<int>(type_columns), type.c_str(), error.c_str());
  };
  line("failed at", "session", "command", "type", "error");
  for (const auto& d : letters)
    line(format_time(d.failed_at), d.session.str(), std::to_string(d.command.value), sanitised(d.type),
         sanitised(d.error) + (d.resolution.empty() ? "" : "  -- ") + d.resolution);
}

exit_code list(engine::admin_store& store, const dead_options& options, bool json) {
  auto letters = store.dead_letters(options.limit, options.all);
  if (!letters) return fail_with(letters.error());
  if (json)
    for (const auto& d : *letters) std::printf("%s\n", json_of(d).c_str());
  else if (letters->empty())
    std::printf("no dead letters\n");
  else
    print_table(*letters);
  return exit_code::ok;
}

exit_code show(const engine::dead_letter& d, bool json) {
  if (json) {
    std::printf("%s\n", json_of(d).c_str());
    return exit_code::ok;
  }
  std::printf(
      "session     %s\ncommand     %lld\ntype        %s\nfailed at   %s\nattempts    %d\nerror       %s\nresolution  "
      "%s\ndata        %s\n",
      d.session.str().c_str(), static_cast<long long>(d.command.value), sanitised(d.type).c_str(),
      format_time(d.failed_at).c_str(), d.attempts, sanitised(d.error).c_str(),
      d.resolution.empty() ? "open" : d.resolution.c_str(), sanitised(d.data).c_str());
  return exit_code::ok;
}

/// What was asked is well-formed; the letter has gone another way.
exit_code refuse(const engine::error& error) {
  if (error.code != engine::errc::invalid_argument) return fail_with(error);
  print_error(error);
  return exit_code::refused;
}

exit_code redrive(engine::admin_store& store, const global_options& global, const engine::session_id& session,
                  engine::command_seq command) {
  auto seq = store.redrive(session, command);
  if (!seq) return refuse(seq.error());
  if (auto bus = open_bus(global.connection, "dead"); bus && wait_connected(**bus, milliseconds{2'000})) {
    const engine::wake wake{session, *seq};
    (*bus)->publish({&wake, 1});
    if (!(*bus)->flush(milliseconds{1'000}))
      std::fprintf(stderr, "rowcall: the wake may be lost; the sweep will find the command\n");
  }
  if (global.json)
    std::printf("{\"session\":\"%s\",\"command_seq\":%lld,\"redrives\":%lld}\n", session.str().c_str(),
                static_cast<long long>(seq->value), static_cast<long long>(command.value));
  else
    std::printf("%s command %lld is submitted again as command %lld\n", session.str().c_str(),
                static_cast<long long>(command.value), static_cast<long long>(seq->value));
  return exit_code::ok;
}

}  // namespace

exit_code run(const global_options& global, const dead_options& options) {
  if (options.what == dead_options::verb::park) return park(global, options.kind);
  engine::session_id session;
  if (options.what != dead_options::verb::list) {
    auto parsed = engine::session_id::parse(options.session);
    if (!parsed) return fail_with(parsed.error());
    session = *parsed;
  }
  if (auto checked = check_database(global.connection); !checked) return fail_with(checked.error());
  const auto store = storage::postgres::make_admin_store(store_config_of(global.connection, "dead"));
  const engine::command_seq command{options.command};
  switch (options.what) {
    case dead_options::verb::park:
      break;
    case dead_options::verb::list:
      return list(*store, options, global.json);
    case dead_options::verb::show: {
      auto letter = store->dead_letter_of(session, command);
      return letter ? show(*letter, global.json) : fail_with(letter.error());
    }
    case dead_options::verb::redrive:
      return redrive(*store, global, session, command);
    case dead_options::verb::drop: {
      auto dropped = store->drop(session, command);
      if (!dropped) return refuse(dropped.error());
      if (global.json)
        std::printf("{\"session\":\"%s\",\"command_seq\":%lld,\"resolution\":\"dropped\"}\n", session.str().c_str(),
                    static_cast<long long>(command.value));
      else
        std::printf("%s command %lld is dropped\n", session.str().c_str(), static_cast<long long>(command.value));
      return exit_code::ok;
    }
  }
  return exit_code::failed;
}

}  // namespace rowcall::tools
