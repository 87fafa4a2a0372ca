#pragma once

#include <atomic>
#include <cstdint>

namespace rowcall::actors {

/// What one node counts. Written with relaxed atomics by the actors, read by whoever reports.
struct metrics {
  using counter = std::atomic<std::uint64_t>;
  counter wakes_received = 0, wakes_dropped = 0;  ///< dropped: the inbox was full, the sweep makes up for it
  counter wakes_mistaken = 0;  ///< said to bring the pending command, and did not
  counter turns = 0, turns_empty = 0, turns_aborted = 0, turns_fenced = 0;
  counter commands = 0, updates = 0, sessions_stale = 0;
  counter retries = 0, dead_letters = 0;
  counter shards_taken_over = 0, sessions_skipped = 0;
  counter sweeps = 0, sweeps_failed = 0, lost_wakes_found = 0;
  counter store_reconnects = 0;
  std::atomic<std::int64_t> sessions_known = 0, sessions_ready = 0, sessions_held = 0, turns_open = 0;
  std::atomic<bool> is_store_connected = false;
};

}  // namespace rowcall::actors
