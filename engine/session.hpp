#pragma once

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
///    ▲                                                   │ COMMIT succeeded: nothing to do
///    └────────── forget() ◄──────────────────────────────┘ aborted: forget()
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
    std::optional<std::chrono::milliseconds> retry_in;  ///< held: look again after this long
  };

  /// Decides on the claimed commands, in order, and applies the updates to the cached state.
  /// `expected` is the cursor that the fetch used; it must be this session's own.
  /// `forced_error`: the first command can not be committed for this reason; it is treated as failed, not executed.
  outcome decide(session_cursor expected, std::span<const command_row> commands, json::parser& parser,
                 const std::optional<std::string>& forced_error = {});

 private:
  struct batch;
  bool decide_one(const command_row& row, json::parser& parser, batch& b);

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
