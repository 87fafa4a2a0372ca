#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "gateway/internal/context.hpp"
#include "gateway/internal/feed_hub.hpp"
#include "gateway/internal/http.hpp"
#include "gateway/internal/positions.hpp"

namespace rowcall::gateway::internal {

/// One session of a stream, as it was opened.
struct stream_start {
  engine::session_id session;
  std::int64_t url_after = 0;     ///< what the URL says; at_end: the id always tells where it stands
  std::int64_t after = 0;         ///< delivered already
  std::int64_t end = 0;           ///< of the log, when it was opened
  std::vector<event_ptr> page;    ///< what was read on opening: contiguous from after + 1
  bool is_by_membership = false;  ///< allowed as long as its user is a member
};

/// An open event stream. Pulls: it takes from the feeds and from the log what its client can take, and keeps nothing
/// but one piece that is being written.
///
///   feed ──on_more──► pump ──piece──► sink ──on_writable──► pump …
///                      └─ behind the ring ──► page from the log ──► pump
///                      └─ "this user left" ──► still a member? ──► pump, or `left`
///
/// Of the io thread. Owned by its connection, and by reads that are under way.
class stream final : public feed_reader, public std::enable_shared_from_this<stream> {
 public:
  stream(context& c, identity who, std::vector<stream_start> starts, bool is_single, bool has_heartbeat_events);
  ~stream() override;

  void begin(const exchange_ptr& e);
  /// Heartbeats, the token's end, reads to be tried again.
  void tick(std::chrono::steady_clock::time_point now, std::chrono::sys_seconds wall_now);
  /// Says why, ends.
  void end(std::string_view event, std::string_view data = "{}");
  const std::string& key() const { return who_.key; }

  // feed_reader
  void on_more(std::uint32_t index) override;
  void on_signal(std::uint32_t index, const std::string& text) override;
  void on_left(std::uint32_t index) override;
  void on_moved(std::uint32_t index, std::size_t slot) override { subs_[index].slot = slot; }
  const std::string& user() const override { return who_.user; }

 private:
  struct sub {
    engine::session_id session;
    std::int64_t url_after, position, end;
    std::vector<event_ptr> page;
    std::size_t page_next = 0;
    feed* from = nullptr;
    std::size_t slot = 0;
    bool is_by_membership = false;
    bool is_queued = false;     ///< in dirty_
    bool is_reading = false;    ///< a page is being read
    bool is_verifying = false;  ///< nothing is sent until it is known whether the user is still a member
    bool needs_retry = false;   ///< the read failed: again with the next tick
    bool is_ended = false;
  };

  void pump();
  /// Appends what can be sent of one session; true when there may be more.
  bool take_from(std::uint32_t index, std::string& out);
  void append(std::string& out, std::uint32_t index, const event& e) const;
  std::string event_id(std::uint32_t index, std::int64_t seq) const;
  void read_page(std::uint32_t index);
  void take_page(std::uint32_t index, engine::result<engine::update_page> page, std::vector<event_ptr> events);
  void verify(std::uint32_t index);
  void take_verdict(std::uint32_t index, const engine::result<std::vector<std::string>>& chats);
  void leave(std::uint32_t index);
  void tell_ready();
  void queue(std::uint32_t index);
  void closed();

  context& context_;
  identity who_;
  std::vector<sub> subs_;
  bool is_single_, has_heartbeat_events_;
  std::shared_ptr<event_sink> sink_;
  std::vector<std::uint32_t> dirty_;
  std::string control_;  ///< signals and notes, sent before updates; bounded
  bool is_ready_told_ = false, is_ending_ = false, is_closed_ = false;
  std::chrono::steady_clock::time_point heartbeat_at_{};
};

}  // namespace rowcall::gateway::internal
