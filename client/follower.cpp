#include "client/follower.hpp"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <queue>
#include <random>
#include <thread>
#include <unordered_map>
#include <utility>

#include "client/internal/backoff.hpp"

namespace rowcall::client {
namespace {

using engine::session_id;
using engine::update_notice;
using engine::update_row;
using engine::update_seq;
using std::chrono::milliseconds;
using steady = std::chrono::steady_clock;

constexpr std::size_t notices_waiting_max = 16'384;
constexpr std::size_t notice_bytes_waiting_max = 32 * 1024 * 1024;
/// Sessions and rows of one bulk read: bounds its time, and with it how long live notices wait behind it.
constexpr std::size_t bulk_sessions_max = 256;
constexpr std::size_t bulk_rows_max = 4'096;
constexpr milliseconds flush_timeout{500};
constexpr milliseconds read_wait_base{50};
constexpr milliseconds read_wait_max{2'000};

/// A followed session. Following it again makes a new one; the old one ends.
struct followed {
  followed(session_id s, update_seq after, std::string i)
      : session(std::move(s)), position(after.value), incarnation(std::move(i)) {}

  const session_id session;
  std::atomic<std::int64_t> position;  ///< written by whoever holds the follower's `work`
  std::atomic<bool> is_ended{false};
  std::atomic<bool> is_looked_for{false};              ///< it stands in the inbox for a look
  std::unique_ptr<engine::subscription> subscription;  ///< under the follower's mutex

  // Of whoever holds the follower's `work`:
  bool is_behind = false;           ///< it stands in the list of those to be read
  steady::time_point checked_at{};  ///< known to be complete at that time
  std::string incarnation;          ///< that the position is of; empty: of the one found first
  std::optional<steady::time_point> ahead_since;  ///< the log has ended before the position since then
};
using followed_ptr = std::shared_ptr<followed>;

std::size_t bytes_of(const update_notice& notice) {
  std::size_t bytes = sizeof(update_notice);
  for (const auto& row : notice.updates) bytes += sizeof(update_row) + row.data.size();
  return bytes;
}

/// What bus threads and callers leave for the follower's thread. Bounded: what does not fit becomes "look at the
/// database", one bit for all sessions.
struct inbox {
  std::vector<followed_ptr> added;
  std::vector<std::pair<followed_ptr, update_notice>> notices;
  std::vector<followed_ptr> looks;  ///< each once
  std::size_t notice_bytes = 0;
  bool check_all = false;
  bool is_stopping = false;

  bool empty() const { return added.empty() && notices.empty() && looks.empty() && !check_all && !is_stopping; }
};

struct poll_due {
  steady::time_point at;
  followed_ptr entry;
  friend bool operator<(const poll_due& a, const poll_due& b) { return a.at > b.at; }  // the earliest on top
};

}  // namespace

/// The follower's thread: first what came in, then one bounded read of those that are behind, then again.
///
///   notice ──► first = position + 1, updates inline ──► delivered
///         ├──► last <= position ──► dropped
///         └──► otherwise ──► behind ──► pages from the database ──► delivered, or gone ──► snapshot ──► behind
///   another incarnation of the database ──► every session: gone ──► snapshot ──► behind
struct follower::impl {
  impl(std::unique_ptr<engine::update_store> s, engine::bus& b, follow_handler h, follower_config c)
      : store(std::move(s)), bus(b), handler(std::move(h)), config(c) {
    ROWCALL_ASSERT(handler.on_updates);
    config.page_updates = std::max<std::size_t>(config.page_updates, 1);
    thread = std::thread{[this] { run(); }};
    connected = bus.on_connected([this] {
      const std::lock_guard lock{mutex};
      waiting.check_all = true;
      changed.notify_one();
    });
  }

  ~impl() {
    {
      const std::lock_guard lock{mutex};
      waiting.is_stopping = true;
      changed.notify_one();
    }
    thread.join();
    connected.reset();
    for (auto& [session, entry] : entries) entry->subscription.reset();
  }

  // ------------------------------------------------------------ callers

  void follow(const session_id& session, update_seq after, const std::string& known) {
    auto entry = std::make_shared<followed>(session, after, known);
    std::unique_ptr<engine::subscription> ended;  // after the lock: its end waits for a callback that wants the lock
    const std::lock_guard lock{mutex};
    if (const auto old = std::exchange(entries[session], entry)) ended = end(*old);
    waiting.added.push_back(std::move(entry));
    changed.notify_one();
  }

  void unfollow(const session_id& session) {
    std::unique_ptr<engine::subscription> ended;  // after the lock: its end waits for a callback that wants the lock
    const std::lock_guard lock{mutex};
    const auto it = entries.find(session);
    if (it == entries.end()) return;
    ended = end(*it->second);
    entries.erase(it);
  }

  /// Under the mutex. The subscription has to be taken out: its callback holds the entry.
  std::unique_ptr<engine::subscription> end(followed& entry) {
    entry.is_ended = true;
    return std::move(entry.subscription);
  }

  void look(const session_id& session) {
    const std::lock_guard lock{mutex};
    const auto it = entries.find(session);
    if (it == entries.end() || it->second->is_looked_for.exchange(true)) return;
    waiting.looks.push_back(it->second);
    changed.notify_one();
  }

  std::optional<update_seq> position(const session_id& session) const {
    const std::lock_guard lock{mutex};
    const auto it = entries.find(session);
    if (it == entries.end()) return std::nullopt;
    return update_seq{it->second->position};
  }

  std::string current_incarnation() const {
    const std::lock_guard lock{mutex};
    return incarnation;
  }

  // ------------------------------------------------------------ bus threads

  void receive(const followed_ptr& entry, const update_notice& notice) {
    if (entry->is_ended || notice.last.value <= entry->position || deliver_now(entry, notice)) return;
    const auto bytes = bytes_of(notice);
    const std::lock_guard lock{mutex};
    if (waiting.notices.size() >= notices_waiting_max || waiting.notice_bytes + bytes > notice_bytes_waiting_max) {
      waiting.check_all = true;
    } else {
      waiting.notice_bytes += bytes;
      waiting.notices.emplace_back(entry, notice);
    }
    changed.notify_one();
  }

  /// What simply continues is handed over here, when the follower's thread has nothing to do: a thread hop less. Only
  /// what follows the position, so nothing that is still on its way can be overtaken.
  bool deliver_now(const followed_ptr& entry, const update_notice& notice) {
    const std::unique_lock working{work, std::try_to_lock};
    if (!working.owns_lock()) return false;
    {
      const std::lock_guard lock{mutex};
      if (!waiting.empty()) return false;
    }
    return !entry->is_behind && take_live(entry, notice);
  }

  // ------------------------------------------------------------ the follower's thread

  void run() {
    for (;;) {
      inbox taken;
      {
        std::unique_lock lock{mutex};
        if (const auto wake_at = next_work_at())
          changed.wait_until(lock, *wake_at, [&] { return !waiting.empty(); });
        else
          changed.wait(lock, [&] { return !waiting.empty(); });
        std::swap(taken, waiting);
      }
      if (taken.is_stopping) return;
      const std::lock_guard working{work};
      start(taken.added);
      for (auto& [entry, notice] : taken.notices) take(entry, notice);
      for (const auto& entry : taken.looks) {
        entry->is_looked_for = false;
        fall_behind(entry);
      }
      if (taken.check_all) check_all();
      check_alone();
      collect_polls();
      if (check_incarnation()) read_some();
      tell_live();
    }
  }

  /// When there is something to do without a message: at once (a time in the past), later, or never.
  std::optional<steady::time_point> next_work_at() const {
    if (!behind.empty()) return retry_at;
    if (!polls.empty()) {
      auto at = std::min(polls.top().at, incarnation_due);
      if (may_be_alone()) at = std::min(at, alone_due);
      return std::max(at, retry_at);
    }
    return std::nullopt;
  }

  /// Subscribe, flush, then read: nothing that is committed after the read goes unnoticed.
  void start(const std::vector<followed_ptr>& added) {
    if (added.empty()) return;
    for (const auto& entry : added) {
      if (entry->is_ended) continue;
      auto subscription = bus.on_updates(entry->session, [this, entry](const update_notice& n) { receive(entry, n); });
      const std::lock_guard lock{mutex};
      if (!entry->is_ended) entry->subscription = std::move(subscription);
    }
    // Without an answer (no server) the next connect, or polling, makes up for it.
    static_cast<void>(bus.flush(flush_timeout));
    for (const auto& entry : added) {
      if (!entry->incarnation.empty() && entry->incarnation != incarnation) incarnation_due = {};
      fall_behind(entry);
      polls.push({steady::now() + config.poll_interval, entry});
    }
  }

  /// Once a poll interval, and after every failure before anything is read again: a restored database breaks connections.
  /// False: it can not be told at the moment, so nothing is read.
  bool check_incarnation() {
    const auto now = steady::now();
    if (now < incarnation_due || polls.empty()) return true;
    if (now < retry_at) return false;
    auto found = store->incarnation();
    if (!found) {
      fail(found.error());
      return false;
    }
    incarnation_due = now + config.poll_interval;
    if (behind.empty()) {
      retries.reset();
      retry_at = {};
      is_failing = false;
    }
    if (*found == incarnation) return true;
    const bool is_first = incarnation.empty();
    {
      const std::lock_guard lock{mutex};
      incarnation = *std::move(found);
    }
    if (handler.on_incarnation) handler.on_incarnation(incarnation);
    if (!is_first) check_all();
    return true;
  }

  /// Its position is of another incarnation. One without any is taken to be of this one.
  bool is_void(const followed_ptr& entry) {
    if (entry->incarnation.empty()) entry->incarnation = incarnation;
    return entry->incarnation != incarnation;
  }

  void take(const followed_ptr& entry, const update_notice& notice) {
    if (entry->is_ended) return;
    if (notice.last.value > entry->position && !take_live(entry, notice)) fall_behind(entry);
  }

  /// False when the notice does not continue what the session has.
  bool take_live(const followed_ptr& entry, const update_notice& notice) {
    if (is_void(entry)) return false;
    const auto position = entry->position.load();
    if (notice.first.value > position + 1 || notice.last.value <= position || !is_whole(notice)) return false;
    deliver(entry, std::span{notice.updates}.subspan(static_cast<std::size_t>(position + 1 - notice.first.value)));
    entry->checked_at = steady::now();
    return true;
  }

  static bool is_whole(const update_notice& notice) {
    if (notice.updates.empty()) return false;
    auto seq = notice.first.value;
    for (const auto& row : notice.updates)
      if (row.seq.value != seq++) return false;
    return seq == notice.last.value + 1;
  }

  void deliver(const followed_ptr& entry, std::span<const update_row> updates) {
    if (updates.empty() || entry->is_ended) return;
    handler.on_updates(entry->session, updates);
    entry->position = updates.back().seq.value;
  }

  void fall_behind(const followed_ptr& entry) {
    if (entry->is_ended || std::exchange(entry->is_behind, true)) return;
    behind.push_back(entry);
  }

  void check_all() {
    std::vector<followed_ptr> all;
    {
      const std::lock_guard lock{mutex};
      all.reserve(entries.size());
      for (const auto& [session, entry] : entries) all.push_back(entry);
    }
    for (const auto& entry : all) fall_behind(entry);
  }

  /// While the bus is away, all are looked at more often than their polls would.
  void check_alone() {
    if (!may_be_alone() || steady::now() < alone_due) return;
    alone_due = steady::now() + config.poll_interval_alone;
    if (!bus.is_connected()) check_all();
  }
  bool may_be_alone() const { return config.poll_interval_alone < config.poll_interval; }

  /// The sessions whose poll is due, a chunk at most; those with fresh notices are put off.
  void collect_polls() {
    const auto now = steady::now();
    if (polls.empty() || polls.top().at > now) return;
    // With the first come those that are due soon, so that many idle sessions make few statements.
    const auto soon = now + config.poll_interval / 8;
    while (!polls.empty() && polls.top().at <= soon && behind.size() < bulk_sessions_max) {
      auto entry = polls.top().entry;
      polls.pop();
      if (entry->is_ended) continue;
      const auto fresh_until = entry->checked_at + config.poll_interval;
      if (fresh_until > soon) {
        polls.push({fresh_until, std::move(entry)});
      } else {
        fall_behind(entry);
        polls.push({now + config.poll_interval, std::move(entry)});
      }
    }
  }

  /// One read: a chunk of the sessions that are behind, or a whole page of one.
  void read_some() {
    if (behind.empty() || steady::now() < retry_at) return;
    std::vector<followed_ptr> chunk;
    while (!behind.empty() && chunk.size() < bulk_sessions_max) {
      auto entry = std::move(behind.front());
      behind.pop_front();
      entry->is_behind = false;
      if (!entry->is_ended) chunk.push_back(std::move(entry));
    }
    auto voided = std::stable_partition(chunk.begin(), chunk.end(), [this](const auto& entry) { return !is_void(entry); });
    const std::vector<followed_ptr> restored(voided, chunk.end());
    chunk.erase(voided, chunk.end());
    engine::result<void> read;
    for (const auto& entry : restored)
      if (read) read = restart(entry);
    if (read && !chunk.empty()) read = chunk.size() == 1 ? read_one(chunk[0]) : read_many(chunk);
    if (read) {
      retries.reset();
      retry_at = {};
      is_failing = false;
      return;
    }
    for (const auto& entry : restored)
      if (is_void(entry)) fall_behind(entry);
    for (const auto& entry : chunk) fall_behind(entry);
    incarnation_due = {};
    fail(read.error());
  }

  void fail(const engine::error& error) {
    retry_at = steady::now() + (engine::is_transient(error.code) ? retries.next() : read_wait_max);
    is_failing = true;
    if (handler.on_error) handler.on_error(error);
  }

  engine::result<void> read_one(const followed_ptr& entry) {
    auto page = store->updates_after(entry->session, {entry->position}, config.page_updates);
    if (!page) return tl::make_unexpected(std::move(page.error()));
    return take_page(entry, *page, config.page_updates);
  }

  engine::result<void> read_many(const std::vector<followed_ptr>& chunk) {
    std::vector<engine::follow_position> positions;
    positions.reserve(chunk.size());
    for (const auto& entry : chunk) positions.push_back({entry->session, {entry->position}});
    const auto limit = std::clamp<std::size_t>(bulk_rows_max / chunk.size(), 1, config.page_updates);
    auto pages = store->updates_after(positions, limit);
    if (!pages) return tl::make_unexpected(std::move(pages.error()));
    ROWCALL_ASSERT(pages->size() == chunk.size());
    for (std::size_t i = 0; i < chunk.size(); ++i)
      if (auto taken = take_page(chunk[i], (*pages)[i], limit); !taken) return taken;
    return {};
  }

  engine::result<void> take_page(const followed_ptr& entry, const engine::update_page& page, std::size_t limit) {
    if (page.gone) return start_anew(entry);
    if (page.is_ahead) {
      const auto now = steady::now();
      if (!entry->ahead_since) entry->ahead_since = now;
      return now - *entry->ahead_since < config.ahead_wait ? engine::result<void>{} : restart(entry);
    }
    entry->ahead_since.reset();
    // A session that was followed anew meanwhile, by a handler, is read by its new entry.
    deliver(entry, page.updates);
    if (page.updates.size() >= limit) {
      fall_behind(entry);
    } else {
      entry->checked_at = steady::now();
    }
    return {};
  }

  engine::result<void> start_anew(const followed_ptr& entry) {
    auto snapshot = store->snapshot(entry->session);
    if (!snapshot) return tl::make_unexpected(std::move(snapshot.error()));
    auto position = entry->position.load();
    if (*snapshot && (*snapshot)->seq.value > position) {
      position = (*snapshot)->seq.value;
    } else {
      // Its module has no state, so it needs no snapshot: what is left is the end of the log.
      const auto last = store->last(entry->session);
      if (!last) return tl::make_unexpected(last.error());
      position = std::max(position, last->update.value - 1);
      snapshot->reset();
    }
    if (handler.on_gone && !entry->is_ended) handler.on_gone(entry->session, *snapshot);
    entry->position = position;
    fall_behind(entry);
    return {};
  }

  /// What was told of the session is void: the last snapshot of what there is now, or the log from its beginning.
  engine::result<void> restart(const followed_ptr& entry) {
    auto snapshot = store->snapshot(entry->session);
    if (!snapshot) return tl::make_unexpected(std::move(snapshot.error()));
    if (handler.on_gone && !entry->is_ended) handler.on_gone(entry->session, *snapshot);
    entry->position = *snapshot ? (*snapshot)->seq.value : 0;
    entry->incarnation = incarnation;
    entry->ahead_since.reset();
    fall_behind(entry);
    return {};
  }

  void tell_live() {
    if (!handler.on_live) return;
    if (is_failing) {
      if (std::exchange(told, live::no) != live::no) handler.on_live(false);
      return;
    }
    if (told == live::yes || !behind.empty() || !bus.is_connected()) return;
    {
      const std::lock_guard lock{mutex};
      if (entries.empty() || !waiting.added.empty()) return;
    }
    told = live::yes;
    handler.on_live(true);
  }

  const std::unique_ptr<engine::update_store> store;
  engine::bus& bus;
  const follow_handler handler;
  follower_config config;

  std::mutex
      work;  ///< held while updates are handed over: by the follower's thread, or by a bus thread. Before `mutex`
  mutable std::mutex mutex;
  std::condition_variable changed;
  inbox waiting;
  std::unordered_map<session_id, followed_ptr> entries;
  std::string incarnation;  ///< written by the follower's thread

  // Of the follower's thread alone:
  std::deque<followed_ptr> behind;
  std::priority_queue<poll_due> polls;
  internal::backoff retries{read_wait_base, read_wait_max, std::random_device{}()};
  steady::time_point retry_at{};
  bool is_failing = false;
  steady::time_point incarnation_due{}, alone_due{};
  enum class live { unknown, yes, no } told = live::unknown;

  std::unique_ptr<engine::subscription> connected;
  std::thread thread;
};

follower::follower(std::unique_ptr<engine::update_store> store, engine::bus& bus, follow_handler handler,
                   follower_config config)
    : impl_(std::make_unique<impl>(std::move(store), bus, std::move(handler), config)) {}

follower::~follower() = default;

void follower::follow(const session_id& session, update_seq after, const std::string& incarnation) {
  impl_->follow(session, after, incarnation);
}
void follower::unfollow(const session_id& session) { impl_->unfollow(session); }
void follower::look(const session_id& session) { impl_->look(session); }
std::string follower::incarnation() const { return impl_->current_incarnation(); }
std::optional<update_seq> follower::position(const session_id& session) const { return impl_->position(session); }

}  // namespace rowcall::client
