#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <random>

namespace rowcall::client::internal {

/// Waits that double from `base` to `wait_max`, times a factor in [0.5, 1.0]. Used by one thread.
class backoff {
 public:
  backoff(std::chrono::milliseconds base, std::chrono::milliseconds wait_max, std::uint32_t seed)
      : base_(base), wait_max_(wait_max), random_(seed) {}

  std::chrono::milliseconds next() {
    const auto wait = std::min(base_ * (std::int64_t{1} << std::min(failures_, 16)), wait_max_);
    ++failures_;
    return std::chrono::milliseconds{
        static_cast<std::int64_t>(static_cast<double>(wait.count()) * std::uniform_real_distribution<>{0.5, 1.0}(random_))};
  }
  void reset() { failures_ = 0; }

 private:
  std::chrono::milliseconds base_, wait_max_;
  std::minstd_rand random_;
  int failures_ = 0;
};

}  // namespace rowcall::client::internal
