#include "actors/turn_worker.hpp"

#include <algorithm>

#include "actors/internal/inline_executor.hpp"

namespace rowcall::actors {
namespace {

using self_pointer = turn_worker_actor::stateful_pointer<turn_worker_state>;
using finished = engine::directory::finished;

/// How long a session that can not be loaded is left alone.
constexpr std::chrono::milliseconds unusable_wait{5'000};

engine::turn_request request_of(const turn& t, const turn_worker_config& config) {
  engine::turn_request request;
  request.limits = config.limits;
  if (t.work.isolated) request.limits.commands_per_session_max = 1;
  request.sessions.reserve(t.work.sessions.size());
  for (const auto& s : t.work.sessions) {
    const auto* module = config.modules->find(s.session.kind());
    request.sessions.push_back({s.session, s.shard, s.cursor, module == nullptr || module->has_state()});
  }
  if (t.expected) request.sessions.front().expected = t.expected;
  return request;
}

/// Whether the session's actor has anything to do in this turn.
bool has_work(const engine::session_claim& c) {
  return c.status == engine::claim_status::claimed && (!c.commands.empty() || (c.image && c.image->retry));
}

void rest(self_pointer self) {
  auto& st = self->state;
  st.rest = std::min(std::max(st.rest * 2, st.config.reconnect_wait), st.config.reconnect_wait_max);
  self->delayed_send(self, st.rest, worker_rested{});
}

/// Sends the report; the worker is free with it, or rests first.
void report(self_pointer self, turn_report_ptr r, bool rests) {
  auto& st = self->state;
  st.config.counters->turn_busy_us += microseconds_of(st.config.clock->now() - r->turn->at.started);
  st.open.reset();
  r->turn->on_decided = nullptr;  // breaks the cycle turn -> worker -> turn
  // The directory hears of it here and now, unless it is busy elsewhere: a hop to a scheduler's thread less.
  internal::inline_executor executor(self->system());
  executor.send(st.directory, std::move(r));
  if (rests) {
    rest(self);
  } else {
    st.rest = std::chrono::milliseconds{0};
    executor.send(st.directory, worker_free{st.config.number});
  }
  executor.run_first();
}

void forget_all(self_pointer self, turn& t) {
  internal::inline_executor executor(self->system());
  for (std::size_t i = 0; i < t.claim.sessions.size(); ++i)
    if (has_work(t.claim.sessions[i])) executor.send(t.actors[i], forget_request{});
  executor.run();
}

/// The store is away, or this process is to end: what was decided is not to blame.
bool is_connection(engine::errc code) {
  return code == engine::errc::superseded || code == engine::errc::connection_lost ||
         code == engine::errc::commit_in_doubt || code == engine::errc::unavailable || code == engine::errc::timed_out;
}

/// Nothing of the turn was written: the actors forget, the directory hears what to do with the sessions.
void abort(self_pointer self, const turn_ptr& t, const engine::error& why) {
  auto& st = self->state;
  st.store->abandon();
  forget_all(self, *t);
  // Superseded: the node actor ends the process. The work is not to blame.
  const bool is_transient = engine::is_transient(why.code) || why.code == engine::errc::superseded;
  const bool is_lost = is_connection(why.code);
  auto& counters = *st.config.counters;
  ++counters.turns_aborted;
  if (why.code == engine::errc::fenced) ++counters.turns_fenced;
  if (is_lost) {
    ++counters.store_failures;
    counters.is_store_connected = false;
    st.is_store_away = true;
  }
  engine::log_fields about{"turn_aborted", {}, {}, {}};
  if (t->work.sessions.size() == 1) {
    about.session = t->work.sessions.front().session.str();
    if (!t->claim.sessions.empty() && !t->claim.sessions.front().commands.empty())
      about.command = t->claim.sessions.front().commands.front().seq;
  }
  if (why.quotes_data) about.detail = why.message;
  st.config.log(is_lost ? engine::log_level::warning : engine::log_level::error,
                "turn aborted (" + std::string(engine::to_string(why.code)) + ")" +
                    (why.quotes_data ? std::string(": a row was refused") : ": " + why.message),
                about);
  auto r = std::make_shared<turn_report>();
  r->turn = t;
  r->shards_lost = t->shards_lost;
  for (const auto& s : t->work.sessions) {
    finished f;
    f.index = s.index;
    f.kind = is_transient ? finished::status::aborted : finished::status::isolate;
    r->sessions.push_back(f);
  }
  // A turn that fails for good would come back at once: the worker always rests after an abort.
  report(self, std::move(r), why.code != engine::errc::fenced);
}

engine::update_notice notice_of(engine::session_writes& w, engine::db_time committed_at) {
  engine::update_notice n;
  n.session = w.session;
  n.first = w.updates.front().seq;
  n.last = w.updates.back().seq;
  n.updates = std::move(w.updates);
  for (auto& u : n.updates) u.created_at = committed_at;
  return n;
}

/// From a command's submit to the turn. A wake's word for the former may be any number.
std::uint64_t waited_us(engine::db_time submitted, engine::db_time now) {
  return submitted < now && submitted.time_since_epoch().count() >= 0 ? microseconds_of(now - submitted) : 0;
}

/// What a turn that wrote something adds to the histograms. `now` is the transaction's time.
void observe_turn(metrics& counters, const turn& t, const std::vector<engine::session_writes>& writes,
                  engine::db_time now) {
  duration_histogram::tally waited;
  std::uint64_t commands = 0;
  std::size_t position = 0;
  for (const auto& w : writes) {
    while (t.work.sessions[position].session != w.session) ++position;  // the writes are in the order of the sessions
    for (const auto& c : t.claim.sessions[position].commands) {
      if (c.seq > w.after.command) break;
      waited.observe(waited_us(c.created_at, now));
      ++commands;
    }
  }
  counters.submit_to_claim.add(waited);
  counters.turn_commands.observe(commands);
  counters.turn_sessions.observe(writes.size());
  counters.claim.observe(microseconds_of(t.at.claimed - t.at.started));
  counters.decide.observe(microseconds_of(t.at.decided - t.at.claimed));
  counters.claim_to_commit.observe(microseconds_of(t.at.committed - t.at.claimed));
}

/// One line for every command that failed.
void report_failures(const turn_worker_config& config, const std::vector<engine::session_writes>& writes) {
  for (const auto& w : writes) {
    for (const auto& d : w.dead_letters)
      config.log(engine::log_level::error,
                 "a command of type " + d.command.type + " was given up after " + std::to_string(d.attempts) +
                     (d.attempts == 1 ? " attempt" : " attempts") + ": see `rowcall dead show`",
                 {"command_parked", w.session.str(), d.command.seq, "error: " + d.error + "; data: " + d.command.data});
    // An armed row is an attempt that is still to be made.
    if (w.retry == engine::session_writes::retry_change::put && w.retry_put && w.retry_put->armed_by.empty())
      config.log(engine::log_level::warning,
                 "a command failed, attempt " + std::to_string(w.retry_put->attempts) + "; again in " +
                     std::to_string(w.retry_put->wait.count()) + " ms",
                 {"command_failed", w.session.str(), w.retry_put->command, "error: " + w.retry_put->last_error});
  }
}

void conclude(self_pointer self, const turn_ptr& t, std::vector<engine::session_writes> writes,
              engine::db_time committed_at) {
  auto& st = self->state;
  auto& counters = *st.config.counters;
  auto r = std::make_shared<turn_report>();
  r->turn = t;
  r->shards_lost = t->shards_lost;
  for (std::size_t i = 0; i < t->work.sessions.size(); ++i) {
    const auto& claim = t->claim.sessions[i];
    finished f;
    f.index = t->work.sessions[i].index;
    switch (claim.status) {
      case engine::claim_status::skipped:
        f.kind = finished::status::skipped;
        ++counters.sessions_skipped;
        break;
      case engine::claim_status::not_reached:
        f.kind = finished::status::not_reached;
        break;
      case engine::claim_status::claimed:
        if (!has_work(claim)) {
          // A cold session without work keeps its actor cold: its cursor stays unknown to the directory.
          f.cursor = claim.image ? std::nullopt : t->work.sessions[i].cursor;
          f.has_more = claim.has_more;
        } else if (const auto& o = t->outcomes[i]; o.kind == engine::session::outcome::status::stale) {
          ++counters.sessions_stale;
          self->send(t->actors[i], forget_request{});
          if (claim.image) {  // fresh from the database, and still not usable: leave it alone for a while
            st.config.log(engine::log_level::error,
                          o.load_error.empty() ? "the command log has a gap: the session is left alone"
                                               : "the session's log can not be folded: it is left alone",
                          {"session_unusable", t->work.sessions[i].session.str(), {}, o.load_error});
            f.retry_in = unusable_wait;
          } else {
            f.kind = finished::status::aborted;
          }
        } else {
          if (o.is_loaded) f.cursor = o.writes.after;
          f.has_more = claim.has_more || o.has_more;
          f.retry_in = o.retry_in;
          f.isolate_next = o.needs_isolation;
          if (!o.snapshot_error.empty())
            st.config.log(engine::log_level::error, "the module's snapshot can not be read back: none is stored",
                          {"snapshot_failed", t->work.sessions[i].session.str(), {}, o.snapshot_error});
        }
        break;
    }
    r->sessions.push_back(f);
  }
  std::vector<engine::update_notice> notices;
  for (auto& w : writes) {
    counters.commands += static_cast<std::uint64_t>(w.after.command.value - w.before.command.value);
    counters.updates += w.updates.size();
    counters.dead_letters += w.dead_letters.size();
    if (w.retry == engine::session_writes::retry_change::put) ++counters.retries;
    for (const auto& s : w.sends) r->wakes.push_back({s.command.target, {}});
    if (!w.updates.empty()) notices.push_back(notice_of(w, committed_at));
  }
  ++counters.turns;
  if (writes.empty()) ++counters.turns_empty;
  counters.shards_taken_over += t->shards_lost.size();
  counters.is_store_connected = true;
  counters.store_answered_at_ns.store(t->at.committed.time_since_epoch().count(), std::memory_order_relaxed);
  // Only now, after COMMIT: whoever hears of an update finds it in the log.
  if (!notices.empty()) {
    st.config.bus->publish(notices);
    counters.commit_to_notify.observe(microseconds_of(st.config.clock->now() - t->at.committed));
  }
  // Behind the publishing: a follower does not wait for it.
  if (!writes.empty()) {
    observe_turn(counters, *t, writes, committed_at);
    report_failures(st.config, writes);
  }
  report(self, std::move(r), false);
}

/// Claims the turn's sessions. Shards that were another owner's are taken over in a transaction of its own, before
/// anything is executed: were that part of the turn, a command that kills the process would take the record of who ran
/// it along, and nobody would be careful with it.
engine::result<void> claim(self_pointer self, turn& t) {
  auto& store = *self->state.store;
  constexpr int takeovers_max = 4;
  for (int i = 0; i < takeovers_max; ++i) {
    auto claimed = store.claim(request_of(t, self->state.config));
    if (!claimed) return tl::make_unexpected(claimed.error());
    t.claim = std::move(*claimed);
    if (t.claim.taken_over.empty()) return {};
    const auto& lost = t.claim.taken_over;
    for (auto& s : t.work.sessions)
      if (std::find(lost.begin(), lost.end(), s.shard) != lost.end()) s.cursor.reset();
    t.shards_lost.insert(t.shards_lost.end(), lost.begin(), lost.end());
    if (auto taken = store.commit({}); !taken) {
      t.claim = {};  // nothing was handed to an actor
      return tl::make_unexpected(taken.error());
    }
  }
  t.claim = {};
  return engine::fail(engine::errc::serialization_failure, "another node takes the same shards again and again");
}

void decide(self_pointer self, const turn_ptr& t);

/// Once more from the start: what the actors decided is dropped, and the claim brings an image.
void claim_anew(self_pointer self, const turn_ptr& t) {
  self->state.store->abandon();
  forget_all(self, *t);
  t->work.sessions.front().cursor.reset();
  if (auto claimed = claim(self, *t); !claimed) return abort(self, t, claimed.error());
  decide(self, t);
}

/// A wake's command was not what is pending: served as if the wake had not brought one.
void correct(self_pointer self, const turn_ptr& t) {
  ++self->state.config.counters->wakes_mistaken;
  t->expected = nullptr;
  t->was_mistaken = true;
  claim_anew(self, t);
}

void commit(self_pointer self, const turn_ptr& t) {
  auto& st = self->state;
  if (st.config.watch) st.config.watch->end();
  t->at.decided = st.config.clock->now();
  std::vector<engine::session_writes> writes;
  for (std::size_t i = 0; i < t->work.sessions.size(); ++i)
    if (has_work(t->claim.sessions[i]) && t->outcomes[i].kind == engine::session::outcome::status::decided &&
        !t->outcomes[i].writes.empty())
      writes.push_back(std::move(t->outcomes[i].writes));
  if (writes.empty()) {
    if (t->claim.is_unverified) return correct(self, t);
    st.store->abandon();
    t->at.committed = t->at.decided;
    return conclude(self, t, {}, {});
  }
  auto committed = st.store->commit(writes);
  t->at.committed = st.config.clock->now();
  if (committed) return conclude(self, t, std::move(writes), *committed);

  // Also when what a forged command led to can not be stored: only the log's command is worth a failure.
  if (t->claim.is_unverified && !is_connection(committed.error().code)) return correct(self, t);
  if (t->work.isolated && !engine::is_transient(committed.error().code) && !t->forced_error) {
    // Alone, and PostgreSQL refuses what was decided: the command itself is at fault. Decide again, as a failure.
    t->forced_error = committed.error().message;
    return claim_anew(self, t);
  }
  abort(self, t, committed.error());
}

void decide(self_pointer self, const turn_ptr& t) {
  auto& st = self->state;
  t->outcomes.assign(t->work.sessions.size(), {});
  std::size_t count = 0;
  for (const auto& c : t->claim.sessions) count += has_work(c) ? 1 : 0;
  if (count == 0) return commit(self, t);
  // One more than the sessions: the worker's own, given up after run(), so that exactly one of them goes on.
  t->undecided.store(count + 1, std::memory_order_relaxed);
  t->on_decided = [worker = caf::actor_cast<turn_worker_actor>(self)](const turn_ptr& decided) {
    caf::anon_send(worker, turn_decided{decided});
  };
  if (st.config.watch) st.config.watch->begin(t);
  internal::inline_executor executor(self->system());
  for (std::size_t i = 0; i < t->claim.sessions.size(); ++i)
    if (has_work(t->claim.sessions[i])) executor.send(t->actors[i], decide_request{t, static_cast<std::uint32_t>(i)});
  executor.run();
  if (t->undecided.fetch_sub(1, std::memory_order_acq_rel) == 1) commit(self, t);
}

void run(self_pointer self, const turn_ptr& t) {
  auto& st = self->state;
  st.open = t;
  t->at.started = st.config.clock->now();
  if (auto claimed = claim(self, *t); !claimed) return abort(self, t, claimed.error());
  t->at.claimed = st.config.clock->now();
  if (st.is_store_away) {
    st.is_store_away = false;
    ++st.config.counters->store_reconnects;
  }
  decide(self, t);
}

}  // namespace

turn_worker_actor::behavior_type turn_worker(turn_worker_actor::stateful_pointer<turn_worker_state> self,
                                             turn_worker_config config, std::shared_ptr<engine::turn_store> store,
                                             turn_listener directory) {
  ROWCALL_ASSERT(config.clock && config.counters);
  self->state.config = std::move(config);
  self->state.store = std::move(store);
  self->state.directory = std::move(directory);
  return {
      [self](worker_start) { self->send(self->state.directory, worker_free{self->state.config.number}); },
      [self](const turn_assignment& a) { run(self, a.turn); },
      [self](const turn_decided& d) {
        if (self->state.open == d.turn) commit(self, d.turn);
      },
      [self](worker_rested) { self->send(self->state.directory, worker_free{self->state.config.number}); },
  };
}

}  // namespace rowcall::actors
