#include <algorithm>
#include <chrono>
#include <future>
#include <pqxx/pqxx>
#include <stdexcept>
#include <thread>

#include "bench/macro/engine_process.hpp"
#include "bench/macro/figure_groups.hpp"
#include "bench/macro/open_loop.hpp"

/// Live load for minutes, retention running, and somebody else who keeps a snapshot open: what decays?
namespace rowcall::bench {
namespace {

using namespace std::chrono_literals;

/// Rows of the logs that died of anything but a DELETE: updated ones, and inserts of turns that were rolled back.
/// Counted by PostgreSQL's statistics against what is there, so vacuuming does not hide them.
double other_dead_rows(const std::string& url, const char* log) {
  pqxx::connection c(url);
  pqxx::nontransaction t(c);
  const auto row =
      t.exec1("SELECT n_tup_upd + n_tup_ins - n_tup_del - (SELECT count(*) FROM rowcall." + std::string(log) +
              ") FROM pg_stat_user_tables WHERE schemaname = 'rowcall' AND relname = '" + log + "'");
  return row[0].as<double>();
}

/// Holds a REPEATABLE READ snapshot from `after` until it is destroyed.
class snapshot_holder {
 public:
  snapshot_holder(const std::string& url, std::chrono::duration<double> after)
      : thread_([url, after, ended = end_.get_future()] {
          if (ended.wait_for(after) == std::future_status::ready) return;
          pqxx::connection c(url);
          pqxx::transaction<pqxx::repeatable_read> t(c);
          t.exec("SELECT count(*) FROM rowcall.shards");
          ended.wait();
        }) {}
  ~snapshot_holder() {
    end_.set_value();
    thread_.join();
  }

 private:
  std::promise<void> end_;
  std::thread thread_;
};

}  // namespace

void measure_soak(const settings& s, figures& out) {
  using tools::loadgen::second_row;
  // Ten parts; a minute each in a soak of ten minutes.
  constexpr int parts = 10;
  const double part_s = s.soak_s / parts;
  const double rate = s.soak_share * median(out.of("live_per_s"));
  reset(s.database);
  {
    pqxx::connection c(s.database);
    pqxx::nontransaction t(c);
    t.exec("SELECT pg_stat_reset()");
  }
  tools::loadgen::report r;
  {
    const std::string retention = std::to_string(std::max(1, static_cast<int>(part_s))) + "s";
    engine_process engine(s.rowcall, s.database, s.nats, {"--retention", retention, "--retention-interval", "1s"});
    const snapshot_holder snapshot(s.database, std::chrono::duration<double>(2 * part_s));
    const std::chrono::nanoseconds part{static_cast<std::int64_t>(part_s * 1e9)};
    r = open_loop(s, std::vector(parts, tools::loadgen::stage{part, rate, rate}), std::min(5.0, part_s / 2));
  }
  std::this_thread::sleep_for(1500ms);  // until the sessions that have ended told their statistics

  const auto per_s = [&](int index) {
    double sum = 0, seconds = 0;
    for (const second_row& row : r.seconds)
      if (row.second >= static_cast<std::int64_t>(index * part_s) &&
          row.second < static_cast<std::int64_t>((index + 1) * part_s))
        sum += static_cast<double>(row.count.followed), seconds += 1;
    return seconds > 0 ? sum / seconds : 0;
  };
  const auto p99_ms = [&](int index) {
    return tools::loadgen::to_ms(r.stages.at(static_cast<std::size_t>(index)).latency.percentile(99));
  };
  out.add("soak_rate_per_s", rate);
  out.add("soak_second_per_s", per_s(1));
  out.add("soak_last_per_s", per_s(parts - 1));
  out.add("soak_second_p99_ms", p99_ms(1));
  out.add("soak_last_p99_ms", p99_ms(parts - 1));
  out.add("soak_other_dead_rows",
          other_dead_rows(s.database, "command_log") + other_dead_rows(s.database, "update_log"));
  figures::points throughput, p99;
  for (const second_row& row : r.seconds) {
    throughput.emplace_back(static_cast<double>(row.second), static_cast<double>(row.count.followed));
    p99.emplace_back(static_cast<double>(row.second), row.p99_ms);
  }
  out.add_curve("soak", "seconds", "commands/s", "followed", std::move(throughput));
  out.add_curve("soak latency", "seconds", "ms", "p99 of the second", std::move(p99));
}

}  // namespace rowcall::bench
