#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include <caf/all.hpp>

#include "actors/crowd.hpp"
#include "actors/internal/foreign_sessions.hpp"
#include "actors/metrics.hpp"
#include "actors/turn.hpp"
#include "actors/turn_worker.hpp"
#include "actors/wake_inbox.hpp"
#include "engine/directory.hpp"
#include "engine/session.hpp"

namespace rowcall::actors {

struct wakes_arrived {};
struct directory_tick {};
struct drain_request {};
/// The workers are made after the directory that they report to; this tells it of them.
struct workers_ready {
  std::vector<turn_worker_actor> workers;
};

/// Sessions that the sweep found pending.
struct sweep_finding {
  std::uint64_t sweep = 0;  ///< its number
  std::vector<engine::pending_session> sessions;
};
using sweep_finding_ptr = std::shared_ptr<const sweep_finding>;

/// For each kind served here, which shards this node should serve (a flag a shard).
using shard_preference = std::map<std::string, std::vector<bool>, std::less<>>;
using shard_preference_ptr = std::shared_ptr<const shard_preference>;

}  // namespace rowcall::actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(rowcall::actors::wakes_arrived)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(rowcall::actors::directory_tick)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(rowcall::actors::drain_request)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(rowcall::actors::workers_ready)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(rowcall::actors::sweep_finding_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(rowcall::actors::shard_preference_ptr)

namespace rowcall::actors {

using directory_actor =
    turn_listener::extend<caf::reacts_to<workers_ready>, caf::reacts_to<wakes_arrived>, caf::reacts_to<sweep_finding_ptr>,
                          caf::reacts_to<shard_preference_ptr>, caf::reacts_to<directory_tick>,
                          caf::replies_to<drain_request>::with<bool>>;

struct directory_actor_config {
  engine::directory_config directory;
  std::shared_ptr<const engine::session_config> session;
  const engine::module_registry* modules = nullptr;
  std::shared_ptr<wake_inbox> inbox;
  std::shared_ptr<const engine::clock> clock;
  engine::bus* bus = nullptr;
  metrics* counters = nullptr;
  std::chrono::milliseconds tick_interval{1'000};  ///< of passivation; held sessions are looked at when they are due
};

/// Knows the sessions, owns their actors, and hands out the turns.
///
///   workers_ready        the workers, in the order of their numbers
///   wakes_arrived        takes the wakes from the inbox
///   sweep_finding        as wakes, for sessions that were found pending
///   shard_preference     wakes of other nodes' shards are left to them from now on
///   worker_free          gives the worker a turn now, or as soon as there is one
///   turn_report          ends a turn
///   directory_tick       passivates idle sessions, releases held ones
///   drain_request        no new turns; answers when the last open one has ended
struct directory_state {
  static inline const char* name = "directory";
  directory_actor_config config;
  std::unique_ptr<engine::directory> sessions;
  std::vector<session_actor> actors;  ///< by slot; null when there is none
  std::vector<turn_worker_actor> workers;
  std::vector<std::size_t> free_workers;
  std::vector<engine::wake> wakes;
  crowd visitors;
  const engine::wake* hint = nullptr;  ///< while it is taken: a single wake, and the command that it brought
  engine::clock::time_point hints_off_until{};
  shard_preference_ptr preference;
  internal::foreign_sessions foreign;
  bool is_draining = false;
  caf::typed_response_promise<bool> drained;
  engine::clock::time_point next_tick{};
  bool has_drain_promise = false;
};

directory_actor::behavior_type session_directory(directory_actor::stateful_pointer<directory_state> self,
                                                 directory_actor_config config);

}  // namespace rowcall::actors
