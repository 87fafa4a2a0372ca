#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <thread>

namespace rowcall::tools::loadgen {

/// SIGINT and SIGTERM as calls of a function, each signal one call, on a thread of its own. Blocks both signals in the
/// calling thread and in all that it starts later: make it first.
class stop_watcher {
 public:
  stop_watcher();
  ~stop_watcher();
  stop_watcher(const stop_watcher&) = delete;
  /// Who is told from now on; nothing: nobody. Returns when the one before is not being told any more. Signals are
  /// counted in any case.
  void tell(std::function<void()> on_signal);
  int signals() const { return signals_; }

 private:
  std::mutex mutex_;
  std::function<void()> on_signal_;
  std::atomic<int> signals_{0};
  std::atomic<bool> is_stopping_{false};
  std::thread thread_;
};

}  // namespace rowcall::tools::loadgen
