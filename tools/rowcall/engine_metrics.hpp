#pragma once

#include <chrono>
#include <optional>

#include "actors/metrics.hpp"
#include "bus/nats_bus.hpp"
#include "engine/ports.hpp"
#include "tools/telemetry/exposition.hpp"

/// An engine's counters under the names that docs/operations/metrics.md lists.
namespace rowcall::tools {

/// What this node counts.
void add_node_metrics(exposition& out, const actors::metrics& m, int turn_workers);

void add_bus_metrics(exposition& out, const bus::nats_counters& c, bool is_connected);

/// What the database knows of all nodes together, as somebody last asked it.
struct status_reading {
  std::optional<engine::status_report> report;  ///< none yet
  std::chrono::milliseconds age{0};             ///< of the report
  std::uint64_t failures = 0;                   ///< times it could not be had
};
void add_status_metrics(exposition& out, const status_reading& r);

}  // namespace rowcall::tools
