#pragma once

#include <memory>

#include <caf/all.hpp>

#include "actors/turn.hpp"
#include "engine/session.hpp"

namespace rowcall::actors {

/// One session. It owns the cached state and decides; it does no I/O and never blocks.
///
///   decide_request  loads the image that the claim brought (if any), decides on the claimed commands, writes the
///                   outcome to its position of the turn; the last of a turn reports it decided
///   forget_request  drops the cache: the turn was not committed, or the shard was lost
struct session_state {
  std::unique_ptr<engine::session> session;
  static inline const char* name = "session";
};

session_actor::behavior_type session(session_actor::stateful_pointer<session_state> self, engine::session_id id,
                                     const engine::module* module, std::shared_ptr<const engine::session_config> config);

}  // namespace rowcall::actors
