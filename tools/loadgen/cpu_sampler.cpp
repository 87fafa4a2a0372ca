#include "tools/loadgen/cpu_sampler.hpp"

namespace rowcall::tools::loadgen {

cpu_sampler::cpu_sampler() : last_(read_proc()), thread_([this] {
  std::unique_lock lock(mutex_);
  while (!changed_.wait_for(lock, std::chrono::milliseconds{500}, [this] { return is_stopping_; })) {
    lock.unlock();
    auto s = read_proc();
    lock.lock();
    last_ = std::move(s);
  }
}) {}

cpu_sampler::~cpu_sampler() {
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
    changed_.notify_one();
  }
  thread_.join();
}

cpu_usage::sample cpu_sampler::take(bool fresh) {
  if (fresh) {
    auto s = read_proc();
    const std::lock_guard lock(mutex_);
    last_ = s;
    return s;
  }
  const std::lock_guard lock(mutex_);
  return last_;
}

}  // namespace rowcall::tools::loadgen
