#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <caf/all.hpp>

#include "engine/directory.hpp"
#include "engine/ports.hpp"
#include "engine/session.hpp"
#include "engine/turn.hpp"

/// The messages between the actors, and the turn they pass along. All are local to one process.
namespace rowcall::actors {

struct turn;
using turn_ptr = std::shared_ptr<turn>;

/// "Decide on your commands of this turn", to the session at this position.
struct decide_request {
  turn_ptr turn;
  std::uint32_t position = 0;
};

/// "What you decided was not committed": drop state and cursor.
struct forget_request {};

/// The last session of a turn has decided.
struct turn_decided {
  turn_ptr turn;
};

struct turn_assignment {
  turn_ptr turn;
};

/// A worker's turn has ended; the worker is free again unless it rests first.
struct turn_report {
  turn_ptr turn;
  std::vector<engine::directory::finished> sessions;
  std::vector<engine::shard_index> shards_lost;
  std::vector<engine::wake> wakes;  ///< the targets of sent commands
};
using turn_report_ptr = std::shared_ptr<turn_report>;

}  // namespace rowcall::actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(rowcall::actors::decide_request)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(rowcall::actors::forget_request)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(rowcall::actors::turn_decided)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(rowcall::actors::turn_assignment)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(rowcall::actors::turn_report_ptr)

namespace rowcall::actors {

using session_actor = caf::typed_actor<caf::reacts_to<decide_request>, caf::reacts_to<forget_request>>;

/// One turn on its way: filled by the directory (what), the worker (claim) and the session actors (outcomes). Each
/// actor writes only its own position; `undecided` orders their writes before the worker's reads.
struct turn {
  engine::directory::assignment work;
  std::vector<session_actor> actors;  ///< parallel to work.sessions
  std::shared_ptr<const engine::command_row> expected;  ///< of the only session, from its wake; see session_request
  bool was_mistaken = false;  ///< `expected` was not what is pending

  engine::turn_claim claim;
  std::vector<engine::shard_index> shards_lost;  ///< found to have been another node's
  std::vector<engine::session::outcome> outcomes;  ///< parallel; only where a decide_request was sent
  std::optional<std::string> forced_error;  ///< isolated: the command could not be committed for this reason
  struct {
    engine::clock::time_point started, claimed, decided, committed;
  } at;  ///< for the metrics
  struct {
    std::atomic<std::uint32_t> position = 0;  ///< the session that is at work
    std::atomic<std::int64_t> command = 0;    ///< and the seq of its command; 0 while it loads its state
  } deciding;                                 ///< for whoever watches from another thread
  std::atomic<std::size_t> undecided = 0;
  std::function<void(const turn_ptr&)> on_decided;  ///< called by the last one to decide
};

}  // namespace rowcall::actors
