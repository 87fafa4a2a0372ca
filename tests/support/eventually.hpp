#pragma once

#include <chrono>
#include <thread>

namespace rowcall::support {

/// Waits until the predicate holds, looking every 2 ms; false when it did not before the deadline. For conditions that
/// come about in another process or thread and have no signal of their own. Not a way to wait for time to pass.
template <class Predicate>
[[nodiscard]] bool eventually(std::chrono::milliseconds deadline, Predicate&& holds) {
  const auto end = std::chrono::steady_clock::now() + deadline;
  while (!holds()) {
    if (std::chrono::steady_clock::now() >= end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds{2});
  }
  return true;
}

}  // namespace rowcall::support
