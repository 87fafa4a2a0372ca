#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include <caf/all.hpp>

#include "actors/directory_actor.hpp"
#include "actors/internal/store_contact.hpp"
#include "actors/metrics.hpp"
#include "engine/ports.hpp"

namespace rowcall::actors {

struct upkeep_tick {};
struct sweep_request {};
struct retention_duty {
  bool is_ours = false;
};

}  // namespace rowcall::actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(rowcall::actors::upkeep_tick)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(rowcall::actors::sweep_request)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(rowcall::actors::retention_duty)

namespace rowcall::actors {

using upkeep_actor =
    caf::typed_actor<caf::reacts_to<upkeep_tick>, caf::reacts_to<sweep_request>, caf::reacts_to<retention_duty>>;

struct upkeep_actor_config {
  std::vector<std::string> kinds;
  std::chrono::milliseconds sweep_interval{1'000};
  std::chrono::milliseconds reconnect_wait_max{1'000};
  std::chrono::seconds retention{0};
  std::chrono::milliseconds retention_interval{10'000};
  std::size_t retention_chunk_rows = 2'000;
  std::size_t sessions_ready_max = 200'000;
  std::shared_ptr<const engine::clock> clock;
  metrics* counters = nullptr;
  const std::atomic<bool>* is_joined = nullptr;    ///< nothing is done before the node has joined
  const std::atomic<bool>* is_stopping = nullptr;  ///< ends a sweep at its next finding; null = never
  engine::log_sink log;
};

/// What a node does of the work that takes as long as it takes (detached: its store blocks). The heartbeat, which must
/// not wait for it, is the node actor's, on a connection of its own.
///
///   upkeep_tick     runs the sweep and the retention when they are due
///   sweep_request   sweeps now: joined, store or bus (re)connected, shards gained
///   retention_duty  whether this is the node that applies the retention
struct upkeep_state {
  static inline const char* name = "upkeep";
  std::shared_ptr<engine::node_store> store;
  upkeep_actor_config config;
  directory_actor directory;
  internal::store_contact contact;
  std::uint64_t sweep = 0;  ///< number of the last one
  bool sweep_is_due = true;
  bool leads_retention = false;
  engine::clock::time_point next_sweep{}, next_retention{};
};

upkeep_actor::behavior_type upkeep(upkeep_actor::stateful_pointer<upkeep_state> self, upkeep_actor_config config,
                                   std::shared_ptr<engine::node_store> store, directory_actor directory);

}  // namespace rowcall::actors
