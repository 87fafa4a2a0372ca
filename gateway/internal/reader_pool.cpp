#include "gateway/internal/reader_pool.hpp"

namespace rowcall::gateway::internal {

reader_pool::reader_pool(const gateway_ports& ports, std::size_t threads, std::size_t queue_max)
    : queue_max_(queue_max) {
  for (std::size_t i = 0; i < threads; ++i) {
    reader_stores stores{ports.make_update_store(), ports.make_chat_store(), ports.make_admin_store(),
                         ports.make_console_store()};
    threads_.emplace_back([this, stores = std::move(stores)]() mutable { run(std::move(stores)); });
  }
}

reader_pool::~reader_pool() {
  std::deque<job> dropped;  // destroyed without the lock
  {
    const std::lock_guard lock{mutex_};
    is_stopping_ = true;
    dropped.swap(queue_);
  }
  changed_.notify_all();
  for (auto& thread : threads_) thread.join();
}

bool reader_pool::post(job j) {
  {
    const std::lock_guard lock{mutex_};
    if (is_stopping_ || queue_.size() >= queue_max_) return false;
    queue_.push_back(std::move(j));
  }
  changed_.notify_one();
  return true;
}

std::size_t reader_pool::waiting() const {
  const std::lock_guard lock{mutex_};
  return queue_.size();
}

void reader_pool::run(reader_stores stores) {
  std::unique_lock lock{mutex_};
  for (;;) {
    changed_.wait(lock, [this] { return is_stopping_ || !queue_.empty(); });
    if (is_stopping_) return;
    auto next = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    next(stores);
    next = nullptr;
    lock.lock();
  }
}

}  // namespace rowcall::gateway::internal
