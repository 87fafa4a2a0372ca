#include "client/follower.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <mutex>
#include <utility>

#include "tools/rowcall/actions.hpp"
#include "tools/rowcall/format.hpp"
#include "tools/rowcall/stop_signal.hpp"

namespace rowcall::tools {
namespace {

void print_gone(const engine::session_id& session, const std::optional<engine::snapshot_row>& snapshot, bool json) {
  if (!json) {
    std::printf("-------- what lies between is gone (retention, or a restored database); the state after update %lld is:\n         %s\n",
                static_cast<long long>(snapshot ? snapshot->seq.value : 0),
                snapshot ? sanitised(snapshot->state).c_str() : "{}");
    return;
  }
  engine::json::writer w;
  w.begin_object().key("session").string(session.str()).key("gone").boolean(true);
  w.key("snapshot_seq").number(snapshot ? snapshot->seq.value : 0).key("state");
  w.raw(snapshot ? snapshot->state : "{}").end_object();
  std::printf("%s\n", w.str().c_str());
}

/// Prints on the follower's thread; the main thread waits for the end.
class printer {
 public:
  printer(const global_options& global, const follow_options& options)
      : json_(global.json), left_(options.count), ended_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
  ~printer() { close(ended_); }

  /// False when there is nothing more to print: enough was printed, or nobody reads.
  bool print(const engine::session_id& session, std::span<const engine::update_row> updates) {
    for (const auto& update : updates) {
      if (is_over()) break;
      std::printf("%s\n", format_update(session, update, json_).c_str());
      if (left_) --*left_;
    }
    // A closed pipe (`| head`) or a full disk shows on the flush; run_main() tells the latter. SIGPIPE is ignored by
    // the NATS library.
    if (std::fflush(stdout) != 0 || is_over()) end();
    return !is_over();
  }
  void gone(const engine::session_id& session, const std::optional<engine::snapshot_row>& snapshot) {
    print_gone(session, snapshot, json_);
    std::fflush(stdout);
  }
  void live(bool is_live) {
    if (is_live == is_live_) return;
    is_live_ = is_live;
    if (is_live)
      std::fprintf(stderr, "rowcall: back\n");
    else
      tell_away();
  }
  /// First that a connection was lost, then why there is no new one: each is told once.
  void failed(const engine::error& error) {
    if (std::exchange(why_away_, error.message) != error.message && !is_live_) tell_away();
  }
  /// Nothing more is printed, and ended_fd() is readable.
  void end() {
    broken_ = true;
    const std::uint64_t one = 1;
    if (write(ended_, &one, sizeof one) < 0) std::perror("rowcall: eventfd");
  }
  int ended_fd() const { return ended_; }

 private:
  void tell_away() const { std::fprintf(stderr, "rowcall: reconnecting … (%s)\n", sanitised(why_away_).c_str()); }
  bool is_over() const { return broken_ || (left_ && *left_ == 0); }

  bool json_;
  std::optional<std::uint64_t> left_;
  int ended_;
  bool broken_ = false;
  bool is_live_ = true;
  std::string why_away_;  ///< of the last read that failed
};

engine::error beyond_end(const engine::session_id& session, engine::update_seq after, engine::update_seq last) {
  return {engine::errc::not_found, "--after " + std::to_string(after.value) + " lies beyond the end of " +
                                       session.str() + ", which is at update " + std::to_string(last.value) +
                                       ". Was an older state of the database restored?"};
}

/// Maybe the name is mistyped.
void tell_empty(const engine::session_id& session) {
  std::fprintf(stderr, "rowcall: %s has no updates yet\n", session.str().c_str());
}

/// A position that was seen is there, as long as the database is the same. Errors: not_found, the store's.
engine::result<void> check_position(engine::update_store& store, const engine::session_id& session,
                                    engine::update_seq after) {
  auto last = store.last(session);
  if (!last)
    return engine::is_transient(last.error().code) ? engine::result<void>{} : tl::make_unexpected(last.error());
  if (last->update < after) return tl::make_unexpected(beyond_end(session, after, last->update));
  if (last->update.value == 0) tell_empty(session);
  return {};
}

/// The log as it is, without waiting for more.
exit_code print_once(const global_options& global, const follow_options& options, const engine::session_id& session) {
  const auto store = storage::postgres::make_update_store(store_config_of(global.connection, "follow"));
  printer out{global, options};
  engine::update_seq after{options.after};
  while (true) {
    constexpr std::size_t page_updates = 500;
    auto page = store->updates_after(session, after, page_updates);
    if (!page) return fail_with(page.error());
    if (page->is_ahead) {
      const auto last = store->last(session);
      return fail_with(last ? beyond_end(session, after, last->update) : last.error());
    }
    if (options.after == 0 && after.value == 0 && page->updates.empty() && !page->gone) tell_empty(session);
    if (page->gone) {
      auto snapshot = store->snapshot(session);
      if (!snapshot) return fail_with(snapshot.error());
      out.gone(session, *snapshot);
      if (!*snapshot || (*snapshot)->seq <= after) return exit_code::not_found;
      after = (*snapshot)->seq;
      continue;
    }
    if (!out.print(session, page->updates) || page->updates.size() < page_updates) return exit_code::ok;
    after = page->updates.back().seq;
  }
}

}  // namespace

exit_code run(const global_options& global, const follow_options& options) {
  auto session = engine::session_id::parse(options.session);
  if (!session)
    return fail_with(
        {session.error().code, "session '" + sanitised(options.session) + "': " + session.error().message});
  if (auto checked = check_database(global.connection); !checked) return fail_with(checked.error());
  if (options.once) return print_once(global, options, *session);

  stop_signal stop;
  auto bus = open_bus(global.connection, "follow");
  if (!bus) return fail_with(bus.error());
  printer out{global, options};
  std::optional<engine::error> failure;  // written by the follower's thread, read when that has ended
  client::follow_handler handler;
  handler.on_updates = [&](const auto& id, auto updates) { out.print(id, updates); };
  handler.on_gone = [&](const auto& id, const auto& snapshot) { out.gone(id, snapshot); };
  handler.on_live = [&](bool live) { out.live(live); };
  handler.on_error = [&](const engine::error& error) {
    out.failed(error);
    if (engine::is_transient(error.code)) return;
    if (!failure) failure = error;
    out.end();
  };
  {
    const auto store = storage::postgres::make_update_store(store_config_of(global.connection, "follow"));
    if (auto there = check_position(*store, *session, {options.after}); !there) return fail_with(there.error());
  }
  {
    client::follower follower{storage::postgres::make_update_store(store_config_of(global.connection, "follow")), **bus,
                              std::move(handler)};
    follower.follow(*session, engine::update_seq{options.after});
    pollfd fds[] = {{stop.fd(), POLLIN, 0}, {out.ended_fd(), POLLIN, 0}};
    while (poll(fds, 2, -1) < 0) {
    }
  }
  if (failure) return fail_with(*failure);
  return exit_code::ok;
}

}  // namespace rowcall::tools
