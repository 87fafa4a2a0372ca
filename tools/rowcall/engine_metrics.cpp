#include "tools/rowcall/engine_metrics.hpp"

#include <algorithm>

namespace rowcall::tools {
namespace {

/// `unit` is what the histogram's values are multiplied by: 1e-6 from microseconds to seconds.
template <class Histogram>
histogram_sample sample_of(const Histogram& h, double unit) {
  histogram_sample s;
  for (std::size_t i = 0; i + 1 < Histogram::bucket_count; ++i)
    s.bounds.push_back(static_cast<double>(Histogram::bound(i)) * unit);
  for (std::size_t i = 0; i < Histogram::bucket_count; ++i) s.counts.push_back(h.count_of(i));
  s.sum = static_cast<double>(h.sum()) * unit;
  return s;
}

double seconds_of(std::chrono::milliseconds d) { return std::chrono::duration<double>(d).count(); }

template <class T>
double value_of(const std::atomic<T>& n) {
  return static_cast<double>(n.load(std::memory_order_relaxed));
}

}  // namespace

void add_node_metrics(exposition& out, const actors::metrics& m, int turn_workers) {
  out.counter("rowcall_commands_total", "Commands processed.", value_of(m.commands));
  out.counter("rowcall_updates_total", "Updates appended.", value_of(m.updates));
  const char* turns = "Turns ended: committed, empty (nothing to do), aborted (rolled back, tried again).";
  const auto empty = value_of(m.turns_empty);  // before turns, which is counted first: the difference is never negative
  out.counter("rowcall_turns_total", turns, std::max(0.0, value_of(m.turns) - empty), {{"outcome", "committed"}});
  out.counter("rowcall_turns_total", turns, empty, {{"outcome", "empty"}});
  out.counter("rowcall_turns_total", turns, value_of(m.turns_aborted), {{"outcome", "aborted"}});
  out.counter("rowcall_turns_fenced_total", "Aborted turns that a newer owner of the shard had overtaken.",
              value_of(m.turns_fenced));
  out.histogram("rowcall_turn_commands", "Commands of a committed turn.", sample_of(m.turn_commands, 1));
  out.histogram("rowcall_turn_sessions", "Sessions of a committed turn.", sample_of(m.turn_sessions, 1));
  out.histogram("rowcall_submit_to_claim_seconds",
                "From a command's created_at to the time of the turn that processed it, both by the database's clock.",
                sample_of(m.submit_to_claim, 1e-6));
  out.histogram("rowcall_turn_claim_seconds", "Of a committed turn: locking its shards and fetching its commands.",
                sample_of(m.claim, 1e-6));
  out.histogram("rowcall_turn_decide_seconds", "Of a committed turn: the modules' deciding.",
                sample_of(m.decide, 1e-6));
  out.histogram("rowcall_claim_to_commit_seconds", "From the claim to the end of COMMIT.",
                sample_of(m.claim_to_commit, 1e-6));
  out.histogram("rowcall_commit_to_notify_seconds", "From the end of COMMIT until the notices were handed to NATS.",
                sample_of(m.commit_to_notify, 1e-6));
  out.gauge("rowcall_turn_workers", "Turn workers, each with a database connection.", turn_workers);
  out.gauge("rowcall_turns_open", "Turn workers that are in a turn now.", value_of(m.turns_open));
  out.counter("rowcall_turn_busy_seconds_total", "Time that the turn workers spent in turns, summed up.",
              value_of(m.turn_busy_us) * 1e-6);
  out.gauge("rowcall_sessions_known", "Sessions in the directory.", value_of(m.sessions_known));
  out.gauge("rowcall_sessions_ready", "Sessions that wait for a turn.", value_of(m.sessions_ready));
  out.gauge("rowcall_sessions_held", "Sessions that wait for a retry.", value_of(m.sessions_held));
  out.gauge("rowcall_session_actors", "Session actors in memory.", value_of(m.session_actors));
  out.counter("rowcall_sessions_skipped_total", "Sessions left to another node that held their shard.",
              value_of(m.sessions_skipped));
  out.counter("rowcall_sessions_stale_total", "Sessions whose actor had to forget its state and load it again.",
              value_of(m.sessions_stale));
  out.counter("rowcall_shards_taken_over_total", "Shards taken over from another node, or for the first time.",
              value_of(m.shards_taken_over));
  out.counter("rowcall_wakes_received_total", "Wakes heard on NATS.", value_of(m.wakes_received));
  out.counter("rowcall_wakes_dropped_total", "Wakes dropped because a queue was full; the sweep finds the work.",
              value_of(m.wakes_dropped));
  out.counter("rowcall_wakes_mistaken_total", "Wakes that brought a command which was not the pending one.",
              value_of(m.wakes_mistaken));
  const char* sweeps = "Looks for sessions with pending commands.";
  out.counter("rowcall_sweeps_total", sweeps, value_of(m.sweeps), {{"outcome", "completed"}});
  out.counter("rowcall_sweeps_total", sweeps, value_of(m.sweeps_failed), {{"outcome", "failed"}});
  out.counter("rowcall_lost_wakes_found_total", "Sessions whose work the sweep found before a wake was heard.",
              value_of(m.lost_wakes_found));
  out.counter("rowcall_retries_total", "Attempts recorded for failing commands.", value_of(m.retries));
  out.counter("rowcall_commands_parked_total", "Commands given up and moved to the dead letters.",
              value_of(m.dead_letters));
  out.counter("rowcall_decides_overdue_total", "Commands that a module was at for longer than decide-timeout.",
              value_of(m.decides_overdue));
  out.gauge("rowcall_workers_overdue", "Turn workers whose module is at such a command now.",
            value_of(m.workers_overdue));
  out.gauge("rowcall_database_connected", "1 when PostgreSQL answered the last time it was asked.",
            m.is_store_connected.load(std::memory_order_relaxed) ? 1 : 0);
  out.counter("rowcall_database_failures_total", "Turns, heartbeats and sweeps that PostgreSQL did not answer.",
              value_of(m.store_failures));
  out.counter("rowcall_database_reconnects_total",
              "Times a connection to PostgreSQL was there again after such a failure.", value_of(m.store_reconnects));
  out.counter("rowcall_retention_chunks_total", "Transactions of the retention.", value_of(m.retention_chunks));
  const char* rows = "Rows that the retention has deleted.";
  out.counter("rowcall_retention_rows_total", rows, value_of(m.retention_commands), {{"table", "command_log"}});
  out.counter("rowcall_retention_rows_total", rows, value_of(m.retention_updates), {{"table", "update_log"}});
  out.counter("rowcall_retention_rows_total", rows, value_of(m.retention_snapshots), {{"table", "snapshots"}});
  out.counter("rowcall_retention_rows_total", rows, value_of(m.retention_domain_rows), {{"table", "domain"}});
}

void add_bus_metrics(exposition& out, const bus::nats_counters& c, bool is_connected) {
  const auto number = [](std::int64_t n) { return static_cast<double>(n); };
  out.gauge("rowcall_nats_connected", "1 while NATS is connected.", is_connected ? 1 : 0);
  out.counter("rowcall_nats_reconnects_total", "Connects to NATS after the first one.",
              number(std::max<std::int64_t>(0, c.connects - 1)));
  out.counter("rowcall_nats_publications_dropped_total", "Wakes and notices not sent because NATS was away.",
              number(c.publications_dropped));
  out.counter("rowcall_nats_messages_ignored_total", "Messages whose subject or payload could not be read.",
              number(c.messages_ignored));
  out.counter("rowcall_nats_permissions_refused_total", "What NATS did not let this user publish or subscribe to.",
              number(c.permissions_refused));
  out.counter("rowcall_nats_overflows_total",
              "Times messages came faster than they were handled, and some were dropped.", number(c.overflows));
}

void add_status_metrics(exposition& out, const status_reading& r) {
  out.counter("rowcall_status_failures_total", "Times that the figures named rowcall_cluster_ could not be had.",
              static_cast<double>(r.failures));
  if (!r.report) return;
  const auto& s = *r.report;
  const auto number = [](std::int64_t n) { return static_cast<double>(n); };
  out.gauge("rowcall_status_age_seconds", "Age of the figures named rowcall_cluster_.", seconds_of(r.age));
  out.gauge("rowcall_cluster_sessions", "Sessions that there are.", number(s.sessions));
  out.gauge("rowcall_cluster_pending_commands", "Commands not processed yet; a least number while not exact.",
            number(s.pending_commands));
  out.gauge("rowcall_cluster_pending_is_exact", "0 when the count of pending commands stopped at its bound.",
            s.pending_is_exact ? 1 : 0);
  out.gauge("rowcall_cluster_pending_sessions", "Sessions with such commands.", number(s.pending_sessions));
  out.gauge("rowcall_cluster_oldest_pending_age_seconds", "Age of the oldest pending command, by the database's clock.",
            seconds_of(s.oldest_pending_age));
  out.gauge("rowcall_cluster_unserved_commands", "Pending commands of a kind that no running engine serves.",
            number(s.unserved_commands));
  out.gauge("rowcall_cluster_retrying_commands", "Commands that failed and will be tried again.", number(s.retrying));
  out.gauge("rowcall_cluster_dead_letters", "Dead letters that nobody has dealt with.", number(s.dead));
  out.gauge("rowcall_cluster_nodes", "Engines alive.", static_cast<double>(s.nodes.size()));
}

}  // namespace rowcall::tools
