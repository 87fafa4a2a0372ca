#pragma once

#include <atomic>
#include <memory>
#include <thread>

#include "tests/checker/history.hpp"
#include "tests/e2e/witness.hpp"

namespace rowcall::operations {

/// Submits and follows for as long as it is asked to, before a witness: one client, sessions echo-0, echo-1, …; every command
/// has a key.
class steady_load {
 public:
  steady_load(const e2e::deployment& d, int sessions);
  ~steady_load();
  steady_load(const steady_load&) = delete;

  std::size_t acknowledged() const { return acknowledged_; }
  /// Waits until `more` commands have been acknowledged since now.
  bool goes_on(std::size_t more);
  /// No more submits. Waits until the followers have seen all that the database holds, and adds the logs.
  checker::history finish();

 private:
  void run();

  const int sessions_;
  std::unique_ptr<engine::bus> bus_;
  std::unique_ptr<e2e::witness> witness_;  // of the load's thread until it has ended
  std::unique_ptr<client::submitter> submitter_;
  std::atomic<std::size_t> acknowledged_{0};
  std::atomic<bool> is_stopping_{false};
  std::thread thread_;
};

using e2e::breaches;

}  // namespace rowcall::operations
