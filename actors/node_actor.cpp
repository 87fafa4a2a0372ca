#include "actors/node_actor.hpp"

#include <algorithm>

namespace rowcall::actors {
namespace {

using self_pointer = node_actor::stateful_pointer<node_state>;
using std::chrono::milliseconds;

/// After so many times decide-timeout a module is taken to hang.
constexpr int decide_timeouts_max = 3;

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
  self->send(st.upkeep, retention_duty{leader == st.config.node});
  st.config.log(engine::log_level::info,
                std::to_string(nodes.size()) + (nodes.size() == 1 ? " node is alive" : " nodes are alive"),
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
      st.contact.failed("joining", joined.error());
      return false;
    }
    // Not being allowed to is no reason not to serve.
    if (auto set = st.store->set_admission(st.config.admission); !set) {
      st.contact.failed("setting the admission limits", set.error());
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
    st.contact.failed("heartbeat", nodes.error());
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
  if (st.contact.answered()) st.sweep_is_due = true;  // whatever was woken meanwhile may have been lost
  st.config.counters->store_answered_at_ns = st.config.clock->now().time_since_epoch().count();
  update_preference(self, *nodes);
  return true;
}

/// A module that does not come back keeps its worker and its shards, and nobody else would notice: its heartbeat goes
/// on. Said once; then the process ends, as if the command had killed it: only so the attempt counts.
void watch_modules(self_pointer self) {
  auto& st = self->state;
  const auto timeout = st.config.decide_timeout;
  if (timeout.count() == 0) return;
  st.is_overdue.resize(st.config.watches.size());
  std::int64_t overdue = 0;
  for (std::size_t i = 0; i < st.config.watches.size(); ++i) {
    const auto found = st.config.watches[i]->look(st.config.clock->now(), st.config.heartbeat_interval);
    const bool is_overdue = found && found->since >= timeout;
    const bool is_new = is_overdue && !st.is_overdue[i];
    st.is_overdue[i] = is_overdue;
    if (!is_overdue) continue;
    ++overdue;
    const std::string where = found->command.value == 0
                                  ? "loading the state of session " + found->session
                                  : "deciding on command " + found->session + '/' +
                                        std::to_string(found->command.value) + " of type " + found->type;
    const auto ms = std::to_string(found->since / milliseconds{1}) + " ms";
    if (is_new) {
      ++st.config.counters->decides_overdue;
      st.config.log(engine::log_level::error, "a module does not come back: it has been " + where + " for " + ms,
                    {"decide_overdue", found->session, found->command, {}});
    }
    if (found->since >= decide_timeouts_max * timeout && st.config.on_hang)
      st.config.on_hang("a module hangs: it has been " + where + " for " + ms);
  }
  st.config.counters->workers_overdue = overdue;
}

void tick(self_pointer self) {
  auto& st = self->state;
  if (st.has_left) return;
  watch_modules(self);
  const bool is_well = heartbeat(self);
  // After the preference, which the directory has to know by then.
  if (is_well && std::exchange(st.sweep_is_due, false)) self->send(st.upkeep, sweep_request{});
  self->delayed_send(self, is_well ? st.config.heartbeat_interval : st.contact.wait(), node_tick{});
}

}  // namespace

node_actor::behavior_type node(node_actor::stateful_pointer<node_state> self, node_actor_config config,
                               std::shared_ptr<engine::node_store> store, directory_actor directory,
                               upkeep_actor upkeep) {
  self->state.config = std::move(config);
  self->state.store = std::move(store);
  self->state.directory = std::move(directory);
  self->state.upkeep = std::move(upkeep);
  const auto& c = self->state.config;
  self->state.contact = {c.counters, c.log, c.reconnect_wait_max};
  return {
      [self](node_tick) { tick(self); },
      [self](leave_request) {
        auto& st = self->state;
        st.has_left = true;
        if (!st.is_joined) return true;
        auto left = st.store->leave(st.config.node);
        if (!left) st.contact.failed("leaving", left.error());
        return left.has_value();
      },
  };
}

}  // namespace rowcall::actors
