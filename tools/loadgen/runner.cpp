#include "tools/loadgen/runner.hpp"

#include <algorithm>

namespace rowcall::tools::loadgen {

namespace {

using engine::errc;
using engine::fail;
using std::chrono::milliseconds;

constexpr nanoseconds second = std::chrono::seconds{1};
/// A closed-loop user whose command failed comes back after this at the earliest, so that a dead system is not hammered.
constexpr nanoseconds error_pause = milliseconds{10};
constexpr std::size_t audit_sessions_max = 1000;

std::uint64_t fold(std::uint64_t hash, std::string_view bytes) {
  for (const unsigned char c : bytes) hash = (hash ^ c) * 0x100000001b3u;
  return hash;
}

double unix_s() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace

runner::runner(run_plan plan, scenario& s, target& t, timeline& time, run_observers observers)
    : plan_(std::move(plan)),
      scenario_(s),
      target_(t),
      time_(time),
      observers_(std::move(observers)),
      profile_(plan_.stages),
      digest_(0xcbf29ce484222325u),
      cpu_(observers_.roles, ticks_per_second(), core_count()),
      verifier_(s.has_one_update_a_command()) {}

runner::~runner() { target_.stop(); }

void runner::stop() {
  stops_.fetch_add(1);
  time_.interrupt();
}

engine::result<report> runner::run() {
  target_.start([this](session_index session, std::span<const engine::update_row> updates) { on_updates(session, updates); });
  if (const auto prepared = prepare(); !prepared) return tl::make_unexpected(prepared.error());

  report r;
  {
    const std::lock_guard lock(mutex_);
    recorder_.emplace(profile_, !plan_.closed, plan_.warm_up);
    total_ = {};
  }
  if (observers_.sample_cpu) cpu_.add(observers_.sample_cpu(true));
  cpu_.reset();
  phase_ = "load";
  r.started_unix_s = unix_s();
  origin_ = time_.now();
  next_second_ = second;
  next_reconnect_ = plan_.reconnect_interval;
  if (plan_.closed) load_closed();
  else load_open();
  load_end_ = std::min(now(), profile_.total());
  phase_ = "drain";
  drain(plan_.drain_timeout);
  linger();

  audit(r);
  const std::lock_guard lock(mutex_);
  const std::uint64_t pending = verifier_.outstanding();
  if (now() > next_second_ - second) recorder_->end_second(now(), pending);  // the second that is not full
  recorder_->finish(r, load_end_);
  for (std::size_t i = 0; i < std::min(cpu_rows_.size(), r.seconds.size()); ++i) {
    r.seconds[i].cpu_engine = cpu_rows_[i].cpu_engine;
    r.seconds[i].cpu_postgresql = cpu_rows_[i].cpu_postgresql;
    r.seconds[i].cpu_nats = cpu_rows_[i].cpu_nats;
    r.seconds[i].cpu_generator = cpu_rows_[i].cpu_generator;
  }
  r.found = verifier_.result();
  if (observers_.sample_cpu) {
    cpu_.add(observers_.sample_cpu(true));
    r.cpu = cpu_.total();
  }
  r.limit = find_bottleneck(r.cpu, r.send_lag, r.latency);
  r.commands_digest = digest_;
  r.interrupted = has_stopped();
  return r;
}

engine::result<void> runner::prepare() {
  origin_ = time_.now();
  next_second_ = second;
  if (const auto opened = open_sessions(scenario_.initial_sessions()); !opened) return opened;
  if (!target_.wait_live(std::chrono::duration_cast<milliseconds>(plan_.prepare_timeout)))
    return fail(errc::timed_out, "the followers did not come up within " +
                                     std::to_string(plan_.prepare_timeout / second) + " s: are PostgreSQL and NATS there?");
  return set_up();
}

engine::result<void> runner::open_sessions(std::size_t until) {
  std::vector<position> added;
  for (std::size_t i = ids_.size(); i < until; ++i) {
    if (has_stopped()) return fail(errc::unavailable, "stopped while preparing");
    engine::session_id id = scenario_.id_of(static_cast<session_index>(i));
    engine::session_cursor at;
    if (!plan_.has_fresh_sessions) {
      const auto cursor = target_.cursor(id);
      if (!cursor) return tl::make_unexpected(cursor.error());
      at = *cursor;
    }
    added.push_back({static_cast<session_index>(i), id, at.update});
    const std::lock_guard lock(mutex_);
    verifier_.open(id.str(), at);
    in_flight_of_session_.push_back(0);
    ids_.push_back(std::move(id));
    is_retired_.push_back(false);
  }
  if (!added.empty()) target_.follow(added);
  return {};
}

engine::result<void> runner::set_up() {
  // What happens before the load has figures of its own, which nobody reads: only the errors count.
  {
    const std::lock_guard lock(mutex_);
    recorder_.emplace(no_profile_, true, nanoseconds{0});
  }
  for (const auto& phase : scenario_.setup()) {
    for (const planned_command& c : phase) {
      if (has_stopped()) break;
      send(c, {nanoseconds{-1}, no_user});
    }
    drain(plan_.prepare_timeout);
    const std::lock_guard lock(mutex_);
    is_draining_ = false;
    if (verifier_.outstanding() != 0 || recorder_->in_flight() != 0 || total_.errors != 0)
      return fail(errc::timed_out, "the preparation did not come to its end: " + std::to_string(total_.errors) + " errors, " +
                                       std::to_string(verifier_.outstanding()) + " commands without an answer" +
                                       (has_stopped() ? " (stopped)" : ": is an engine running that serves these kinds?"));
  }
  return {};
}

/// Hands a command over. `start.intended`: since the start of the load.
void runner::send(const planned_command& command, started start) {
  if (command.session >= ids_.size()) {
    // A new session has no history, so nothing is asked for and nothing can fail.
    plan_.has_fresh_sessions = true;
    (void)open_sessions(command.session + std::size_t{1});
    if (command.session >= ids_.size()) return;  // stopped
  }
  engine::command_request request{ids_[command.session], command.type, command.data, std::nullopt};
  if (plan_.has_idempotency_keys)
    request.idempotency_key = "loadgen:" + plan_.run + ":" + std::to_string(plan_.seed) + ":" + std::to_string(sent_);
  digest_ = fold(fold(fold(digest_, std::to_string(command.session)), command.type), command.data);
  ++sent_;
  if (command.is_read()) {
    {
      const std::lock_guard lock(mutex_);
      ++reads_open_;
    }
    target_.read(ids_[command.session], [this, start](bool ok) {
      const nanoseconds done = now();
      const std::lock_guard lock(mutex_);
      --reads_open_;
      recorder_->read(done, start.intended, ok);
      if (start.user != no_user) complete(start, done);
      if (is_draining_) time_.interrupt();
    });
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    recorder_->submitted(now(), start.intended);
    ++total_.submitted;
    ++in_flight_of_session_[command.session];
  }
  const session_index session = command.session;
  target_.submit(std::move(request), [this, session, start](const engine::result<engine::submit_receipt>& outcome) {
    on_outcome(session, start, outcome);
  });
}

void runner::on_outcome(session_index session, started start, const engine::result<engine::submit_receipt>& outcome) {
  const nanoseconds at = now();
  const std::lock_guard lock(mutex_);
  --in_flight_of_session_[session];
  using kind = engine::submit_receipt::outcome;
  const bool is_stored = outcome && (outcome->kind == kind::stored || outcome->kind == kind::duplicate);
  if (!is_stored) {
    const std::string_view code = !outcome                                   ? engine::to_string(outcome.error().code)
                                  : outcome->kind == kind::unknown_kind ? std::string_view("unknown_kind")
                                                                             : std::string_view("busy");
    recorder_->failed(start.intended, code);
    ++total_.errors;
    complete(start, at + error_pause);
  } else {
    recorder_->acknowledged(at, start.intended);
    ++total_.acknowledged;
    switch (verifier_.acknowledged(session, outcome->seq)) {
      case verifier::acknowledgement::awaited: ledger_.put(session, outcome->seq, start); break;
      case verifier::acknowledgement::seen_already:
        // The update overtook the acknowledgement: a caller that has both has them now.
        recorder_->followed(at, start.intended);
        ++total_.followed;
        complete(start, at);
        break;
      case verifier::acknowledgement::wrong: complete(start, at); break;
    }
  }
  if (is_throttled_ && recorder_->in_flight() <= plan_.in_flight_max / 2) {
    is_throttled_ = false;
    time_.interrupt();
  }
  if (is_draining_) time_.interrupt();
}

void runner::on_updates(session_index session, std::span<const engine::update_row> updates) {
  const nanoseconds at = now();
  const std::lock_guard lock(mutex_);
  for (const engine::update_row& u : updates) {
    if (verifier_.seen(session, u.seq, u.command) != verifier::sight::receipt) continue;
    const auto start = ledger_.take(session, u.command);
    if (!start) continue;  // another submitter's, or its acknowledgement is still to come
    recorder_->followed(at, start->intended);
    ++total_.followed;
    if (u.type == engine::update_type::command_rejected || u.type == engine::update_type::command_failed) {
      recorder_->rejected(start->intended);
      ++total_.rejected;
    }
    complete(*start, at);
  }
  if (is_draining_) time_.interrupt();
}

/// A closed loop's user is free again. With the mutex held.
void runner::complete(started start, nanoseconds at) {
  if (start.user == no_user) return;
  ready_.push({at, start.user});
  time_.interrupt();
}

void runner::do_periodic_work() {
  while (now() >= next_second_) {
    progress p;
    {
      const std::lock_guard lock(mutex_);
      const std::uint64_t pending = verifier_.outstanding();
      p.last = recorder_->end_second(next_second_, pending);
      p.total = total_;
      p.found = verifier_.so_far();
      p.in_flight = recorder_->in_flight();
      p.pending = pending;
    }
    if (observers_.sample_cpu && phase_ != "prepare") {
      cpu_.add(observers_.sample_cpu(false));
      const auto& used = cpu_.last_interval();
      const double elapsed_s = used.cores > 0 ? used.elapsed_core_seconds / used.cores : 0;
      const auto cores = [&](role x) { return elapsed_s > 0 ? used.of(x) / elapsed_s : 0; };
      p.last.cpu_engine = cores(role::engine);
      p.last.cpu_postgresql = cores(role::postgresql);
      p.last.cpu_nats = cores(role::nats);
      p.last.cpu_generator = cores(role::generator);
      cpu_rows_.push_back(p.last);
    }
    p.elapsed_s = std::chrono::duration<double>(next_second_).count();
    p.total_s = std::chrono::duration<double>(profile_.total()).count();
    p.phase = phase_;
    next_second_ += second;
    if (observers_.on_second) observers_.on_second(p);
  }
  if (plan_.reconnect_interval.count() > 0 && phase_ == "load" && now() >= next_reconnect_ &&
      next_reconnect_ < profile_.total()) {
    next_reconnect_ += plan_.reconnect_interval;
    target_.reconnect([this] {
      std::vector<position> where;
      const std::lock_guard lock(mutex_);
      for (std::size_t i = 0; i < ids_.size(); ++i)
        if (!is_retired_[i]) {
          const auto index = static_cast<session_index>(i);
          where.push_back({index, ids_[i], verifier_.position(index)});
        }
      return where;
    });
  }
}

/// Waits, and does what is due every second meanwhile. May return early.
void runner::wait(nanoseconds until) {
  const nanoseconds next_work = phase_ == "load" && plan_.reconnect_interval.count() > 0
                                    ? std::min(next_second_, next_reconnect_)
                                    : next_second_;
  time_.wait_until(origin_.load() + std::min(until, next_work));
  do_periodic_work();
}

void runner::retire_sessions() {
  // Those with something on its way stay until it has come.
  std::vector<position> gone;
  for (const session_index s : scenario_.retired()) retiring_.push_back(s);
  if (retiring_.size() < 64) return;
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(retiring_, [&](session_index s) {
      if (verifier_.outstanding(s) != 0 || in_flight_of_session_[s] != 0) return false;
      verifier_.close(s);
      is_retired_[s] = true;
      gone.push_back({s, ids_[s], {}});
      return true;
    });
  }
  if (!gone.empty()) target_.unfollow(gone);
}

void runner::load_open() {
  random_source random = random_source::named(plan_.seed, "commands");
  arrivals due(profile_, plan_.arrival, random_source::named(plan_.seed, "arrivals"), plan_.burst_commands);
  for (std::uint64_t n = 0; plan_.commands_max == 0 || n < plan_.commands_max; ++n) {
    const auto intended = due.next();
    if (!intended) break;
    while (now() < *intended && !has_stopped()) wait(*intended);
    if (now() >= next_second_) do_periodic_work();
    if (plan_.gives_up && !has_stopped()) {
      const std::lock_guard lock(mutex_);
      if (recorder_->in_flight() >= plan_.in_flight_max) {
        recorder_->given_up(*intended);
        ++total_.errors;
        continue;
      }
    }
    while (!has_stopped()) {
      {
        const std::lock_guard lock(mutex_);
        is_throttled_ = recorder_->in_flight() >= plan_.in_flight_max;
        if (!is_throttled_) break;
      }
      wait(next_second_);
    }
    if (has_stopped()) return;
    send(scenario_.next(random), {*intended, no_user});
    retire_sessions();
  }
  while (now() < profile_.total() && !has_stopped() && plan_.commands_max == 0) wait(profile_.total());
}

void runner::load_closed() {
  const closed_loop& loop = *plan_.closed;
  for (std::size_t u = 0; u < loop.users; ++u)
    user_random_.push_back(random_source::named(plan_.seed, "user " + std::to_string(u)));
  const auto think = [&](std::uint32_t user) {
    if (!loop.has_random_think) return loop.think_time;
    return nanoseconds{static_cast<std::int64_t>(static_cast<double>(loop.think_time.count()) * user_random_[user].exponential())};
  };
  std::priority_queue<ready_user, std::vector<ready_user>, std::greater<>> thinking;
  // Started over the first think time, so that they do not march in step.
  for (std::size_t u = 0; u < loop.users; ++u)
    thinking.push({loop.think_time * static_cast<std::int64_t>(u) / static_cast<std::int64_t>(loop.users),
                   static_cast<std::uint32_t>(u)});
  std::uint64_t n = 0;
  while (!has_stopped() && now() < profile_.total() && (plan_.commands_max == 0 || n < plan_.commands_max)) {
    {
      const std::lock_guard lock(mutex_);
      for (; !ready_.empty(); ready_.pop()) thinking.push({ready_.top().at + think(ready_.top().user), ready_.top().user});
    }
    if (thinking.empty() || thinking.top().at > now()) {
      wait(thinking.empty() ? profile_.total() : std::min(profile_.total(), thinking.top().at));
      continue;
    }
    const std::uint32_t user = thinking.top().user;
    thinking.pop();
    if (now() >= next_second_) do_periodic_work();
    ++n;
    send(scenario_.next(user_random_[user]), {now(), user});
    retire_sessions();
  }
}

bool runner::is_drained() {
  const std::lock_guard lock(mutex_);
  return verifier_.outstanding() == 0 && recorder_->in_flight() == 0 && reads_open_ == 0;
}

/// Until nothing is on its way, or nothing has moved for `timeout`.
void runner::drain(nanoseconds timeout) {
  {
    const std::lock_guard lock(mutex_);
    is_draining_ = true;
  }
  const int stops_allowed = phase_ == "prepare" ? 0 : 1;
  std::uint64_t before = 0;
  nanoseconds moved = now();
  while (!is_drained() && stops_.load() <= stops_allowed) {
    wait(moved + timeout);
    const nanoseconds at = now();
    const std::lock_guard lock(mutex_);
    const std::uint64_t done = total_.acknowledged + total_.followed + total_.errors;
    if (done != before) {
      before = done;
      moved = at;
    } else if (at >= moved + timeout) {
      return;
    }
  }
}

void runner::linger() {
  const nanoseconds until = now() + plan_.linger;
  while (now() < until && stops_.load() <= 1) wait(until);
}

/// Of what never came: had the engine processed it, or not yet?
void runner::audit(report& r) {
  std::vector<std::pair<session_index, std::uint64_t>> open;
  {
    const std::lock_guard lock(mutex_);
    for (std::size_t i = 0; i < verifier_.sessions() && open.size() < audit_sessions_max; ++i)
      if (const auto n = verifier_.outstanding(static_cast<session_index>(i)); n != 0)
        open.emplace_back(static_cast<session_index>(i), n);
  }
  for (const auto& [session, count] : open) {
    const auto cursor = target_.cursor(ids_[session]);
    if (!cursor) return;
    const std::lock_guard lock(mutex_);
    r.pending_at_end += verifier_.outstanding_above(session, cursor->command);
  }
}

}  // namespace rowcall::tools::loadgen
