#include "actors/upkeep_actor.hpp"

#include <algorithm>

namespace rowcall::actors {
namespace {

using self_pointer = upkeep_actor::stateful_pointer<upkeep_state>;
using std::chrono::milliseconds;

/// However seldom it sweeps: the retention has an interval of its own.
constexpr milliseconds tick_max{1'000};

void failed(self_pointer self, std::string_view what, const engine::error& why) {
  self->state.contact.failed(what, why);
  // See the node actor: the process ends, and is started anew.
  if (why.code == engine::errc::superseded) self->quit(caf::exit_reason::unhandled_exception);
}

bool sweep(self_pointer self) {
  auto& st = self->state;
  ++st.sweep;
  const auto ready_max = static_cast<std::int64_t>(st.config.sessions_ready_max);
  auto swept = st.store->sweep(st.config.kinds, [&](std::span<const engine::pending_session> found) {
    auto finding = std::make_shared<sweep_finding>();
    finding->sweep = st.sweep;
    finding->sessions.assign(found.begin(), found.end());
    self->send(st.directory, sweep_finding_ptr{std::move(finding)});
    const bool is_stopping = st.config.is_stopping != nullptr && *st.config.is_stopping;
    return !is_stopping && st.config.counters->sessions_ready.load() < ready_max;
  });
  if (!swept) {
    ++st.config.counters->sweeps_failed;
    failed(self, "sweep", swept.error());
    return false;
  }
  st.contact.answered();
  ++st.config.counters->sweeps;
  return true;
}

void count(metrics& counters, const engine::cleanup_report& cleaned) {
  ++counters.retention_chunks;
  counters.retention_commands += static_cast<std::uint64_t>(cleaned.commands);
  counters.retention_updates += static_cast<std::uint64_t>(cleaned.updates);
  counters.retention_snapshots += static_cast<std::uint64_t>(cleaned.snapshots);
  counters.retention_domain_rows += static_cast<std::uint64_t>(cleaned.domain_rows);
}

/// One chunk of the retention. True when there is more to delete.
bool clean(self_pointer self) {
  auto& st = self->state;
  auto cleaned = st.store->cleanup({st.config.retention, st.config.retention_chunk_rows});
  const bool is_more = cleaned && cleaned->more;
  st.next_retention = st.config.clock->now() + (is_more ? milliseconds{0} : st.config.retention_interval);
  if (!cleaned) {
    // Two nodes may take themselves for the one whose task it is, for a moment.
    if (cleaned.error().code != engine::errc::busy) failed(self, "retention", cleaned.error());
    return false;
  }
  count(*st.config.counters, *cleaned);
  return is_more;
}

void tick(self_pointer self) {
  auto& st = self->state;
  const auto now = st.config.clock->now();
  bool is_well = true, is_more_to_clean = false;
  if (*st.config.is_joined) {
    if (st.sweep_is_due || now >= st.next_sweep) {
      st.sweep_is_due = false;
      is_well = sweep(self);
      st.sweep_is_due = !is_well;
      st.next_sweep = st.config.clock->now() + st.config.sweep_interval;
    }
    if (is_well && st.config.retention.count() > 0 && st.leads_retention && now >= st.next_retention)
      is_more_to_clean = clean(self);
  }
  // While there is something to delete the next chunk comes after a pause as long as the last one took: at most half of
  // one connection's time, and no bound on the rows a second but PostgreSQL's.
  auto wait = is_well ? std::min(st.config.sweep_interval, tick_max) : st.contact.wait();
  if (is_more_to_clean)
    wait = std::min(wait,
                    std::max(milliseconds{1}, std::chrono::duration_cast<milliseconds>(st.config.clock->now() - now)));
  self->delayed_send(self, wait, upkeep_tick{});
}

}  // namespace

upkeep_actor::behavior_type upkeep(upkeep_actor::stateful_pointer<upkeep_state> self, upkeep_actor_config config,
                                   std::shared_ptr<engine::node_store> store, directory_actor directory) {
  self->state.config = std::move(config);
  self->state.store = std::move(store);
  self->state.directory = std::move(directory);
  const auto& c = self->state.config;
  self->state.contact = {c.counters, c.log, c.reconnect_wait_max};
  return {
      [self](upkeep_tick) { tick(self); },
      [self](sweep_request) {
        auto& st = self->state;
        st.sweep_is_due = !*st.config.is_joined || !sweep(self);
      },
      [self](const retention_duty& duty) { self->state.leads_retention = duty.is_ours; },
  };
}

}  // namespace rowcall::actors
