#include "gateway/internal/stream.hpp"

#include <algorithm>
#include <random>

#include "engine/give_back.hpp"
#include "engine/json.hpp"

namespace rowcall::gateway::internal {
namespace {

using steady = std::chrono::steady_clock;

constexpr std::size_t page_updates = 200;
constexpr std::size_t control_bytes_max = 16 * 1024;

/// Heartbeats of streams that were opened together should not all fall together.
double random_share() {
  thread_local std::minstd_rand chance{std::random_device{}()};
  return std::uniform_real_distribution<>{0.5, 1.0}(chance);
}

}  // namespace

stream::stream(context& c, identity who, std::vector<stream_start> starts, bool is_single, bool has_heartbeat_events)
    : context_(c), who_(std::move(who)), is_single_(is_single), has_heartbeat_events_(has_heartbeat_events) {
  subs_.reserve(starts.size());
  for (auto& s : starts) {
    sub one;
    one.session = std::move(s.session);
    one.url_after = s.url_after;
    one.position = s.after;
    one.end = s.end;
    one.page = std::move(s.page);
    one.is_by_membership = s.is_by_membership;
    subs_.push_back(std::move(one));
  }
}

stream::~stream() = default;

void stream::begin(const exchange_ptr& e) {
  const auto self = shared_from_this();
  // The connection holds the stream, until it is closed.
  sink_events events;
  events.on_writable = [this, self] { pump(); };
  events.on_closed = [this, self] { closed(); };
  sink_ = e->begin_stream({}, std::move(events));
  if (!sink_) return;
  context_.streams.insert(this);
  ++context_.streams_of_user[who_.user];
  ++context_.counters.streams_opened;
  heartbeat_at_ =
      steady::now() + std::chrono::duration_cast<steady::duration>(context_.config.heartbeat * random_share());
  // Before everything else: to whom it is not the one he knows, his positions mean nothing.
  engine::json::writer about;
  about.begin_object().key("incarnation").string(context_.feeds->incarnation()).end_object();
  control_ = "retry: 1000\n\nevent: incarnation\ndata: " + about.str() + "\n\n";
  for (std::uint32_t i = 0; i < subs_.size(); ++i) {
    auto& s = subs_[i];
    s.from = &context_.feeds->open(s.session, s.end);
    s.slot = context_.feeds->join(*s.from, *this, i);
    queue(i);
  }
  pump();
}

void stream::closed() {
  if (std::exchange(is_closed_, true)) return;
  sink_.reset();
  context_.streams.erase(this);
  const auto count = context_.streams_of_user.find(who_.user);
  if (count != context_.streams_of_user.end() && --count->second == 0) context_.streams_of_user.erase(count);
  for (std::uint32_t i = 0; i < subs_.size(); ++i) leave(i);
}

void stream::leave(std::uint32_t index) {
  auto& s = subs_[index];
  s.is_ended = true;
  engine::give_back(s.page);
  if (auto* const from = std::exchange(s.from, nullptr)) context_.feeds->leave(*from, s.slot);
}

// ---------------------------------------------------------------- what comes in

void stream::queue(std::uint32_t index) {
  auto& s = subs_[index];
  if (s.is_queued || s.is_ended) return;
  s.is_queued = true;
  dirty_.push_back(index);
}

void stream::on_more(std::uint32_t index) {
  queue(index);
  pump();
}

void stream::on_signal(std::uint32_t index, const std::string& text) {
  if (subs_[index].is_ended || subs_[index].is_verifying || is_ending_) return;
  if (control_.size() + text.size() > control_bytes_max) return;  // a slow reader misses what is not kept anyway
  control_ += "event: signal\ndata: ";
  control_ += text;
  control_ += "\n\n";
  pump();
}

void stream::on_left(std::uint32_t index) {
  if (subs_[index].is_by_membership) verify(index);
}

void stream::tick(steady::time_point now, std::chrono::sys_seconds wall_now) {
  if (is_closed_ || is_ending_) return;
  if (wall_now >= who_.expires_at) return end("expired");
  for (std::uint32_t i = 0; i < subs_.size(); ++i) {
    if (!std::exchange(subs_[i].needs_retry, false)) continue;
    if (subs_[i].is_verifying) {
      subs_[i].is_verifying = false;
      verify(i);
    } else {
      queue(i);
    }
  }
  if (!dirty_.empty()) pump();
  if (now < heartbeat_at_) return;
  heartbeat_at_ = now + context_.config.heartbeat;
  if (!sink_ || sink_->is_writing() || !control_.empty()) return;
  control_ = has_heartbeat_events_ ? "event: heartbeat\ndata: {}\n\n" : ":\n\n";
  pump();
}

void stream::end(std::string_view event, std::string_view data) {
  if (is_closed_ || std::exchange(is_ending_, true)) return;
  control_.append("event: ").append(event).append("\ndata: ").append(data).append("\n\n");
  pump();
}

// ---------------------------------------------------------------- what goes out

void stream::pump() {
  if (is_closed_ || !sink_ || sink_->is_writing()) return;
  const auto self = shared_from_this();
  std::string out = std::exchange(control_, {});
  if (!is_ending_) {
    const auto chunk_bytes = context_.config.chunk_bytes;
    std::vector<std::uint32_t> again;
    for (std::size_t i = 0; i < dirty_.size(); ++i) {
      const auto index = dirty_[i];
      if (out.size() >= chunk_bytes || take_from(index, out))
        again.push_back(index);
      else
        subs_[index].is_queued = false;
    }
    dirty_ = std::move(again);
    tell_ready();
    out += std::exchange(control_, {});
  }
  const bool is_last = is_ending_;
  if (!out.empty()) sink_->write(out);
  if (is_last && sink_) {
    const auto sink = sink_;
    sink->end();
    return;
  }
  if (!dirty_.empty() && sink_ && !sink_->is_writing()) {
    // All was taken at once and there is more: others first.
    context_.on_io([self] { self->pump(); });
  }
}

bool stream::take_from(std::uint32_t index, std::string& out) {
  auto& s = subs_[index];
  if (s.is_ended) return false;
  while (!s.is_verifying) {
    event_ptr next;
    if (s.page_next < s.page.size()) {
      next = s.page[s.page_next++];
      if (s.page_next == s.page.size()) {
        engine::give_back(s.page);
        s.page_next = 0;
      }
      if (next->seq <= s.position) continue;
    } else if (s.is_reading) {
      return false;
    } else if (const auto* const found = s.from->after(s.position)) {
      next = *found;
    } else {
      if (s.position < s.from->position) read_page(index);
      return false;
    }
    append(out, index, *next);
    s.position = next->seq;
    ++context_.counters.updates_streamed;
    if (s.is_by_membership && next->left_user == who_.user) verify(index);
    if (out.size() >= context_.config.chunk_bytes) return true;
  }
  return false;
}

void stream::append(std::string& out, std::uint32_t index, const event& e) const {
  out += "id: ";
  out += is_single_ ? std::to_string(e.seq) : event_id(index, e.seq);
  out += "\ndata: ";
  out += e.text;
  out += "\n\n";
}

std::string stream::event_id(std::uint32_t index, std::int64_t seq) const {
  std::string id;
  for (std::uint32_t i = 0; i < subs_.size(); ++i) {
    const auto position = i == index ? seq : subs_[i].position;
    if (position == subs_[i].url_after) continue;
    if (!id.empty()) id += ',';
    id += std::to_string(i);
    id += ':';
    id += std::to_string(position);
  }
  return id;
}

void stream::tell_ready() {
  if (is_ready_told_) return;
  for (const auto& s : subs_)
    if (!s.is_ended && s.position < s.end) return;
  is_ready_told_ = true;
  std::string positions;
  for (const auto& s : subs_) {
    if (s.is_ended) continue;
    if (!positions.empty()) positions += ',';
    positions += '"' + s.session.str() + "\":" + std::to_string(s.position);
  }
  // The id keeps a stream that began at the end from starting at a later end after a reconnect.
  const auto id =
      is_single_ ? std::to_string(subs_.front().position) : event_id(static_cast<std::uint32_t>(subs_.size()), 0);
  control_ += "event: ready\nid: " + id + "\ndata: {\"positions\":{" + positions + "}}\n\n";
}

// ---------------------------------------------------------------- reads

void stream::read_page(std::uint32_t index) {
  auto& s = subs_[index];
  if (s.is_reading) return;
  s.is_reading = true;
  struct outcome {
    engine::result<engine::update_page> page;
    std::vector<event_ptr> events;
  };
  const bool posted = context_.read(
      [session = s.session, after = s.position](reader_stores& stores) {
        outcome o{stores.updates->updates_after(session, {after}, page_updates), {}};
        if (o.page)
          for (const auto& update : o.page->updates) o.events.push_back(make_event(session, update));
        return o;
      },
      [self = shared_from_this(), index](outcome o) {
        self->take_page(index, std::move(o.page), std::move(o.events));
      });
  if (!posted) {
    s.is_reading = false;
    s.needs_retry = true;
  }
}

void stream::take_page(std::uint32_t index, engine::result<engine::update_page> page, std::vector<event_ptr> events) {
  auto& s = subs_[index];
  s.is_reading = false;
  if (s.is_ended || is_closed_) return;
  if (!page) {
    log_failure(context_.ports.log, "stream_read_failed", page.error());
    s.needs_retry = true;
    return;
  }
  if (page->gone)
    return end("gone", "{\"session\":\"" + s.session.str() + "\",\"snapshot\":\"/v1/sessions/" + s.session.str() +
                           "/snapshot\"}");
  if (events.empty()) {  // the feed knows more than the log: a replica that lags, or a restore that will be noticed
    s.needs_retry = true;
    return;
  }
  s.page = std::move(events);
  s.page_next = 0;
  queue(index);
  pump();
}

void stream::verify(std::uint32_t index) {
  auto& s = subs_[index];
  if (s.is_ended || std::exchange(s.is_verifying, true)) return;
  const bool posted = context_.read([user = who_.user, chat = s.session.str()](
                                        reader_stores& stores) { return stores.chats->memberships(user, {chat}); },
                                    [self = shared_from_this(), index](engine::result<std::vector<std::string>> chats) {
                                      self->take_verdict(index, chats);
                                    });
  if (!posted) s.needs_retry = true;
}

void stream::take_verdict(std::uint32_t index, const engine::result<std::vector<std::string>>& chats) {
  auto& s = subs_[index];
  if (s.is_ended || is_closed_) return;
  if (!chats) {
    log_failure(context_.ports.log, "stream_read_failed", chats.error());
    s.needs_retry = true;  // nothing is sent until it is known
    return;
  }
  s.is_verifying = false;
  if (!chats->empty()) {
    queue(index);
    return pump();
  }
  ++context_.counters.streams_left;
  const auto data = "{\"session\":\"" + s.session.str() + "\"}";
  leave(index);
  if (std::all_of(subs_.begin(), subs_.end(), [](const sub& other) { return other.is_ended; }))
    return end("left", data);
  control_ += "event: left\ndata: " + data + "\n\n";
  pump();
}

}  // namespace rowcall::gateway::internal
