#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "client/follower.hpp"
#include "engine/ports.hpp"
#include "gateway/config.hpp"

namespace rowcall::gateway::internal {

/// An update as streams need it; made once for all of them.
struct event {
  std::int64_t seq = 0, command = 0;
  std::string text;       ///< update_text()
  std::string left_user;  ///< who is no member any more after it; empty mostly
};
using event_ptr = std::shared_ptr<const event>;
event_ptr make_event(const engine::session_id& session, const engine::update_row& update);

/// Somebody who reads feeds. Of the io thread.
class feed_reader {
 public:
  virtual ~feed_reader() = default;
  /// The feed that was joined under `index` has more.
  virtual void on_more(std::uint32_t index) = 0;
  virtual void on_signal(std::uint32_t index, const std::string& text) = 0;
  /// Its user is no member any more, as of an update that was just delivered.
  virtual void on_left(std::uint32_t index) = 0;
  /// Its place in the feed's list changed; keep it for leave().
  virtual void on_moved(std::uint32_t index, std::size_t slot) = 0;
  virtual const std::string& user() const = 0;
};

/// The recent updates of one session, followed once for all who read it.
///
///   log      1 … … … … … … … 90 91 … 120 │ 121 …
///   ring                     └──────────┘ position
///   a reader at 85: page from the database; at 90 or later: from the ring; at 120: waits
struct feed {
  explicit feed(engine::session_id s, std::int64_t at) : session(std::move(s)), position(at) {}

  const engine::session_id session;
  std::int64_t position;       ///< of the last update that was delivered
  std::int64_t command = 0;    ///< its command
  std::deque<event_ptr> ring;  ///< contiguous, the last is `position`
  std::size_t ring_bytes = 0;

  struct joined {
    feed_reader* reader;
    std::uint32_t index;
  };
  std::vector<joined> readers;

  struct waiter {
    std::int64_t command;
    std::chrono::steady_clock::time_point until;
    /// The command's updates. Empty with `is_certain`: it is still pending; without: ask the database.
    std::function<void(std::vector<event_ptr>, bool is_certain)> done;
    std::chrono::steady_clock::time_point since{};  ///< set by the hub
  };
  std::vector<waiter> waiters;
  std::chrono::steady_clock::time_point used_at{};

  /// The first update after `seq` in the ring; null when it is not there (yet, or any more).
  const event_ptr* after(std::int64_t seq) const {
    if (ring.empty() || seq < ring.front()->seq - 1 || seq >= position) return nullptr;
    return &ring[static_cast<std::size_t>(seq + 1 - ring.front()->seq)];
  }
};

/// All feeds. Of the io thread, but for what the follower calls.
class feed_hub {
 public:
  /// `on_io` runs a function on the io thread.
  feed_hub(const gateway_config& config, std::unique_ptr<engine::update_store> store, engine::bus& bus,
           std::function<void(std::function<void()>)> on_io, engine::log_sink log);
  ~feed_hub();

  /// Of the database that the feeds are of. Empty until something was read.
  const std::string& incarnation() const { return incarnation_; }
  /// Whether what was read of this incarnation still counts. The first one does.
  bool holds(const std::string& incarnation);
  /// An older state of the database was restored: what the feeds know is void. Their readers are to be ended.
  void restart(const std::string& incarnation);

  feed* find(const engine::session_id& session);
  /// Follows from `position`, which the caller has just read from the log; an existing feed stays as it is.
  feed& open(const engine::session_id& session, std::int64_t position);
  /// Returns the slot.
  std::size_t join(feed& f, feed_reader& reader, std::uint32_t index);
  void leave(feed& f, std::size_t slot);
  void wait_for(feed& f, feed::waiter w);
  void signal(const engine::session_id& session, const std::string& text);
  /// Looks into the log for waits that have heard nothing for a while: all notices may be lost without anybody knowing.
  void look_for_waits(std::chrono::steady_clock::time_point now);
  /// Ends waits that took too long.
  void end_late_waits(std::chrono::steady_clock::time_point now);
  /// Forgets feeds that nobody reads.
  void tick(std::chrono::steady_clock::time_point now);
  /// Answers all waits: still pending.
  void end_waits();

  std::size_t size() const { return feeds_.size(); }
  /// Signals that the hub itself makes go to the other gateways by this.
  std::function<void(const engine::session_id&, const std::string&)> tell_others;
  bool is_live() const { return is_live_; }  ///< the database can be read

 private:
  void take(const engine::session_id& session, const std::string& incarnation, std::vector<event_ptr> events);
  void answer_waiters(feed& f, std::span<const event_ptr> events);

  const gateway_config& config_;
  std::function<void(std::function<void()>)> on_io_;
  std::string incarnation_;
  std::unordered_map<engine::session_id, std::unique_ptr<feed>> feeds_;
  std::vector<std::unique_ptr<feed>> void_;            ///< of an incarnation before; until their readers have left
  std::unordered_set<engine::session_id> waited_for_;  ///< sessions whose feeds have waiters, or had
  bool is_live_ = true;
  std::shared_ptr<bool> is_alive_ = std::make_shared<bool>(true);  ///< false: what was posted comes too late
  std::unique_ptr<client::follower> follower_;
};

}  // namespace rowcall::gateway::internal
