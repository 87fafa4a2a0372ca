#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include <caf/all.hpp>

#include "actors/directory_actor.hpp"
#include "actors/internal/decide_watch.hpp"
#include "actors/internal/store_contact.hpp"
#include "actors/metrics.hpp"
#include "actors/upkeep_actor.hpp"
#include "engine/ports.hpp"

namespace rowcall::actors {

struct node_tick {};
struct leave_request {};

}  // namespace rowcall::actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(rowcall::actors::node_tick)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(rowcall::actors::leave_request)

namespace rowcall::actors {

using node_actor = caf::typed_actor<caf::reacts_to<node_tick>, caf::replies_to<leave_request>::with<bool>>;

struct node_actor_config {
  std::string node;
  std::vector<std::string> kinds;
  int shard_count = engine::shard_count_default;
  std::chrono::milliseconds heartbeat_interval{250};
  std::chrono::milliseconds dead_after{750};
  std::chrono::milliseconds reconnect_wait_max{1'000};
  engine::admission_limits admission;
  std::shared_ptr<const engine::clock> clock;
  std::vector<std::shared_ptr<internal::decide_watch>> watches;  ///< of the turn workers
  std::chrono::milliseconds decide_timeout{1'000};               ///< see actors::node_config; 0 = nobody watches
  std::function<void(std::string_view)> on_hang;                 ///< see node_ports
  metrics* counters = nullptr;
  std::atomic<bool>* is_joined = nullptr;
  engine::log_sink log;
};

/// The node among nodes (detached: its store blocks). Whatever may take longer than a heartbeat may wait is the upkeep
/// actor's.
///
///   node_tick      looks whether a module hangs; joins; then renews the heartbeat and computes from the nodes alive
///                  which shards are its own; asks for a sweep when it has joined, reached its store again, or the
///                  nodes have changed
///   leave_request  a clean end
struct node_state {
  static inline const char* name = "node";
  std::shared_ptr<engine::node_store> store;
  node_actor_config config;
  directory_actor directory;
  upkeep_actor upkeep;
  internal::store_contact contact;
  bool is_joined = false;
  bool sweep_is_due = true;
  bool has_left = false;
  std::vector<bool> is_overdue;    ///< by watch: told to the log
  std::vector<std::string> alive;  ///< "node kind,kind", sorted: to notice a change
  std::uint64_t turns_reported = 0, commands_reported = 0;
  engine::clock::time_point reported_at{};
};

node_actor::behavior_type node(node_actor::stateful_pointer<node_state> self, node_actor_config config,
                               std::shared_ptr<engine::node_store> store, directory_actor directory,
                               upkeep_actor upkeep);

}  // namespace rowcall::actors
