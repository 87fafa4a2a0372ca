#include "tools/rowcall/status_watch.hpp"

namespace rowcall::tools {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

status_watch::status_watch(std::unique_ptr<engine::admin_store> store, milliseconds interval)
    : store_(std::move(store)), interval_(interval), thread_([this] { watch(); }) {}

status_watch::~status_watch() {
  {
    const std::lock_guard lock{mutex_};
    is_stopped_ = true;
  }
  stopped_.notify_all();
  thread_.join();
}

void status_watch::watch() {
  std::unique_lock lock{mutex_};
  do {
    lock.unlock();
    auto report = store_->status();
    lock.lock();
    if (report) {
      last_.report = *std::move(report);
      last_at_ = steady_clock::now();
    } else {
      ++last_.failures;
    }
  } while (!stopped_.wait_for(lock, interval_, [this] { return is_stopped_; }));
}

status_reading status_watch::reading() const {
  const std::lock_guard lock{mutex_};
  auto r = last_;
  if (r.report) r.age = std::chrono::duration_cast<milliseconds>(steady_clock::now() - last_at_);
  return r;
}

}  // namespace rowcall::tools
