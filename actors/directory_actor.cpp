#include "actors/directory_actor.hpp"

#include <malloc.h>

#include <algorithm>

#include "actors/session_actor.hpp"

namespace rowcall::actors {
namespace {

using self_pointer = directory_actor::stateful_pointer<directory_state>;
using wake_result = engine::directory::wake_result;

/// After a wake that brought a wrong command: whoever sends such wakes makes sessions load their state anew, once in a
/// while at most.
constexpr std::chrono::milliseconds hints_off{1'000};

bool is_served(const directory_state& st, const engine::session_id& session) {
  return st.config.modules->find(session.kind()) != nullptr;
}

bool is_own(const directory_state& st, const engine::session_id& session) {
  if (!st.preference) return true;
  auto shards = st.preference->find(session.kind());
  return shards == st.preference->end() ||
         shards->second[static_cast<std::size_t>(engine::shard_of(session, st.config.directory.shard_count))];
}

void publish_counts(const directory_state& st) {
  auto& counters = *st.config.counters;
  counters.sessions_known = static_cast<std::int64_t>(st.sessions->known_count());
  counters.sessions_ready = static_cast<std::int64_t>(st.sessions->ready_count());
  counters.sessions_held = static_cast<std::int64_t>(st.sessions->held_count());
  counters.turns_open = static_cast<std::int64_t>(st.sessions->open_turn_count());
}

session_actor actor_of(self_pointer self, const engine::directory::taken& t) {
  auto& st = self->state;
  if (st.actors.size() <= t.index) st.actors.resize(t.index + 1);
  auto& actor = st.actors[t.index];
  if (!actor) {
    actor = self->spawn<caf::lazy_init>(session, t.session, st.config.modules->find(t.session.kind()), st.config.session);
    ++st.config.counters->session_actors;
  }
  return actor;
}

void release(self_pointer self, engine::directory::slot slot) {
  auto& st = self->state;
  if (slot < st.actors.size() && st.actors[slot]) {
    self->send_exit(st.actors[slot], caf::exit_reason::user_shutdown);
    st.actors[slot] = session_actor{};
    --st.config.counters->session_actors;
  }
}

/// The command that the wake brought, when it is the only work of the turn and follows what is processed.
std::shared_ptr<const engine::command_row> expected_of(const directory_state& st,
                                                       const engine::directory::assignment& work) {
  if (!st.hint || work.isolated || work.sessions.size() != 1) return nullptr;
  const auto& s = work.sessions.front();
  if (!s.cursor || st.hint->command->seq.value != s.cursor->command.value + 1 || st.hint->session != s.session)
    return nullptr;
  return st.hint->command;
}

/// Whether one more turn could be given away.
bool has_room(const directory_state& st) {
  return !st.free_workers.empty() && st.sessions->open_turn_count() < st.sessions->turns_max();
}

/// Gives free workers what is ready.
void assign(self_pointer self) {
  auto& st = self->state;
  while (!st.is_draining && has_room(st)) {
    auto work = st.sessions->take(st.config.clock->now());
    if (work.sessions.empty()) break;
    auto t = std::make_shared<turn>();
    t->actors.reserve(work.sessions.size());
    for (const auto& s : work.sessions) t->actors.push_back(actor_of(self, s));
    t->expected = expected_of(st, work);
    t->work = std::move(work);
    const std::size_t worker = st.free_workers.back();
    st.free_workers.pop_back();
    self->send(st.workers[worker], turn_assignment{std::move(t)});
  }
}

/// Arms one timer for the next time that something is due without a message.
void arm(self_pointer self) {
  auto& st = self->state;
  const auto now = st.config.clock->now();
  auto due = now + st.config.tick_interval;
  if (has_room(st))
    if (auto next = st.sessions->next_due(); next && *next < due)
      due = std::max(*next, now + std::chrono::milliseconds{1});
  if (st.next_tick > now && st.next_tick <= due) return;
  st.next_tick = due;
  self->delayed_send(self,
                     std::chrono::duration_cast<std::chrono::milliseconds>(due - now) + std::chrono::milliseconds{1},
                     directory_tick{});
}

void proceed(self_pointer self) {
  assign(self);
  arm(self);
  publish_counts(self->state);
}

void on_wakes(self_pointer self) {
  auto& st = self->state;
  st.config.inbox->take(st.wakes);
  const auto now = st.config.clock->now();
  for (const auto& w : st.wakes) {
    if (!is_served(st, w.session) || !is_own(st, w.session)) continue;
    if (st.sessions->wake(w.session, w.last, now) == wake_result::refused) ++st.config.counters->wakes_dropped;
  }
  st.config.counters->wakes_received += st.wakes.size();
  if (st.wakes.size() == 1 && st.wakes.front().command && now >= st.hints_off_until) st.hint = &st.wakes.front();
  proceed(self);
  st.hint = nullptr;
}

void on_finding(self_pointer self, const sweep_finding& finding) {
  auto& st = self->state;
  const auto now = st.config.clock->now();
  for (const auto& p : finding.sessions) {
    if (!is_served(st, p.session)) continue;
    if (!is_own(st, p.session) && !st.foreign.is_left_lying(p.session, p.processed, finding.sweep)) continue;
    if (st.sessions->wake(p.session, p.last, now) == wake_result::made_ready) ++st.config.counters->lost_wakes_found;
  }
  proceed(self);
}

void on_report(self_pointer self, const turn_report_ptr& r) {
  auto& st = self->state;
  const auto now = st.config.clock->now();
  st.sessions->finish(r->sessions, r->shards_lost, now);
  if (r->turn->was_mistaken) st.hints_off_until = now + hints_off;
  if (st.sessions->open_turn_count() == 0 && st.has_drain_promise) {
    st.has_drain_promise = false;
    st.drained.deliver(true);
  }
  std::vector<engine::wake> elsewhere;
  for (const auto& w : r->wakes) {
    if (is_served(st, w.session) && is_own(st, w.session))
      st.sessions->wake(w.session, w.last, now);
    else
      elsewhere.push_back(w);
  }
  if (!elsewhere.empty()) st.config.bus->publish(elsewhere);
  proceed(self);
}

void give_memory_back(directory_state& st) {
  if (st.sessions->shrink()) {
    st.actors.resize(st.sessions->slot_count());
    st.actors.shrink_to_fit();
  }
  malloc_trim(0);
}

void on_tick(self_pointer self) {
  auto& st = self->state;
  const auto now = st.config.clock->now();
  const auto gone = st.sessions->passivate(now);
  for (auto slot : gone) release(self, slot);
  // The allocator would keep what the crowd needed, and each of its actors holds a page on which many others were.
  if (st.visitors.is_time_to_trim(st.sessions->known_count(), gone.size(), now)) give_memory_back(st);
  proceed(self);
}

}  // namespace

directory_actor::behavior_type session_directory(directory_actor::stateful_pointer<directory_state> self,
                                                 directory_actor_config config) {
  self->state.sessions = std::make_unique<engine::directory>(config.directory);
  self->state.config = std::move(config);
  return {
      [self](const worker_free& w) {
        self->state.free_workers.push_back(w.worker);
        proceed(self);
      },
      [self](const turn_report_ptr& r) { on_report(self, r); },
      [self](const workers_ready& w) {
        self->state.workers = w.workers;
        for (const auto& worker : w.workers) self->send(worker, worker_start{});
        arm(self);
      },
      [self](wakes_arrived) { on_wakes(self); },
      [self](const sweep_finding_ptr& f) { on_finding(self, *f); },
      [self](const shard_preference_ptr& p) {
        self->state.preference = p;
        self->state.foreign.clear();
      },
      [self](directory_tick) { on_tick(self); },
      [self](drain_request) -> caf::result<bool> {
        self->state.is_draining = true;
        if (self->state.sessions->open_turn_count() == 0) return true;
        self->state.has_drain_promise = true;
        self->state.drained = self->make_response_promise<bool>();
        return self->state.drained;
      },
  };
}

}  // namespace rowcall::actors
