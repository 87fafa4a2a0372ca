#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "engine/module.hpp"
#include "engine/retry_policy.hpp"
#include "engine/turn.hpp"

/// One session's logic: the cache of its state and cursor, and the deciding. Pure.
namespace rowcall::engine {

struct session_config {
  retry_policy retry;
  int snapshot_interval_updates = 256;  ///< a snapshot is appended when this many updates were folded since the last
  std::string node;                     ///< this node's name, to tell its own recorded attempts from another's
};

///            load()                    decide()
///   cold ────────────► loaded ───────────────────────► loaded, ahead of the database
///    ▲ ▲                 │                               │ COMMIT succeeded: nothing to do
///    │ └── decide() ◄────┘ held, or apply threw          │
///    └────────── forget() ◄──────────────────────────────┘ aborted: forget()
///
/// decide() leaves the session cold, its writes being valid all the same, when the next claim has to read it afresh:
/// a held command (only the database knows how long it still has to wait), and an apply that threw halfway (the state
/// in memory is worth nothing then; the log is).
///
/// A careful command takes two turns: the first records the attempt in `retries`, armed by this node, and nothing
/// else; the second executes that one command and clears the row. A node that dies in between leaves the row behind,
/// so that the attempt counts.
class session {
 public:
  session(session_id id, const module& m, std::shared_ptr<const session_config> config);

  const session_id& id() const { return id_; }
  bool is_loaded() const { return state_ != nullptr; }
  session_cursor cursor() const { return cursor_; }

  /// Folds the image: snapshot, then the updates after it. Errors: internal, when a snapshot or update can not be
  /// read back (the session then stays cold).
  result<void> load(const session_image& image, json::parser& parser);

  /// Drops state and cursor: the next claim loads them again.
  void forget();

  struct outcome {
    enum class status {
      decided,  ///< `writes` holds the effects (maybe none)
      stale,    ///< the commands do not follow the cursor: nothing decided, forget and claim again
    };
    status kind = status::decided;
    session_writes writes;
    bool has_more = false;                              ///< commands of this claim are left (hold, careful)
    std::optional<std::chrono::milliseconds> retry_in;  ///< held: look again after this long, not sooner
    bool is_loaded = true;  ///< false: the session is cold now, the next claim must bring an image
    bool needs_isolation = false;  ///< the rest needs a turn of its own: an earlier careful attempt ended with its node
    std::string load_error;  ///< stale because the image could not be loaded: it will not help to try again at once
    std::string snapshot_error;  ///< for the log: a snapshot was due, but the module's save could not be read back
  };

  /// Decides on the claimed commands, in order, and applies the updates to the cached state.
  /// `expected` is the cursor that the fetch used; it must be this session's own.
  /// `forced_error`: the first command can not be committed for this reason; it is treated as failed, not executed.
  /// `is_isolated`: no other session is in this turn; see outcome::needs_isolation.
  /// `deciding`: is told the seq of each command before the module gets it, for whoever watches from another thread.
  outcome decide(session_cursor expected, std::span<const command_row> commands, json::parser& parser,
                 const std::optional<std::string>& forced_error = {}, bool is_isolated = false,
                 std::atomic<std::int64_t>* deciding = nullptr);

 private:
  enum class step;
  struct batch;
  bool follows(session_cursor expected, std::span<const command_row> commands) const;
  const retry_row* retry_of(command_seq seq) const;
  bool is_armed_here(command_seq seq) const;
  bool needs_arming(command_seq seq) const;
  step decide_one(const command_row& row, batch& b);
  step arm(const command_row& row, batch& b);
  step execute(const command_row& row, batch& b);
  step keep(const command_row& row, decision& d, batch& b);
  step reject(const command_row& row, decision& d, batch& b);
  step failed(const command_row& row, const std::string& error, batch& b);
  step park(const command_row& row, const std::string& error, int attempts, batch& b);
  void finish(const command_row& row, batch& b);
  void append(const command_row& row, std::string_view type, std::string data, batch& b);
  void send(const command_row& row, decision& d, batch& b);
  void take_snapshot(outcome& out, json::parser& parser);

  session_id id_;
  const module& module_;
  std::shared_ptr<const session_config> config_;
  std::unique_ptr<module_state> state_;
  session_cursor cursor_;
  update_seq snapshot_at_;
  std::optional<retry_row> retry_;
  command_seq careful_until_;
};

}  // namespace rowcall::engine
