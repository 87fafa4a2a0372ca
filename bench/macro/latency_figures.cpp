#include <algorithm>
#include <chrono>
#include <stdexcept>

#include "bench/macro/engine_process.hpp"
#include "bench/macro/figure_groups.hpp"
#include "bench/macro/live_clients.hpp"
#include "bench/macro/open_loop.hpp"

namespace rowcall::bench {
namespace {

using steady = std::chrono::steady_clock;

double percentile(std::vector<double> v, double p) {
  std::sort(v.begin(), v.end());
  return v.empty() ? 0 : v[std::min(v.size() - 1, static_cast<std::size_t>(p * static_cast<double>(v.size())))];
}

double us(tools::loadgen::histogram::duration d) { return static_cast<double>(d.count()) * 1e-3; }

}  // namespace

void measure_single(const settings& s, figures& out) {
  constexpr std::size_t warm_up = 100;
  out.add("commit_us", median(commit_us(s.database, s.singles)));
  reset(s.database);
  engine_process engine(s.rowcall, s.database, s.nats);
  live_clients clients(s, echo_sessions(1));
  clients.follow_all();
  std::vector<double> submit_us, all_us;
  const auto since = [](steady::time_point start) {
    return std::chrono::duration<double, std::micro>(steady::now() - start).count();
  };
  for (std::size_t i = 0; i < s.singles + warm_up; ++i) {
    const auto start = steady::now();
    clients.submit_one(0);
    if (i >= warm_up) submit_us.push_back(since(start));
    clients.wait_followed(i + 1);
    if (i >= warm_up) all_us.push_back(since(start));
  }
  out.add("single_submit_us", median(submit_us));
  out.add("single_us", median(all_us));
  out.add("single_p99_us", percentile(all_us, 0.99));
}

void measure_open(const settings& s, figures& out) {
  // Its yardstick is of the same round: `single` has measured it just now, or nobody has.
  const auto rounds_of = [&](const char* figure) { return out.has(figure) ? out.of(figure).size() : 0; };
  if (rounds_of("commit_us") <= rounds_of("open_p50_us"))
    out.add("commit_us", median(commit_us(s.database, s.singles)));
  const double rate = median(out.of("live_per_s")) / 2;
  reset(s.database);
  engine_process engine(s.rowcall, s.database, s.nats);
  const auto r = open_loop(s, rate, s.open_s);
  out.add("open_rate_per_s", rate);
  out.add("open_followed_per_s", r.throughput_per_s());
  out.add("open_p50_us", us(r.latency.percentile(50)));
  out.add("open_p99_us", us(r.latency.percentile(99)));
}

void measure_load_curve(const settings& s, figures& out) {
  const double max = median(out.of("live_per_s"));
  figures::points p50, p90, p99, p999;
  for (const double share : {0.1, 0.25, 0.5, 0.7, 0.85}) {
    reset(s.database);
    engine_process engine(s.rowcall, s.database, s.nats);
    const auto r = open_loop(s, share * max, s.open_s);
    const auto add = [&](figures::points& curve, double percent) {
      curve.emplace_back(share * max, us(r.latency.percentile(percent)) / 1000);
    };
    add(p50, 50), add(p90, 90), add(p99, 99), add(p999, 99.9);
  }
  for (auto& [name, curve] : {std::pair{"p50", &p50}, {"p90", &p90}, {"p99", &p99}, {"p99.9", &p999}})
    out.add_curve("latency against load", "commands/s", "ms", name, std::move(*curve));
}

}  // namespace rowcall::bench
