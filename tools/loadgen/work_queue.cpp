#include "tools/loadgen/work_queue.hpp"

namespace rowcall::tools::loadgen {

work_queue::work_queue(std::size_t waiting_max) : waiting_max_(waiting_max), thread_([this] { run(); }) {}

work_queue::~work_queue() {
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
    changed_.notify_one();
  }
  thread_.join();
}

bool work_queue::push(std::function<void()> work) {
  const std::lock_guard lock(mutex_);
  if (waiting_.size() >= waiting_max_ || is_stopping_) return false;
  waiting_.push_back(std::move(work));
  changed_.notify_one();
  return true;
}

void work_queue::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return is_stopping_ || !waiting_.empty(); });
    if (is_stopping_) return;
    const auto work = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    work();
    lock.lock();
  }
}

}  // namespace rowcall::tools::loadgen
