#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "client/follower.hpp"
#include "engine/ports.hpp"
#include "tests/checker/history.hpp"
#include "tools/loadgen/random_source.hpp"

namespace rowcall::chaos {

/// Followers of all sessions, through the clients' ways, and what they were told. One stays from the beginning to the
/// end; one leaves every now and then, and comes back where it was.
class audience {
 public:
  audience(std::string database, const std::string& nats, const std::string& prefix, std::uint64_t seed);
  ~audience();
  audience(const audience&) = delete;

  /// How much each follower has been told, by session; for the wait until all have all.
  std::vector<std::map<std::string, std::size_t>> counts() const;
  std::vector<checker::followed> seen() const;

 private:
  struct listener {
    std::string name;
    mutable std::mutex mutex;
    std::map<std::string, std::vector<checker::update>> seen;
    bool has_lost = false;  ///< was told "gone", which nothing here may cause
    std::unique_ptr<client::follower> follower;
  };
  void join(listener& l);
  void come_and_go(std::uint64_t seed);

  std::string database_;
  std::unique_ptr<engine::bus> bus_;
  listener steady_, restless_;
  mutable std::mutex mutex_;  ///< of the restless one's coming and going
  std::condition_variable changed_;
  bool is_stopping_ = false;
  std::thread thread_;
};

}  // namespace rowcall::chaos
