#pragma once

#include <mutex>
#include <vector>

#include "engine/ports.hpp"

namespace rowcall::actors {

/// Where the bus's threads put wakes and the directory fetches them, many for one actor message. Bounded. Thread-safe.
class wake_inbox {
 public:
  explicit wake_inbox(std::size_t wakes_max = 200'000) : wakes_max_(wakes_max) {}

  enum class put_result {
    first,    ///< the inbox was empty: tell the directory
    added,    ///< it has been told already
    dropped,  ///< full: the sweep must find it
  };
  put_result put(engine::wake w) {
    std::lock_guard lock(mutex_);
    if (wakes_.size() >= wakes_max_) return put_result::dropped;
    if (!wakes_.empty()) w.command = nullptr;  // of use only when there is no other work; many would take much memory
    wakes_.push_back(std::move(w));
    return wakes_.size() == 1 ? put_result::first : put_result::added;
  }

  /// Swaps the wakes into `out` (which is cleared first).
  void take(std::vector<engine::wake>& out) {
    out.clear();
    std::lock_guard lock(mutex_);
    out.swap(wakes_);
  }

 private:
  const std::size_t wakes_max_;
  std::mutex mutex_;
  std::vector<engine::wake> wakes_;
};

}  // namespace rowcall::actors
