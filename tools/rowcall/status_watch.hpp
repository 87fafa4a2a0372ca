#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "engine/ports.hpp"
#include "tools/rowcall/engine_metrics.hpp"

namespace rowcall::tools {

/// Asks for the status now and then, on a thread and a connection of its own, so that a scrape costs the database
/// nothing.
class status_watch {
 public:
  /// `store` should have short timeouts: the end of the watch waits for an answer that is under way.
  status_watch(std::unique_ptr<engine::admin_store> store, std::chrono::milliseconds interval);
  ~status_watch();
  status_watch(const status_watch&) = delete;

  /// The last report and how old it is. Thread-safe.
  status_reading reading() const;

 private:
  void watch();

  const std::unique_ptr<engine::admin_store> store_;
  const std::chrono::milliseconds interval_;
  mutable std::mutex mutex_;
  std::condition_variable stopped_;
  bool is_stopped_ = false;
  status_reading last_;
  std::chrono::steady_clock::time_point last_at_{};
  std::thread thread_;  // last: starts when the rest is there
};

}  // namespace rowcall::tools
