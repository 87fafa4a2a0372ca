#include <algorithm>
#include <cstdio>

#include "tools/rowcall/actions.hpp"
#include "tools/rowcall/diagnosis.hpp"
#include "tools/rowcall/format.hpp"

namespace rowcall::tools {
namespace {

constexpr std::chrono::seconds transaction_age_min{300};

symptoms examine(const global_options& global) {
  symptoms s;
  s.database = without_password(global.connection.database_url);
  s.nats = without_password(global.connection.nats_url);
  const auto config = store_config_of(global.connection, "doctor");
  s.postgres = storage::postgres::inspect(config, transaction_age_min);
  if (s.postgres) {
    storage::postgres::migrator migrator{config};
    s.migrations = migrator.status();
    s.schema_fits = migrator.check();
    if (s.schema_fits) {
      const auto store = storage::postgres::make_admin_store(config);
      s.status = store->status();
      if (auto kinds = store->kinds()) s.kinds = *std::move(kinds);
      s.damaged = storage::postgres::find_damaged_sessions(config);
    }
  }
  const auto bus = bus_config_of(global.connection, "doctor");
  s.bus = bus::probe_nats(bus);
  s.notice_bytes_max = bus::notice_bytes_max(bus);
  return s;
}

void print_json(const std::vector<finding>& findings) {
  engine::json::writer w;
  w.begin_object().key("worst").string(to_string(worst_of(findings))).key("findings").begin_array();
  for (const auto& f : findings) {
    w.begin_object().key("severity").string(to_string(f.how)).key("area").string(f.area);
    w.key("text").string(f.text).key("advice").string(f.advice).end_object();
  }
  w.end_array().end_object();
  std::printf("%s\n", w.str().c_str());
}

void print_text(const std::vector<finding>& findings) {
  for (const auto& f : findings) {
    std::printf("%-8s %-13s %s\n", std::string{to_string(f.how)}.c_str(), f.area.c_str(), f.text.c_str());
    if (!f.advice.empty()) std::printf("%-8s %-13s → %s\n", "", "", f.advice.c_str());
  }
  const auto count = [&](severity how) {
    return static_cast<std::int64_t>(
        std::count_if(findings.begin(), findings.end(), [how](const finding& f) { return f.how == how; }));
  };
  std::printf("%s, %s\n", format_count(count(severity::error), "error").c_str(),
              format_count(count(severity::warning), "warning").c_str());
}

}  // namespace

exit_code run(const global_options& global, const doctor_options&) {
  if (auto configured = require_database(global.connection); !configured) return fail_with(configured.error());
  const auto findings = diagnose(examine(global));
  global.json ? print_json(findings) : print_text(findings);
  switch (worst_of(findings)) {
    case severity::ok:
      return exit_code::ok;
    case severity::warning:
      return exit_code::warned;
    case severity::error:
      return exit_code::failed;
  }
  return exit_code::failed;
}

}  // namespace rowcall::tools
