#include "tools/loadgen/stop_watcher.hpp"

#include <csignal>
#include <ctime>

namespace rowcall::tools::loadgen {

namespace {
sigset_t stop_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  return set;
}
}  // namespace

stop_watcher::stop_watcher() {
  const sigset_t set = stop_signals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  thread_ = std::thread([this, set] {
    const timespec wait{0, 100'000'000};
    while (!is_stopping_) {
      if (sigtimedwait(&set, nullptr, &wait) < 0) continue;
      ++signals_;
      const std::lock_guard lock(mutex_);
      if (on_signal_) on_signal_();
    }
  });
}

stop_watcher::~stop_watcher() {
  is_stopping_ = true;
  thread_.join();
}

void stop_watcher::tell(std::function<void()> on_signal) {
  const std::lock_guard lock(mutex_);
  on_signal_ = std::move(on_signal);
}

}  // namespace rowcall::tools::loadgen
