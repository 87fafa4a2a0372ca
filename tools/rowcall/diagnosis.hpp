#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bus/nats_probe.hpp"
#include "engine/ports.hpp"
#include "storage/postgres/inspector.hpp"
#include "storage/postgres/migrator.hpp"

/// From what was found out to what it means and what to do: the doctor's knowledge, without any server.
namespace rowcall::tools {

enum class severity { ok, warning, error };
std::string_view to_string(severity s);

struct finding {
  severity how = severity::ok;
  std::string area;    ///< "postgresql", "durability", "clock", …: stable, for scripts
  std::string text;    ///< what is so
  std::string advice;  ///< what to do; empty when there is nothing to do
};

/// Everything the doctor could find out; what could not be asked is missing, with the reason.
struct symptoms {
  std::string database;  ///< where it is, without a password
  std::string nats;
  engine::result<storage::postgres::inspection> postgres = storage::postgres::inspection{};
  engine::result<std::vector<storage::postgres::migration_status>> migrations =
      std::vector<storage::postgres::migration_status>{};
  engine::result<void> schema_fits{};                           ///< migrator::check()
  std::optional<engine::result<engine::status_report>> status;  ///< nothing: not asked, the schema does not fit
  std::vector<std::string> kinds;                               ///< every kind ever served
  std::optional<engine::result<std::vector<storage::postgres::damaged_session>>> damaged;  ///< nothing: not asked
  engine::result<bus::nats_facts> bus = bus::nats_facts{};
  std::int64_t notice_bytes_max = 0;
};

std::vector<finding> diagnose(const symptoms& s);

severity worst_of(const std::vector<finding>& findings);

}  // namespace rowcall::tools
