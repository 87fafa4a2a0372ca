#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/ports.hpp"

namespace rowcall::client {

struct follower_config {
  std::chrono::milliseconds poll_interval{1'000};  ///< the fallback when notices are lost: look at the database
  /// The same while the bus is away and every notice is lost; the shorter of the two counts.
  std::chrono::milliseconds poll_interval_alone{1'000};
  std::size_t page_updates = 500;                  ///< read at once per session while catching up
  /// A log that ends before a session's position for this long is another one (a lagging replica catches up by then).
  std::chrono::milliseconds ahead_wait{10'000};
};

/// What a follower is told about its sessions. One call at a time, on the follower's thread or on one of
/// the bus's.
struct follow_handler {
  /// Contiguous, each seq exactly once, in order.
  std::function<void(const engine::session_id&, std::span<const engine::update_row>)> on_updates;
  /// Start from this snapshot; updates go on after its seq. Either retention removed what comes next, or an older state of
  /// the database was restored and what was told before is void: the seq may be lower than the last one then, and without
  /// a snapshot the log is told from its beginning. Without a handler the session is followed from there silently.
  std::function<void(const engine::session_id&, const std::optional<engine::snapshot_row>&)> on_gone;
  /// The database's incarnation, before anything of it is told: when it is first known, and when another state of the
  /// database was restored.
  std::function<void(const std::string&)> on_incarnation;
  /// A read that failed: the follower waits and reads again, whatever it is. Of errors that is_transient() does not
  /// hold for, a person has to hear (no right to read, another schema): they do not end by themselves.
  std::function<void(const engine::error&)> on_error;
  /// Connected and caught up (true), or reading is failing at the moment (false).
  std::function<void(bool)> on_live;
};

/// Follows the update logs of any number of sessions, live:
/// subscribe, flush, catch up from the database, then notices; what a notice skips is read from the database, what was
/// seen already is dropped by seq. Survives the loss of bus and database. One thread, one connection.
class follower {
 public:
  follower(std::unique_ptr<engine::update_store> store, engine::bus& bus, follow_handler handler, follower_config config = {});
  ~follower();
  follower(const follower&) = delete;

  /// Starts to follow after `after` (0 = from the beginning). Following again moves the position. Thread-safe.
  /// `incarnation`: of the database that `after` was read from (see incarnation()), for whoever remembers it over a restart.
  void follow(const engine::session_id& session, engine::update_seq after, const std::string& incarnation = {});
  void unfollow(const engine::session_id& session);
  /// Reads the session's log soon, as after a notice: for whoever expects something and has heard nothing. Thread-safe.
  void look(const engine::session_id& session);
  /// Where the session stands; nothing when it is not followed.
  std::optional<engine::update_seq> position(const engine::session_id& session) const;
  /// The database's incarnation as of the last look; empty before the first. Looked at once a poll interval.
  std::string incarnation() const;

 private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

}  // namespace rowcall::client
