#pragma once

#include "tools/telemetry/exposition.hpp"

namespace rowcall::tools {

/// What every process can tell of itself, under the usual names: process_cpu_seconds_total,
/// process_resident_memory_bytes, process_threads, process_open_fds, process_max_fds, process_start_time_seconds.
void add_process_metrics(exposition& out);

}  // namespace rowcall::tools
