#include "tools/rowcall/stop_bound.hpp"

#include <poll.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include "tools/connect/duration.hpp"
#include "tools/rowcall/exit_code.hpp"

namespace rowcall::tools {

stop_bound::stop_bound(milliseconds bound) : thread_([this, bound] { expire(bound); }) {}

stop_bound::stop_bound(const stop_signal& stop, milliseconds bound)
    : thread_([this, fd = stop.fd(), bound] {
        constexpr milliseconds look_interval{100};
        for (pollfd signal{fd, POLLIN, 0}; poll(&signal, 1, 0) <= 0;)
          if (is_done_within(look_interval)) return;
        expire(bound);
      }) {}

stop_bound::~stop_bound() {
  {
    const std::lock_guard lock{mutex_};
    is_done_ = true;
  }
  done_.notify_all();
  thread_.join();
}

bool stop_bound::is_done_within(milliseconds time) {
  std::unique_lock lock{mutex_};
  return done_.wait_for(lock, time, [this] { return is_done_; });
}

void stop_bound::expire(milliseconds bound) {
  if (is_done_within(bound)) return;
  spdlog::error("the stop took longer than {}: ending the process, the database recovers", format_duration(bound));
  _exit(static_cast<int>(exit_code::failed));
}

}  // namespace rowcall::tools
