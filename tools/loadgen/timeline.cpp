#include "tools/loadgen/timeline.hpp"

#include <sys/prctl.h>

namespace rowcall::tools::loadgen {

steady_timeline::steady_timeline() { prctl(PR_SET_TIMERSLACK, 1000UL, 0, 0, 0); }

std::chrono::nanoseconds steady_timeline::now() { return std::chrono::steady_clock::now().time_since_epoch(); }

void steady_timeline::wait_until(std::chrono::nanoseconds t) {
  std::unique_lock lock(mutex_);
  changed_.wait_until(lock, std::chrono::steady_clock::time_point(t), [&] { return is_interrupted_; });
  is_interrupted_ = false;
}

void steady_timeline::interrupt() {
  const std::lock_guard lock(mutex_);
  if (is_interrupted_) return;
  is_interrupted_ = true;
  changed_.notify_one();
}

}  // namespace rowcall::tools::loadgen
