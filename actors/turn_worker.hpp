#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include <caf/all.hpp>

#include "actors/internal/decide_watch.hpp"
#include "actors/metrics.hpp"
#include "actors/turn.hpp"
#include "engine/ports.hpp"

namespace rowcall::actors {

struct worker_start {};
struct worker_rested {};
/// "I am free": from a worker (by its number) to the directory.
struct worker_free {
  std::size_t worker = 0;
};

}  // namespace rowcall::actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(rowcall::actors::worker_start)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(rowcall::actors::worker_rested)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(rowcall::actors::worker_free)

namespace rowcall::actors {

/// What a worker tells the directory.
using turn_listener = caf::typed_actor<caf::reacts_to<worker_free>, caf::reacts_to<turn_report_ptr>>;

using turn_worker_actor = caf::typed_actor<caf::reacts_to<worker_start>, caf::reacts_to<turn_assignment>,
                                           caf::reacts_to<turn_decided>, caf::reacts_to<worker_rested>>;

struct turn_worker_config {
  std::size_t number = 0;
  engine::turn_limits limits;
  const engine::module_registry* modules = nullptr;
  std::chrono::milliseconds reconnect_wait{50};
  std::chrono::milliseconds reconnect_wait_max{1'000};
  std::shared_ptr<internal::decide_watch> watch;  ///< is told what it decides on; null = nobody watches
  engine::bus* bus = nullptr;
  std::shared_ptr<const engine::clock> clock;
  metrics* counters = nullptr;
  engine::log_sink log;
};

/// Runs turns, one at a time, on one store (detached: the store blocks).
///
///   worker_start     tells the directory that it is free
///   turn_assignment  claims, lets the session actors decide, and usually commits all in this one handler
///   turn_decided     commits, when an actor decided later (it was busy elsewhere)
///   worker_rested    free again after waiting for a lost store
struct turn_worker_state {
  static inline const char* name = "turn_worker";
  std::shared_ptr<engine::turn_store> store;
  turn_listener directory;
  turn_worker_config config;
  turn_ptr open;  ///< claimed and not ended
  std::chrono::milliseconds rest{0};
  bool is_store_away = false;
};

turn_worker_actor::behavior_type turn_worker(turn_worker_actor::stateful_pointer<turn_worker_state> self,
                                             turn_worker_config config, std::shared_ptr<engine::turn_store> store,
                                             turn_listener directory);

}  // namespace rowcall::actors
