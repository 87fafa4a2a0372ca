#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <limits>

namespace rowcall::storage::postgres::internal {

/// A connection whose answers have a deadline. libpq waits for ever: keepalives and tcp_user_timeout see a peer that is
/// gone, and not one that acknowledges and says nothing (a stopped server, a stalled proxy, a frozen virtual machine).
///
///   expect ──► answered
///      └─ the deadline passes ──► the watch's thread shuts the socket down ──► libpq reads its end: connection lost
///
/// One thread looks after all of a process's, four times a second; expect and answered are a store each, without a
/// lock.
class watched_answer {
 public:
  watched_answer() = default;
  ~watched_answer() { end(); }
  watched_answer(const watched_answer&) = delete;

  /// Of this socket from now on.
  void begin(int socket);
  /// Before the socket is closed.
  void end();

  void expect_within(std::chrono::milliseconds bound) {
    due_ns_.store((std::chrono::steady_clock::now() + bound).time_since_epoch().count(), std::memory_order_relaxed);
  }
  void answered() { due_ns_.store(never, std::memory_order_relaxed); }
  /// The socket was shut down since begin().
  bool is_cut() const { return is_cut_.load(std::memory_order_relaxed); }

 private:
  friend class answer_watch;
  static constexpr std::int64_t never = std::numeric_limits<std::int64_t>::max();
  std::atomic<std::int64_t> due_ns_{never};
  std::atomic<bool> is_cut_{false};
  int socket_ = -1;  ///< under the watch's mutex
};

}  // namespace rowcall::storage::postgres::internal
