#include "gateway/internal/feed_hub.hpp"

#include <algorithm>
#include <utility>

#include "gateway/internal/answers.hpp"
#include "gateway/internal/chat_rules.hpp"
#include "gateway/internal/update_text.hpp"

namespace rowcall::gateway::internal {
namespace {

using steady = std::chrono::steady_clock;

/// The follower reads at least this many updates of a session at a time (client/follower.cpp: 4,096 rows of 256
/// sessions), and a notice holds all updates of a turn: a delivery of fewer was not cut in the middle of a command.
constexpr std::size_t whole_updates_max = 15;

/// A receipt comes within milliseconds by its notice; after this the log is looked at. As often as the gateway ticks,
/// one read for some hundred sessions.
constexpr milliseconds silence_max{250};

}  // namespace

event_ptr make_event(const engine::session_id& session, const engine::update_row& update) {
  auto e = std::make_shared<event>();
  e->seq = update.seq.value;
  e->command = update.command.value;
  e->text = update_text(session, update);
  e->left_user = member_left_by(session, update);
  return e;
}

feed_hub::feed_hub(const gateway_config& config, std::unique_ptr<engine::update_store> store, engine::bus& bus,
                   std::function<void(std::function<void()>)> on_io, engine::log_sink log)
    : config_(config), on_io_(std::move(on_io)) {
  client::follow_handler handler;
  const auto told = std::make_shared<std::string>();  // of the follower, which makes one call at a time
  handler.on_incarnation = [told](const std::string& incarnation) { *told = incarnation; };
  handler.on_updates = [this, told](const engine::session_id& session, std::span<const engine::update_row> updates) {
    std::vector<event_ptr> events;
    events.reserve(updates.size());
    for (const auto& update : updates) events.push_back(make_event(session, update));
    on_io_([this, alive = is_alive_, session, incarnation = *told, events = std::move(events)]() mutable {
      if (*alive) take(session, incarnation, std::move(events));
    });
  };
  // The next delivery starts after the hole: readers that are before it look into the log and are told there.
  handler.on_gone = [](const auto&, const auto&) {};
  handler.on_error = [log = std::move(log)](const engine::error& error) { log_failure(log, "follow_failed", error); };
  handler.on_live = [this](bool is_live) {
    on_io_([this, alive = is_alive_, is_live] {
      if (*alive) is_live_ = is_live;
    });
  };
  client::follower_config follow;
  follow.poll_interval = config_.poll_interval;
  follower_ = std::make_unique<client::follower>(std::move(store), bus, std::move(handler), follow);
}

feed_hub::~feed_hub() {
  *is_alive_ = false;
  follower_.reset();
}

bool feed_hub::holds(const std::string& incarnation) {
  if (incarnation_.empty()) incarnation_ = incarnation;
  return incarnation_ == incarnation;
}

void feed_hub::restart(const std::string& incarnation) {
  incarnation_ = incarnation;
  end_waits();
  for (auto& [session, f] : feeds_) {
    follower_->unfollow(session);
    if (!f->readers.empty()) void_.push_back(std::move(f));
  }
  feeds_.clear();
}

feed* feed_hub::find(const engine::session_id& session) {
  const auto it = feeds_.find(session);
  return it == feeds_.end() ? nullptr : it->second.get();
}

feed& feed_hub::open(const engine::session_id& session, std::int64_t position) {
  auto& f = feeds_[session];
  if (!f) {
    f = std::make_unique<feed>(session, position);
    f->used_at = steady::now();
    follower_->follow(session, {position}, incarnation_);
  }
  return *f;
}

std::size_t feed_hub::join(feed& f, feed_reader& reader, std::uint32_t index) {
  f.readers.push_back({&reader, index});
  return f.readers.size() - 1;
}

void feed_hub::leave(feed& f, std::size_t slot) {
  const auto left = f.readers[slot];
  if (slot + 1 != f.readers.size()) {
    f.readers[slot] = f.readers.back();
    f.readers[slot].reader->on_moved(f.readers[slot].index, slot);
  }
  f.readers.pop_back();
  f.used_at = steady::now();
  const auto& user = left.reader->user();
  if (user.empty()) return;
  for (const auto& other : f.readers)
    if (other.reader->user() == user) return;
  const auto text =
      "{\"session\":\"" + f.session.str() + "\",\"type\":\"left_stream\",\"from\":\"" + user + "\",\"data\":{}}";
  signal(f.session, text);
  if (tell_others) tell_others(f.session, text);
}

void feed_hub::wait_for(feed& f, feed::waiter w) {
  f.used_at = steady::now();
  // It may have been decided before we came.
  if (f.command >= w.command) {
    std::vector<event_ptr> updates;
    for (const auto& e : f.ring)
      if (e->command == w.command) updates.push_back(e);
    // The first of them may have left the ring, the last may not be there yet.
    const bool is_whole = !updates.empty() && f.ring.front()->command < w.command && f.command > w.command;
    w.done(is_whole ? std::move(updates) : std::vector<event_ptr>{}, is_whole);
    return;
  }
  waited_for_.insert(f.session);
  w.since = f.used_at;
  f.waiters.push_back(std::move(w));
}

void feed_hub::take(const engine::session_id& session, const std::string& incarnation, std::vector<event_ptr> events) {
  auto* const f = find(session);
  // Of another incarnation: when the follower finds out as well, it tells what it has told of this one before again.
  if (f == nullptr || incarnation != incarnation_) return;
  // From an earlier feed of the session, or read twice.
  std::erase_if(events, [&](const auto& e) { return e->seq <= f->position; });
  if (events.empty()) return;
  if (events.front()->seq != f->position + 1) {  // retention removed what lay between
    f->ring.clear();
    f->ring_bytes = 0;
  }
  for (const auto& e : events) {
    f->ring_bytes += e->text.size() + sizeof(event);
    f->ring.push_back(e);
  }
  f->position = events.back()->seq;
  f->command = events.back()->command;
  while (f->ring.size() > 1 && (f->ring.size() > config_.ring_updates || f->ring_bytes > config_.ring_bytes)) {
    f->ring_bytes -= f->ring.front()->text.size() + sizeof(event);
    f->ring.pop_front();
  }
  answer_waiters(*f, events);
  for (const auto& e : events) {
    if (e->left_user.empty()) continue;
    // Also those who are behind: they are not to read on.
    for (auto i = f->readers.size(); i-- > 0;)
      if (i < f->readers.size() && f->readers[i].reader->user() == e->left_user)
        f->readers[i].reader->on_left(f->readers[i].index);
  }
  // A reader may leave meanwhile: the last one moves to its place, and was told already.
  for (auto i = f->readers.size(); i-- > 0;)
    if (i < f->readers.size()) f->readers[i].reader->on_more(f->readers[i].index);
}

void feed_hub::answer_waiters(feed& f, std::span<const event_ptr> events) {
  if (f.waiters.empty()) return;
  const bool is_last_whole = events.size() <= whole_updates_max;
  std::vector<feed::waiter> ready;
  std::erase_if(f.waiters, [&](feed::waiter& w) {
    if (f.command < w.command) return false;
    ready.push_back(std::move(w));
    return true;
  });
  for (auto& w : ready) {
    std::vector<event_ptr> updates;
    for (const auto& e : events)
      if (e->command == w.command) updates.push_back(e);
    const bool is_whole = !updates.empty() && (f.command > w.command || is_last_whole);
    w.done(is_whole ? std::move(updates) : std::vector<event_ptr>{}, is_whole);
  }
}

void feed_hub::signal(const engine::session_id& session, const std::string& text) {
  auto* const f = find(session);
  if (f == nullptr) return;
  for (auto i = f->readers.size(); i-- > 0;)
    if (i < f->readers.size()) f->readers[i].reader->on_signal(f->readers[i].index, text);
}

void feed_hub::look_for_waits(steady::time_point now) {
  for (const auto& session : waited_for_) {
    const auto* const f = find(session);
    if (f == nullptr) continue;
    const auto is_silent = [&](const feed::waiter& w) { return w.since + silence_max <= now; };
    if (std::any_of(f->waiters.begin(), f->waiters.end(), is_silent)) follower_->look(session);
  }
}

void feed_hub::end_late_waits(steady::time_point now) {
  std::vector<feed::waiter> late;
  std::erase_if(waited_for_, [&](const engine::session_id& session) {
    auto* const f = find(session);
    if (f == nullptr) return true;
    f->used_at = now;
    std::erase_if(f->waiters, [&](feed::waiter& w) {
      if (w.until > now) return false;
      late.push_back(std::move(w));
      return true;
    });
    return f->waiters.empty();
  });
  for (auto& w : late) w.done({}, true);
}

void feed_hub::tick(steady::time_point now) {
  std::erase_if(void_, [](const auto& f) { return f->readers.empty(); });
  std::erase_if(feeds_, [&](const auto& entry) {
    const auto& f = *entry.second;
    if (!f.readers.empty() || !f.waiters.empty() || f.used_at + config_.feed_idle >= now) return false;
    follower_->unfollow(f.session);
    return true;
  });
}

void feed_hub::end_waits() {
  for (auto& [session, f] : feeds_)
    for (auto& w : std::exchange(f->waiters, {})) w.done({}, true);
}

}  // namespace rowcall::gateway::internal
