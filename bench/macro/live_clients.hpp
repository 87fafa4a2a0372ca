#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <vector>

#include "bench/macro/figures.hpp"
#include "bench/macro/settings.hpp"
#include "client/follower.hpp"
#include "client/submitter.hpp"
#include "storage/postgres/stores.hpp"

namespace rowcall::bench {

storage::postgres::store_config store_config_of(const settings& s);
std::unique_ptr<engine::bus> connect_bus(const settings& s);
std::vector<engine::session_id> echo_sessions(std::size_t count);

class engine_process;
/// Blocks until every session's last processed command is the last one of `w`. Throws when the engine ends before.
void wait_drained(const settings& s, engine_process& engine, const work& w, std::chrono::seconds limit);

/// Which session each of `commands` commands is for: `uniform`, `sequential`, `zipf:1.0` or `hot:0.5`.
std::vector<std::uint32_t> choose_keys(const std::string& shape, std::size_t sessions, std::size_t commands,
                                       std::uint64_t seed);

/// A client that submits and one that follows, through the client library. One connection each.
class live_clients {
 public:
  live_clients(const settings& s, std::vector<engine::session_id> sessions);
  ~live_clients();

  void follow_all();
  /// Submits a command for each key, as fast as they are acknowledged: at most 20,000 are not yet. Throws when one is
  /// refused.
  void submit_all(const std::vector<std::uint32_t>& keys);
  /// One, until it is durable.
  void submit_one(std::uint32_t key);
  /// Blocks until so many updates have been followed since the beginning. Throws when they do not come.
  void wait_followed(std::size_t count);
  std::size_t followed() const;

 private:
  const std::vector<engine::session_id> sessions_;
  const std::vector<std::string> data_;
  std::unique_ptr<engine::bus> bus_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t followed_ = 0;
  std::size_t awaited_ = 0;  ///< wake the waiting thread only then: waking it for each notice would be load of its own
  std::unique_ptr<client::follower> follower_;
  std::unique_ptr<client::submitter> submitter_;
};

}  // namespace rowcall::bench
