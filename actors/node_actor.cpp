#include "actors/node_actor.hpp"

#include <algorithm>

namespace rowcall::actors {
namespace {

using self_pointer = node_actor::stateful_pointer<node_state>;
using std::chrono::milliseconds;

void failed(self_pointer self, std::string_view what, const engine::error& why) {
  auto& st = self->state;
  st.wait = std::min(std::max(st.wait * 2, milliseconds{50}), st.config.reconnect_wait_max);
  st.config.counters->is_store_connected = false;
  if (engine::is_transient(why.code)) {
    ++st.config.counters->store_failures;
    st.is_store_away = true;
  }
  auto event = std::string(what) + "_failed";
  std::replace(event.begin(), event.end(), ' ', '_');
  st.config.log(engine::log_level::warning,
                std::string(what) + " failed (" + std::string(engine::to_string(why.code)) + "): " + why.message,
                {event, {}, {}, {}});
}

/// The store has answered.
void answered(self_pointer self) {
  auto& st = self->state;
  auto& counters = *st.config.counters;
  counters.is_store_connected = true;
  counters.store_answered_at_ns = st.config.clock->now().time_since_epoch().count();
  if (st.is_store_away) {
    st.is_store_away = false;
    ++counters.store_reconnects;
  }
}

/// Tells the directory which shards are this node's, when the nodes alive have changed.
void update_preference(self_pointer self, const std::vector<engine::node_info>& nodes) {
  auto& st = self->state;
  std::vector<std::string> alive;
  for (const auto& n : nodes) {
    std::string line = n.node;
    for (const auto& kind : n.kinds) line += ' ' + kind;
    alive.push_back(std::move(line));
  }
  std::sort(alive.begin(), alive.end());
  if (alive == st.alive) return;
  st.alive = std::move(alive);

  auto preference = std::make_shared<shard_preference>();
  for (const auto& kind : st.config.kinds) {
    std::vector<std::string> serving;
    for (const auto& n : nodes)
      if (std::find(n.kinds.begin(), n.kinds.end(), kind) != n.kinds.end()) serving.push_back(n.node);
    std::vector<bool> own(static_cast<std::size_t>(st.config.shard_count), serving.empty());
    for (int i = 0; i < st.config.shard_count; ++i)
      if (engine::preferred_node(serving, i) == st.config.node) own[static_cast<std::size_t>(i)] = true;
    (*preference)[kind] = std::move(own);
  }
  std::string leader;
  for (const auto& n : nodes)
    if (leader.empty() || n.node < leader) leader = n.node;
  st.leads_retention = leader == st.config.node;
  st.config.log(engine::log_level::info, std::to_string(nodes.size()) + " node(s) alive",
                {"nodes_changed", {}, {}, {}});
  self->send(st.directory, shard_preference_ptr{std::move(preference)});
  st.sweep_is_due = true;
}

template <class Histogram>
std::vector<std::int64_t> counts_of(const Histogram& h) {
  std::vector<std::int64_t> counts;
  for (std::size_t i = 0; i < Histogram::bucket_count; ++i) counts.push_back(static_cast<std::int64_t>(h.count_of(i)));
  return counts;
}

engine::node_totals totals_of(const metrics& m) {
  const auto number = [](const metrics::counter& c) {
    return static_cast<std::int64_t>(c.load(std::memory_order_relaxed));
  };
  engine::node_totals t;
  t.turns = number(m.turns);
  t.commands = number(m.commands);
  t.updates = number(m.updates);
  t.retries = number(m.retries);
  t.dead_letters = number(m.dead_letters);
  t.lost_wakes = number(m.lost_wakes_found);
  t.wait_counts = counts_of(m.submit_to_claim);
  t.turn_counts = counts_of(m.claim_to_commit);
  return t;
}

bool heartbeat(self_pointer self) {
  auto& st = self->state;
  if (!st.is_joined) {
    if (auto joined = st.store->join(st.config.node, st.config.kinds); !joined) {
      failed(self, "joining", joined.error());
      return false;
    }
    // Not being allowed to is no reason not to serve.
    if (auto set = st.store->set_admission(st.config.admission); !set) {
      failed(self, "setting the admission limits", set.error());
      if (engine::is_transient(set.error().code)) return false;
    }
    st.is_joined = true;
    st.config.is_joined->store(true);
    st.sweep_is_due = true;
  }
  const auto now = st.config.clock->now();
  engine::node_rates rates;
  const double seconds = std::chrono::duration<double>(now - st.reported_at).count();
  if (seconds > 0 && st.reported_at.time_since_epoch().count() != 0) {
    rates.turns_per_s = static_cast<double>(st.config.counters->turns - st.turns_reported) / seconds;
    rates.commands_per_s = static_cast<double>(st.config.counters->commands - st.commands_reported) / seconds;
  }
  rates.totals = totals_of(*st.config.counters);
  auto nodes = st.store->heartbeat(st.config.node, rates, st.config.dead_after);
  if (!nodes) {
    failed(self, "heartbeat", nodes.error());
    // Nothing that this process knows can be relied on: it ends, and is started anew.
    if (nodes.error().code == engine::errc::superseded) self->quit(caf::exit_reason::unhandled_exception);
    // The row is gone (a schema made anew): without it no sweep would ever run again.
    if (nodes.error().code == engine::errc::not_found) {
      st.is_joined = false;
      st.config.is_joined->store(false);
    }
    return false;
  }
  st.turns_reported = st.config.counters->turns;
  st.commands_reported = st.config.counters->commands;
  st.reported_at = now;
  if (st.wait.count() != 0) {  // the store is back: whatever was woken meanwhile may have been lost
    st.wait = milliseconds{0};
    st.sweep_is_due = true;
  }
  answered(self);
  update_preference(self, *nodes);
  return true;
}

bool sweep(self_pointer self) {
  auto& st = self->state;
  const auto ready_max = static_cast<std::int64_t>(st.config.sessions_ready_max);
  bool is_complete = true;
  auto swept = st.store->sweep(st.config.kinds, [&](std::span<const engine::pending_session> found) {
    auto finding = std::make_shared<sweep_finding>();
    finding->sessions.assign(found.begin(), found.end());
    answered(self);
    self->send(st.directory, sweep_finding_ptr{std::move(finding)});
    is_complete = st.config.counters->sessions_ready.load() < ready_max;
    return is_complete;
  });
  if (!swept) {
    ++st.config.counters->sweeps_failed;
    failed(self, "sweep", swept.error());
    return false;
  }
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
  if (st.has_left) return;
  const auto now = st.config.clock->now();
  bool is_well = true, is_more_to_clean = false;
  if (now >= st.next_heartbeat || !st.is_joined) {
    is_well = heartbeat(self);
    st.next_heartbeat = now + st.config.heartbeat_interval;
  }
  if (is_well && (st.sweep_is_due || now >= st.next_sweep)) {
    st.sweep_is_due = false;
    is_well = sweep(self);
    st.sweep_is_due = !is_well;
    st.next_sweep = st.config.clock->now() + st.config.sweep_interval;
  }
  if (is_well && st.config.retention.count() > 0 && st.leads_retention && now >= st.next_retention) {
    is_more_to_clean = clean(self);
  }
  // While there is something to delete the next chunk comes after a pause as long as the last one took: at most half of
  // one connection's time, and no bound on the rows a second but PostgreSQL's.
  auto wait = is_well ? std::min(st.config.heartbeat_interval, st.config.sweep_interval) : st.wait;
  if (is_more_to_clean)
    wait = std::min(wait,
                    std::max(milliseconds{1}, std::chrono::duration_cast<milliseconds>(st.config.clock->now() - now)));
  self->delayed_send(self, wait, node_tick{});
}

}  // namespace

node_actor::behavior_type node(node_actor::stateful_pointer<node_state> self, node_actor_config config,
                               std::shared_ptr<engine::node_store> store, directory_actor directory) {
  self->state.config = std::move(config);
  self->state.store = std::move(store);
  self->state.directory = std::move(directory);
  return {
      [self](node_tick) { tick(self); },
      [self](sweep_request) {
        auto& st = self->state;
        if (st.is_joined && !st.has_left)
          st.sweep_is_due = !sweep(self);
        else
          st.sweep_is_due = true;
      },
      [self](leave_request) {
        auto& st = self->state;
        st.has_left = true;
        if (!st.is_joined) return true;
        auto left = st.store->leave(st.config.node);
        if (!left) failed(self, "leaving", left.error());
        return left.has_value();
      },
  };
}

}  // namespace rowcall::actors
