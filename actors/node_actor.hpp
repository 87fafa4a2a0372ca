#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include <caf/all.hpp>

#include "actors/directory_actor.hpp"
#include "actors/metrics.hpp"
#include "engine/ports.hpp"

namespace rowcall::actors {

struct node_tick {};
struct sweep_request {};
struct leave_request {};

}  // namespace rowcall::actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(rowcall::actors::node_tick)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(rowcall::actors::sweep_request)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(rowcall::actors::leave_request)

namespace rowcall::actors {

using node_actor = caf::typed_actor<caf::reacts_to<node_tick>, caf::reacts_to<sweep_request>,
                                    caf::replies_to<leave_request>::with<bool>>;

struct node_actor_config {
  std::string node;
  std::vector<std::string> kinds;
  int shard_count = engine::shard_count_default;
  std::chrono::milliseconds sweep_interval{1'000};
  std::chrono::milliseconds heartbeat_interval{250};
  std::chrono::milliseconds dead_after{750};
  std::chrono::milliseconds reconnect_wait_max{1'000};
  engine::admission_limits admission;
  std::chrono::seconds retention{0};
  std::chrono::milliseconds retention_interval{10'000};
  std::size_t retention_chunk_rows = 2'000;
  std::size_t sessions_ready_max = 200'000;
  std::shared_ptr<const engine::clock> clock;
  metrics* counters = nullptr;
  std::atomic<bool>* is_joined = nullptr;
  engine::log_sink log;
};

/// The node among nodes (detached: its store blocks).
///
///   node_tick      joins; then renews the heartbeat, computes from the nodes alive which shards are its own, and runs the
///                  sweep and the retention when they are due
///   sweep_request  sweeps now: start, bus (re)connected, inbox overflow, shards gained
///   leave_request  a clean end
struct node_state {
  static inline const char* name = "node";
  std::shared_ptr<engine::node_store> store;
  node_actor_config config;
  directory_actor directory;
  bool is_joined = false;
  bool sweep_is_due = true;
  bool has_left = false;
  std::vector<std::string> alive;  ///< "node kind,kind", sorted: to notice a change
  engine::clock::time_point next_heartbeat{}, next_sweep{}, next_retention{};
  std::chrono::milliseconds wait{0};  ///< after an error
  bool is_store_away = false;
  std::uint64_t turns_reported = 0, commands_reported = 0;
  engine::clock::time_point reported_at{};
  bool leads_retention = false;
};

node_actor::behavior_type node(node_actor::stateful_pointer<node_state> self, node_actor_config config,
                               std::shared_ptr<engine::node_store> store, directory_actor directory);

}  // namespace rowcall::actors
