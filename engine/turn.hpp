#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/module.hpp"
#include "engine/types.hpp"

/// What passes between a turn worker and its store: a request, what was
/// claimed, and what was decided. Plain values.
namespace rowcall::engine {

/// Where a session's processing stands: its last update row.
struct session_cursor {
  update_seq update;    ///< seq of the last update
  command_seq command;  ///< the command that it answers: the last one processed
  friend auto operator<=>(const session_cursor&, const session_cursor&) = default;
};

/// Bounds of one turn. Units last.
struct turn_limits {
  std::size_t sessions_max = 1024;
  std::size_t commands_per_session_max = 256;
  std::size_t commands_max = 4096;             ///< of all sessions of the turn
  std::size_t data_bytes_max = 4 * 1024 * 1024;  ///< of all commands' data; at least one command is always taken
};

struct session_request {
  session_id session;
  shard_index shard = 0;
  /// Known when the session's actor is loaded; unknown ones are probed and their state is loaded.
  std::optional<session_cursor> cursor;
  bool wants_state = true;  ///< false for a module without state: the cursor is enough
  /// Said (by a wake) to be the session's only pending command, the one after the cursor. A store may take it for
  /// granted until commit() (turn_claim::is_unverified), or fetch all the same.
  std::shared_ptr<const command_row> expected = nullptr;
};

struct turn_request {
  std::vector<session_request> sessions;  ///< distinct, in the order of service
  turn_limits limits;
};

/// A row of `retries`: the session's next command failed before, or is being tried with care.
struct retry_row {
  command_seq command;
  int attempts = 0;
  std::string last_error;
  std::string armed_by;  ///< the node that recorded this attempt before executing it; empty after a plain failure
  std::chrono::milliseconds wait{0};  ///< by the database's clock, until it may be tried again; 0 = now
};

/// What an actor needs to start: the last snapshot, the updates after it, and the cursor.
struct session_image {
  session_cursor cursor;
  std::optional<snapshot_row> snapshot;
  std::vector<update_row> tail;     ///< updates after the snapshot, in order; empty when state was not wanted
  std::optional<retry_row> retry;
  /// Commands up to here were pending when a node died uncleanly: each is tried alone, its attempt recorded first.
  command_seq careful_until;
};

enum class claim_status {
  claimed,      ///< the shard is ours; `commands` may be empty
  skipped,      ///< another node (or a dead one, until PostgreSQL drops it) holds the shard: look again soon
  not_reached,  ///< the turn's bounds were used up before this session: it stays ready
};

struct session_claim {
  claim_status status = claim_status::skipped;
  /// Set when the request had no cursor, or when it was void because the shard has been taken over.
  std::optional<session_image> image;
  std::vector<command_row> commands;  ///< seq contiguous, from cursor.command + 1
  bool has_more = false;              ///< a bound cut the list: there may be more pending commands
};

struct turn_claim {
  std::vector<session_claim> sessions;       ///< parallel to turn_request::sessions
  std::vector<shard_index> taken_over;       ///< shards that were another node's: forget all their sessions
  db_time now{};                             ///< the transaction's time, unless it is unverified
  bool is_unverified = false;  ///< nothing was locked or fetched yet: commit() does it, or fails with serialization_failure
};

/// What one session's actor decided on its claimed commands.
struct session_writes {
  session_id session;
  session_cursor before;  ///< what was decided upon
  session_cursor after;
  std::vector<update_row> updates;  ///< contiguous from before.update + 1
  std::vector<domain_row> rows;
  std::optional<snapshot_row> snapshot;

  /// The session's row in `retries` after this turn.
  enum class retry_change { keep, put, clear };
  retry_change retry = retry_change::keep;
  std::optional<retry_row> retry_put;  ///< with wait = backoff from the transaction's time

  struct parked {
    command_row command;
    std::string error;
    int attempts = 0;
  };
  std::vector<parked> dead_letters;

  struct send {
    sent_command command;
    std::string idempotency_key;  ///< "send:<session>/<command seq>/<index>": once, however often it is tried
  };
  std::vector<send> sends;

  bool empty() const {
    return updates.empty() && rows.empty() && !snapshot && retry == retry_change::keep && dead_letters.empty() && sends.empty();
  }
};

}  // namespace rowcall::engine
