#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/ports.hpp"
#include "tests/chaos/workload.hpp"
#include "tests/checker/history.hpp"
#include "tests/support/database.hpp"

namespace rowcall::chaos {

/// Measures how well the engines serve: submits one command to a session of each shard, wakes them, and waits for the
/// last receipt in the log. It has ways of its own to the servers, which no fault of a way touches.
class prober {
 public:
  using steady = std::chrono::steady_clock;

  prober(std::string database, const std::string& nats, const std::string& prefix);
  ~prober();

  /// Submits these, however often it takes. Throws std::runtime_error after the deadline.
  void submit(const std::vector<planned>& commands, steady::time_point deadline);
  /// When the last shard had answered; nothing when one had not before the deadline.
  std::optional<steady::time_point> probe(steady::time_point deadline);
  /// Everything of these sessions is processed. False at the deadline.
  bool wait_drained(const std::vector<std::string>& sessions, steady::time_point deadline);
  /// What is pending, and which shards had not answered when the last probe gave up.
  std::string pending();

  /// How long the last probe has taken, for each engine that has served a part of it.
  std::string by_owner();

  const std::vector<checker::submit>& submits() const { return submits_; }

 private:
  std::vector<engine::submit_receipt> submit_once(const std::vector<planned>& commands, steady::time_point deadline);
  std::optional<std::string> value(const std::string& sql);

  std::string database_;
  std::unique_ptr<engine::command_store> store_;
  std::unique_ptr<engine::bus> bus_;
  std::unique_ptr<support::sql_connection> sql_;
  std::vector<checker::submit> submits_;
  std::uint64_t probes_ = 0;
};

}  // namespace rowcall::chaos
