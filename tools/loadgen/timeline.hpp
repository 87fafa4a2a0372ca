#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

namespace rowcall::tools::loadgen {

/// Where time comes from and where the runner waits. Tests have one of their own, in which waiting moves the time.
class timeline {
 public:
  virtual ~timeline() = default;
  virtual std::chrono::nanoseconds now() = 0;  ///< since an arbitrary moment; never goes back; any thread
  /// Returns at `t`, or earlier when interrupt() was called since the last return. One thread.
  virtual void wait_until(std::chrono::nanoseconds t) = 0;
  virtual void interrupt() = 0;  ///< any thread
};

class steady_timeline final : public timeline {
 public:
  /// Asks the kernel for precise timers in the calling thread (Linux rounds to 50 us otherwise): make it in the thread
  /// that waits.
  steady_timeline();
  std::chrono::nanoseconds now() override;
  void wait_until(std::chrono::nanoseconds t) override;
  void interrupt() override;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_interrupted_ = false;
};

}  // namespace rowcall::tools::loadgen
