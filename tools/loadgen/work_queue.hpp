#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace rowcall::tools::loadgen {

/// A thread that does one thing after the other. Bounded.
class work_queue {
 public:
  explicit work_queue(std::size_t waiting_max);
  /// Finishes what it does, drops what waits.
  ~work_queue();
  work_queue(const work_queue&) = delete;
  /// False when it is full: the work was not taken. Any thread.
  bool push(std::function<void()> work);

 private:
  void run();
  std::size_t waiting_max_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> waiting_;
  bool is_stopping_ = false;
  std::thread thread_;
};

}  // namespace rowcall::tools::loadgen
