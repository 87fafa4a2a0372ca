#include <algorithm>
#include <chrono>
#include <pqxx/pqxx>
#include <stdexcept>
#include <thread>

#include "bench/macro/engine_process.hpp"
#include "bench/macro/figure_groups.hpp"
#include "bench/macro/live_clients.hpp"

/// What the engine needs while it does nothing, for its sessions, and for a start with a large backlog.
namespace rowcall::bench {
namespace {

using steady = std::chrono::steady_clock;
using namespace std::chrono_literals;

std::chrono::duration<double> since(steady::time_point start) { return steady::now() - start; }
double seconds_since(steady::time_point start) { return since(start).count(); }

void wait_updates(const settings& s, engine_process& engine, std::size_t count, std::chrono::seconds limit) {
  pqxx::connection c(s.database);
  pqxx::nontransaction t(c);
  const auto deadline = steady::now() + limit;
  while (t.exec1("SELECT count(*) FROM rowcall.update_log")[0].as<std::size_t>() < count) {
    if (!engine.is_running()) throw std::runtime_error("the engine has ended");
    if (steady::now() > deadline) throw std::runtime_error("not processed in time");
    std::this_thread::sleep_for(200ms);
  }
}

/// The engine's resident memory once it has stopped falling: the lowest of the last `still`, after at least `still`.
double settled_rss_mib(const engine_process& engine, std::chrono::duration<double> still,
                       std::chrono::duration<double> limit) {
  const auto start = steady::now();
  double lowest = usage_of(engine.pid()).rss_mib;
  auto lowest_at = start;
  while (since(lowest_at) < still && since(start) < limit) {
    std::this_thread::sleep_for(250ms);
    const double rss = usage_of(engine.pid()).rss_mib;
    if (rss < lowest - 0.25) {
      lowest = rss;
      lowest_at = steady::now();
    }
  }
  return std::min(lowest, usage_of(engine.pid()).rss_mib);
}

constexpr std::size_t baseline_sessions = 1'000;

}  // namespace

void measure_idle(const settings& s, figures& out) {
  const work many{s.idle_sessions, s.idle_sessions};
  fill(s.database, many);
  engine_process engine(s.rowcall, s.database, s.nats, {"--passivate-after", "10m"});
  wait_drained(s, engine, many, 60s);
  std::this_thread::sleep_for(2s);
  const auto before = usage_of(engine.pid());
  const auto nats_before = s.nats_server ? usage_of(s.nats_server) : process_usage{};
  const auto start = steady::now();
  std::this_thread::sleep_for(std::chrono::duration<double>(s.idle_s));
  const auto after = usage_of(engine.pid());
  double cpu = after.cpu_s - before.cpu_s;
  if (s.nats_server) cpu += usage_of(s.nats_server).cpu_s - nats_before.cpu_s;
  out.add("idle_core_share", cpu / seconds_since(start));
  out.add("idle_rss_mib", after.rss_mib);
}

void measure_memory(const settings& s, figures& out) {
  {  // active sessions: all of them at once
    reset(s.database);
    engine_process engine(s.rowcall, s.database, s.nats, {"--passivate-after", "1h"});
    store(s.database, 0, {baseline_sessions, baseline_sessions});
    wait_updates(s, engine, baseline_sessions, 60s);
    const double before = settled_rss_mib(engine, 2s, 10s);
    store(s.database, baseline_sessions, {s.active_sessions, s.active_sessions});
    wait_updates(s, engine, baseline_sessions + s.active_sessions, 300s);
    const double grown = settled_rss_mib(engine, 2s, 10s) - before;
    out.add("active_session_bytes", grown * 1024 * 1024 / static_cast<double>(s.active_sessions));
  }
  // Visited and passivated ones: in ten waves, as visitors come and go.
  reset(s.database);
  const std::chrono::duration<double> passivate{s.passivate_s};
  const auto passivate_ms = std::chrono::duration_cast<std::chrono::milliseconds>(passivate).count();
  engine_process engine(s.rowcall, s.database, s.nats, {"--passivate-after", std::to_string(passivate_ms) + "ms"});
  store(s.database, 0, {baseline_sessions, baseline_sessions});
  wait_updates(s, engine, baseline_sessions, 60s);
  out.add("baseline_rss_mib", settled_rss_mib(engine, 2 * passivate + 2s, 30s));
  constexpr std::size_t waves = 10;
  const std::size_t wave = std::max<std::size_t>(1, s.visited_sessions / waves);
  double peak = 0;
  for (std::size_t i = 0; i < waves; ++i) {
    store(s.database, baseline_sessions + i * wave, {wave, wave});
    wait_updates(s, engine, baseline_sessions + (i + 1) * wave, 300s);
    peak = std::max(peak, usage_of(engine.pid()).rss_mib);
  }
  out.add("visited_rss_mib", peak);
  out.add("passivated_rss_mib", settled_rss_mib(engine, 2 * passivate + 2s, 60s));
}

void measure_start(const settings& s, figures& out) {
  reset(s.database);
  store(s.database, 0, {s.start_sessions, s.start_commands});
  pqxx::connection c(s.database);
  pqxx::nontransaction t(c);
  t.exec("VACUUM ANALYZE rowcall.command_log");
  t.exec("CHECKPOINT");
  const auto start = steady::now();
  engine_process engine(s.rowcall, s.database, s.nats);
  while (t.exec("SELECT 1 FROM rowcall.update_log LIMIT 1").empty()) {
    if (!engine.is_running()) throw std::runtime_error("the engine has ended");
    if (seconds_since(start) > 60) throw std::runtime_error("no update within a minute");
    std::this_thread::sleep_for(1ms);
  }
  out.add("start_first_update_s", seconds_since(start));
  wait_updates(s, engine, s.start_commands, 600s);
  out.add("start_drain_per_s", static_cast<double>(s.start_commands) / seconds_since(start));
  out.add("start_peak_rss_mib", peak_rss_mib_of(engine.pid()));
  verify(s.database, {s.start_sessions, s.start_commands});
}

}  // namespace rowcall::bench
