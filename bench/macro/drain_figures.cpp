#include <chrono>
#include <pqxx/pqxx>
#include <stdexcept>
#include <thread>

#include "bench/macro/engine_process.hpp"
#include "bench/macro/figure_groups.hpp"
#include "bench/macro/live_clients.hpp"

namespace rowcall::bench {
namespace {

using steady = std::chrono::steady_clock;
using namespace std::chrono_literals;

/// From the engine's start to the last update; the start itself (process, schema check, first sweep) included.
double drain(const settings& s, figures& out) {
  fill(s.database, s.w);
  const auto postgres_before = s.postgres ? usage_of_tree(s.postgres) : process_usage{};
  const auto start = steady::now();
  engine_process engine(s.rowcall, s.database, s.nats);
  wait_drained(s, engine, s.w, 300s);
  const double took = std::chrono::duration<double>(steady::now() - start).count();
  const auto used = usage_of(engine.pid());
  if (s.postgres) {
    const double postgres = usage_of_tree(s.postgres).cpu_s - postgres_before.cpu_s;
    out.add("drain_engine_cpu_share", used.cpu_s / (used.cpu_s + postgres));
  }
  out.add("drain_rss_mib", used.rss_mib);
  verify(s.database, s.w);
  return static_cast<double>(s.w.commands) / took;
}

}  // namespace

void wait_drained(const settings& s, engine_process& engine, const work& w, std::chrono::seconds limit) {
  // A connection of its own, held to index probes: a plan made while the log was empty would be a scan of all of it,
  // and the waiting the main load.
  pqxx::connection c(s.database);
  pqxx::nontransaction t(c);
  t.exec("SET enable_seqscan = off; SET enable_bitmapscan = off");
  c.prepare("last",
            "SELECT u.command_seq FROM rowcall.update_log u WHERE u.session_id = $1::text ORDER BY u.seq DESC LIMIT 1");
  const auto deadline = steady::now() + limit;
  for (std::size_t i = 0; i < w.sessions; ++i) {
    const std::size_t commands = w.commands / w.sessions + (i < w.commands % w.sessions ? 1 : 0);
    for (;;) {
      const auto last = t.exec_prepared("last", session_name(i));
      if (!last.empty() && last[0][0].as<std::size_t>() >= commands) break;
      if (!engine.is_running()) throw std::runtime_error("the engine has ended");
      if (steady::now() > deadline) throw std::runtime_error("not drained in time");
      std::this_thread::sleep_for(10ms);
    }
  }
}

void measure_drain(const settings& s, figures& out) {
  fill(s.database, s.w);
  out.add("limit_client_per_s", limit_client(s.database, s.w));
  verify(s.database, s.w);
  out.add("drain_per_s", drain(s, out));
  fill(s.database, s.w);
  out.add("limit_sql_per_s", limit_sql(s.database, s.w));
  verify(s.database, s.w);
}

}  // namespace rowcall::bench
