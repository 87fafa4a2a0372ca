#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "actors/metrics.hpp"
#include "engine/directory.hpp"
#include "engine/ports.hpp"
#include "engine/session.hpp"

/// One engine: the directory, the session actors, the turn workers, the node actor (heartbeat) and the upkeep actor (sweep,
/// retention) in one CAF actor system. CAF stays behind this header.
namespace rowcall::actors {

struct node_config {
  std::string node;         ///< unique to this boot; empty = make_node_name()
  int turn_workers = 2;     ///< each has a thread and a PostgreSQL connection
  int backlog_workers = 1;  ///< more of them, which only work while there is a backlog
  int actor_threads = 2;    ///< of CAF's scheduler
  engine::turn_limits limits;
  engine::directory_config directory;  ///< its workers and limits are set from the above
  engine::session_config session;      ///< its node is set from the above
  std::chrono::milliseconds sweep_interval{1'000};
  std::chrono::milliseconds heartbeat_interval{250};
  std::chrono::milliseconds dead_after{750};  ///< a node whose heartbeat is older is dead: others serve its shards
  std::chrono::milliseconds reconnect_wait{50};       ///< after a lost store connection; doubled up to the maximum
  std::chrono::milliseconds reconnect_wait_max{500};
  /// A module that is at one command for longer is told to the log, and the node is not ready; after three times as
  /// long the process is to end (node_ports::on_hang). Three times must be less than the store's transaction timeout:
  /// the shards must not go to another node while this one lives, or the attempt would not count. 0 = nobody watches.
  std::chrono::milliseconds decide_timeout{1'000};
  engine::admission_limits admission;                 ///< of the whole database: the engine that joins last decides
  std::chrono::seconds retention{0};                  ///< 0 = keep everything
  std::chrono::milliseconds retention_interval{10'000};
  std::size_t retention_chunk_rows = 2'000;
};

/// Errors: invalid_argument, with the field and what it may be.
engine::result<void> validate(const node_config& config);

/// "<host>-<pid>-<random>": no two boots share it.
std::string make_node_name();

/// The production clock: std::chrono::steady_clock.
std::shared_ptr<engine::clock> make_steady_clock();

struct node_ports {
  std::function<std::unique_ptr<engine::turn_store>()> make_turn_store;  ///< called once per turn worker
  std::unique_ptr<engine::node_store> nodes;   ///< for the heartbeat, which nothing may delay
  std::unique_ptr<engine::node_store> upkeep;  ///< for the sweep and the retention, which take as long as they take
  engine::bus* bus = nullptr;                         ///< must outlive the node
  const engine::module_registry* modules = nullptr;   ///< must outlive the node
  std::shared_ptr<engine::clock> clock;
  engine::log_sink log;
  /// Called once, from an actor's thread, when an actor died of something unforeseen: the process should end, the
  /// database recovers the work.
  std::function<void(std::string_view)> on_fatal;
  /// Called from an actor's thread while a module hangs: the process must end at once, without a clean leave.
  std::function<void(std::string_view)> on_hang;
};

class engine_node {
 public:
  engine_node(node_config config, node_ports ports);
  ~engine_node();  ///< stop(0 ms) unless stopped
  engine_node(const engine_node&) = delete;

  /// Starts all actors. The database may be away: the node connects by itself.
  void start();
  /// No new turns; the open ones are finished, at most for `timeout`; then leaves. True when all ended in time.
  bool stop(std::chrono::milliseconds timeout);
  /// Joined, the store was reachable at the last attempt, and it has answered lately. Thread-safe.
  bool is_ready() const;
  /// Why it is not; empty when it is. Thread-safe.
  std::string why_not_ready() const;
  const metrics& counters() const;
  const std::string& name() const;

 private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

}  // namespace rowcall::actors
