#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstdint>

namespace rowcall::actors {

/// Counts values in buckets. Upper bounds are powers of two, 2^First to 2^Last, inclusive; what is larger goes to a
/// last bucket without one. Written with relaxed atomics by any thread, a few nanoseconds each; read while it is
/// written, so that a reader may see a value counted and not yet summed.
template <int First, int Last>
class histogram {
 public:
  static constexpr std::size_t bucket_count = Last - First + 2;
  static constexpr std::size_t bucket_of(std::uint64_t value) {
    const int power = value <= 1 ? 0 : static_cast<int>(std::bit_width(value - 1));
    return static_cast<std::size_t>(std::clamp(power, First, Last + 1) - First);
  }
  /// Of every bucket but the last.
  static constexpr std::uint64_t bound(std::size_t bucket) {
    return std::uint64_t{1} << (static_cast<int>(bucket) + First);
  }

  /// One thread's own counts, to be added at once: for values that come by the thousand.
  struct tally {
    std::array<std::uint32_t, bucket_count> counts{};
    std::uint64_t sum = 0;
    void observe(std::uint64_t value) {
      ++counts[bucket_of(value)];
      sum += value;
    }
  };

  void observe(std::uint64_t value) {
    counts_[bucket_of(value)].fetch_add(1, std::memory_order_relaxed);
    sum_.fetch_add(value, std::memory_order_relaxed);
  }
  void add(const tally& t) {
    for (std::size_t i = 0; i < bucket_count; ++i)
      if (t.counts[i] != 0) counts_[i].fetch_add(t.counts[i], std::memory_order_relaxed);
    sum_.fetch_add(t.sum, std::memory_order_relaxed);
  }
  std::uint64_t count_of(std::size_t bucket) const { return counts_[bucket].load(std::memory_order_relaxed); }
  std::uint64_t sum() const { return sum_.load(std::memory_order_relaxed); }

 private:
  std::array<std::atomic<std::uint64_t>, bucket_count> counts_{};
  std::atomic<std::uint64_t> sum_ = 0;
};

/// Microseconds, 32 us to 34 s.
using duration_histogram = histogram<5, 25>;
/// 1 to 16,384 of something.
using size_histogram = histogram<0, 14>;

/// For a duration_histogram. Below zero is zero: two transactions' times may lie the other way round than what they
/// saw.
constexpr std::uint64_t microseconds_of(std::chrono::nanoseconds d) {
  return d.count() <= 0 ? 0 : static_cast<std::uint64_t>(d.count()) / 1'000;
}

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
  counter decides_overdue = 0;   ///< commands that a module was at for longer than decide_timeout
  counter store_failures = 0;    ///< turns, heartbeats and sweeps that ended because the store was away
  counter store_reconnects = 0;  ///< times a worker or the node reached it again after that
  counter turn_busy_us = 0;      ///< sum of all turns' durations
  counter retention_chunks = 0, retention_commands = 0, retention_updates = 0, retention_snapshots = 0;
  counter retention_domain_rows = 0;
  /// The stages of a turn: its claim's round trips, the deciding, from claimed to committed, from committed to
  /// published.
  duration_histogram claim, decide, claim_to_commit, commit_to_notify;
  duration_histogram submit_to_claim;           ///< of every command, by the database's clock
  size_histogram turn_commands, turn_sessions;  ///< of the turns that wrote something
  std::atomic<std::int64_t> sessions_known = 0, sessions_ready = 0, sessions_held = 0, turns_open = 0;
  std::atomic<std::int64_t> session_actors = 0;
  std::atomic<std::int64_t> workers_overdue = 0;  ///< that are in such a command now
  std::atomic<bool> is_store_connected = false;
  std::atomic<std::int64_t> store_answered_at_ns = 0;  ///< a heartbeat, by the node's clock
};

}  // namespace rowcall::actors
