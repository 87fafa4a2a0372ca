#pragma once

#include <chrono>

namespace rowcall::tools {

/// SIGINT, SIGTERM and SIGHUP as a file descriptor. Blocks the signals in the calling thread and in all that it starts
/// later, so make it first.
class stop_signal {
 public:
  stop_signal();
  ~stop_signal();
  stop_signal(const stop_signal&) = delete;

  /// Readable when a signal is there; for poll.
  int fd() const { return fd_; }
  /// Waits at most `timeout` for a signal; true when there was one, now or before.
  bool wait_for(std::chrono::milliseconds timeout);
  /// Waits without a bound: for a process whose only end is a signal.
  void wait();
  bool is_stopped() { return wait_for(std::chrono::milliseconds{0}); }

 private:
  int fd_ = -1;
  bool stopped_ = false;
};

}  // namespace rowcall::tools
