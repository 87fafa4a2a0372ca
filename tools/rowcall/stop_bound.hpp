#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

#include "tools/rowcall/stop_signal.hpp"

namespace rowcall::tools {

/// Ends the process when a stop takes longer than its bound, as long as this lives: a database that does not answer
/// holds up nobody, and it recovers what was open by itself.
class stop_bound {
 public:
  using milliseconds = std::chrono::milliseconds;

  /// From now on.
  explicit stop_bound(milliseconds bound);
  /// From the signal on: for a command whose thread may wait for the database then. The signal stays to be read.
  stop_bound(const stop_signal& stop, milliseconds bound);
  ~stop_bound();
  stop_bound(const stop_bound&) = delete;

 private:
  /// True when this ended before.
  bool is_done_within(milliseconds time);
  void expire(milliseconds bound);

  std::mutex mutex_;
  std::condition_variable done_;
  bool is_done_ = false;
  std::thread thread_;  // last: starts when the rest is there
};

/// How long a command that was interrupted waits for the answer that is under way.
constexpr std::chrono::milliseconds interrupt_bound{2'000};

}  // namespace rowcall::tools
