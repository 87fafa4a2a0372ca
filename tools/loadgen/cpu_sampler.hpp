#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

#include "tools/loadgen/cpu_usage.hpp"

namespace rowcall::tools::loadgen {

/// Reads /proc twice a second in a thread of its own, so that the thread that sends commands never waits for it.
class cpu_sampler {
 public:
  cpu_sampler();
  ~cpu_sampler();
  cpu_sampler(const cpu_sampler&) = delete;
  /// The last sample, or a new one. Any thread.
  cpu_usage::sample take(bool fresh);

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_stopping_ = false;
  cpu_usage::sample last_;
  std::thread thread_;
};

}  // namespace rowcall::tools::loadgen
