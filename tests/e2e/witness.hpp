#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "tests/checker/history.hpp"
#include "tests/e2e/deployment.hpp"

namespace rowcall::e2e {

/// Sees what the checker wants to know: each submit with its outcome, what a follower is told and when, and in the end what
/// the database holds. For modules that answer with the command's data (echo's `say`). One thread at a time.
class witness {
 public:
  witness(const deployment& d, engine::bus& bus) : d_(d), bus_(bus) {}

  /// From its first update on.
  void follow(const std::string& session);
  /// Submits these under data of their own, `{"n": …}`, that tells each from all others.
  std::vector<client::submitter::outcome> submit(client::submitter& submitter, std::vector<engine::command_request> batch);
  /// Waits until nothing is pending and the follower has seen all that the database holds, and adds the logs.
  checker::history finish();
  /// The checker's word on it, a breach a line; empty when the promise was kept.
  std::string breaches();

 private:
  deployment d_;
  engine::bus& bus_;
  std::unique_ptr<recorder> recorder_;  ///< with the first session to be followed
  std::set<std::string> followed_;
  std::vector<checker::submit> submits_;
};

/// Every breach on a line of its own; empty when the promise was kept.
std::string breaches(const checker::history& h);

}  // namespace rowcall::e2e
