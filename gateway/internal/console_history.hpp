#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/console.hpp"

/// What the plots of the console show: looks at the database, one after the other, as differences. Pure.
namespace rowcall::gateway::internal {

/// What happened between two looks, and what the later one saw.
struct console_sample {
  std::int64_t number = 0;  ///< counts up from 1
  engine::db_time at{};
  std::chrono::microseconds span{0};  ///< since the look before
  std::int64_t turns = 0, commands = 0, updates = 0, retries = 0, dead_letters = 0, lost_wakes = 0;  ///< in the span
  /// Of the commands' wait from submit to claim, and of the turns from claim to COMMIT; nothing when there were none.
  struct quantiles {
    std::int64_t p50_us = 0, p99_us = 0;
  };
  std::optional<quantiles> wait, turn;
  std::int64_t pending = 0, oldest_pending_ms = 0, retrying = 0, dead = 0;
  std::int64_t began_xid = 0;  ///< at the span's begin, transactions from this one on had not begun
};

/// A quantile of counts in buckets whose upper bounds are 2^5, 2^6, … us: the place within its bucket is estimated, so
/// it is right to a factor of 2. Nothing when all counts are 0.
std::optional<std::int64_t> quantile_us(const std::vector<std::int64_t>& counts, double q);

class console_history {
 public:
  console_history() : console_history(std::chrono::minutes{30}) {}
  explicit console_history(std::chrono::seconds kept) : kept_(kept) {}

  /// The first look, and one of another history (the database was restored), gives no sample.
  void add(engine::console_overview look);
  /// Null before the first look.
  const engine::console_overview* last() const { return last_ ? &*last_ : nullptr; }
  const std::deque<console_sample>& samples() const { return samples_; }

  /// From which transaction on the last commands are: those of the last span, and of more while they are at most about
  /// `commands_max` and no older than `length_max`.
  struct window {
    std::int64_t since_xid = 0;
    std::chrono::milliseconds length{0};
  };
  window recent(std::int64_t commands_max, std::chrono::milliseconds length_max) const;

 private:
  const std::chrono::seconds kept_;
  std::optional<engine::console_overview> last_;
  std::deque<console_sample> samples_;
  std::int64_t count_ = 0;
};

}  // namespace rowcall::gateway::internal
