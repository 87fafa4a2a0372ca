#pragma once

#include <functional>
#include <span>
#include <vector>

#include "engine/ports.hpp"
#include "tools/loadgen/verifier.hpp"

namespace rowcall::tools::loadgen {

/// Where a session is to be followed from.
struct position {
  session_index index = 0;
  engine::session_id session;
  engine::update_seq after;
};

/// What the load is put on. The real one is made of client::submitter and client::follower; tests have ones that stall,
/// lose, double and swap. All calls come from the runner's thread.
class target {
 public:
  using submitted = std::function<void(const engine::result<engine::submit_receipt>&)>;
  using updates = std::function<void(session_index, std::span<const engine::update_row>)>;

  virtual ~target() = default;
  /// Before anything else: who is told of updates. On any thread, never within a call of follow or submit by contract of
  /// the real one; a fake may do so.
  virtual void start(updates on_updates) = 0;
  /// Returns at once; `done` comes once, on any thread.
  virtual void submit(engine::command_request request, submitted done) = 0;
  virtual void follow(std::span<const position> positions) = 0;
  virtual void unfollow(std::span<const position> positions) = 0;
  /// All followers go away and come back as new ones at the positions told by `where`, which is called when the old
  /// ones are silent. Does not wait for them.
  virtual void reconnect(std::function<std::vector<position>()> where) = 0;
  /// A client opens the session: reads its last updates. Returns at once; `done` comes once, on any thread.
  virtual void read(engine::session_id session, std::function<void(bool)> done) = 0;
  /// Blocking.
  virtual engine::result<engine::session_cursor> cursor(const engine::session_id& session) = 0;
  /// Waits until what is followed is caught up. False when it was not within `timeout`.
  virtual bool wait_live(std::chrono::milliseconds timeout) = 0;
  /// No callback runs or comes afterwards: what is still open is answered or given up. start() begins anew.
  virtual void stop() = 0;
};

}  // namespace rowcall::tools::loadgen
