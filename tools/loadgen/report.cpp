#include "tools/loadgen/report.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace rowcall::tools::loadgen {

namespace {

double latency_metric(const histogram& h, std::string_view name) {
  if (name == "p50") return to_ms(h.percentile(50));
  if (name == "p90") return to_ms(h.percentile(90));
  if (name == "p99") return to_ms(h.percentile(99));
  if (name == "p999") return to_ms(h.percentile(99.9));
  if (name == "p9999") return to_ms(h.percentile(99.99));
  if (name == "max") return to_ms(h.max());
  if (name == "mean") return to_ms(h.mean());
  if (name == "min") return to_ms(h.min());
  ROWCALL_ASSERT(false && "unknown latency metric");
  return 0;
}

}  // namespace

double report::metric(const std::string& name) const {
  if (name == "throughput") return throughput_per_s();
  if (name == "submitted") return static_cast<double>(count.submitted);
  if (name == "acknowledged") return static_cast<double>(count.acknowledged);
  if (name == "followed") return static_cast<double>(count.followed);
  if (name == "rejected") return static_cast<double>(count.rejected);
  if (name == "errors") return static_cast<double>(count.errors);
  if (name == "lost") return static_cast<double>(found.lost);
  if (name == "duplicated") return static_cast<double>(found.duplicated);
  if (name == "reordered") return static_cast<double>(found.reordered);
  if (name == "gaps") return static_cast<double>(found.gaps);
  std::string_view rest = name;
  if (rest.substr(0, 4) == "ack_") return latency_metric(ack_latency, rest.substr(4));
  if (rest.substr(0, 5) == "read_") return latency_metric(read_latency, rest.substr(5));
  if (rest.substr(0, 9) == "send_lag_") return latency_metric(send_lag, rest.substr(9));
  return latency_metric(latency, rest);
}

void report::check(const std::vector<threshold>& all) {
  thresholds.clear();
  for (const threshold& t : all) {
    const double value = metric(t.metric());
    // No latency at all is no proof of a good one.
    const bool unproven = threshold::is_latency(t.metric()) && t.metric().rfind("read_", 0) != 0 && latency.empty();
    thresholds.push_back({t.text(), value, unproven || t.is_met_by(value)});
  }
}

bool report::passed() const {
  return found.clean() && std::none_of(thresholds.begin(), thresholds.end(), [](const auto& t) { return t.failed; });
}

bottleneck find_bottleneck(const cpu_usage::totals& cpu, const histogram& send_lag, const histogram& latency) {
  const double elapsed_s = cpu.cores > 0 ? cpu.elapsed_core_seconds / cpu.cores : 0;
  const auto cores_of = [&](role r) { return elapsed_s > 0 ? cpu.of(r) / elapsed_s : 0; };
  // Late by more than a tenth of the median latency and by a noticeable time: the figures are the generator's own.
  const double lag_ms = to_ms(send_lag.percentile(99)), latency_ms = to_ms(latency.percentile(50));
  const bool late = !send_lag.empty() && lag_ms > 5 && lag_ms > 0.1 * latency_ms;
  if (cores_of(role::generator) > 0.9 && cores_of(role::generator) > 0.45 * cpu.cores)
    return {"generator", fmt::format("the load generator itself used {:.2f} of {} cores; use several processes or another "
                                     "machine and merge their reports", cores_of(role::generator), cpu.cores)};
  if (late)
    return {"generator", fmt::format("1 % of the commands left the load generator {:.1f} ms or more after their intended start; "
                                     "this delay is part of the latencies{}", lag_ms,
                                     cpu.machine_busy_share > 0.9 ? " (all cores were busy: it did not get its turn)" : "")};
  if (elapsed_s <= 0) return {"unknown", "no CPU figures"};
  if (cpu.machine_busy_share > 0.9) {
    role top = role::other;
    for (const role r : {role::engine, role::postgresql, role::nats, role::generator})
      if (cpu.of(r) > cpu.of(top)) top = r;
    return {"machine", fmt::format("{:.0f} % of {} cores were busy, most of it {} ({:.2f} cores)",
                                   100 * cpu.machine_busy_share, cpu.cores, to_string(top), cores_of(top))};
  }
  return {"none", fmt::format("{:.0f} % of {} cores were busy: no process of this machine was at its limit by CPU (a disk, a "
                              "lock, a network or the offered rate can be)", 100 * cpu.machine_busy_share, cpu.cores)};
}

std::string to_text(const report& r) {
  std::string out;
  const auto line = [&](std::string_view label, const std::string& text) { out += fmt::format("{:<14}{}\n", label, text); };
  line("commands", fmt::format("{} submitted, {} acknowledged, {} followed, {} rejected, {} errors in {:.1f} s{}",
                               r.count.submitted, r.count.acknowledged, r.count.followed, r.count.rejected,
                               r.count.errors, r.duration_s, r.interrupted ? " (interrupted)" : ""));
  line("throughput", fmt::format("{:.0f} commands/s, submitted to followed", r.throughput_per_s()));
  const auto latency = [](const histogram& h) {
    return h.empty() ? std::string("none")
                     : fmt::format("p50 {:.3f}  p90 {:.3f}  p99 {:.3f}  p99.9 {:.3f}  p99.99 {:.3f}  max {:.3f} ms",
                                   to_ms(h.percentile(50)), to_ms(h.percentile(90)), to_ms(h.percentile(99)),
                                   to_ms(h.percentile(99.9)), to_ms(h.percentile(99.99)), to_ms(h.max()));
  };
  line("latency", latency(r.latency));
  line("acknowledge", latency(r.ack_latency));
  if (!r.read_latency.empty()) line("reads", fmt::format("{}, {}", r.read_latency.count(), latency(r.read_latency)));
  if (r.stages.size() > 1)
    for (std::size_t i = 0; i < r.stages.size(); ++i)
      line(fmt::format("  stage {}", i + 1), fmt::format("{:.0f}..{:.0f}/s offered, {:.0f}/s followed, {}", r.stages[i].rate_from,
                                                        r.stages[i].rate_to, r.stages[i].throughput_per_s(),
                                                        latency(r.stages[i].latency)));
  line("verified", fmt::format("lost {}, duplicated {}, reordered {}, gaps {}", r.found.lost, r.found.duplicated,
                               r.found.reordered, r.found.gaps));
  if (r.found.lost != 0 && r.pending_at_end != 0)
    line("", fmt::format("of the lost ones, {} were still waiting for the engine when the drain time was over", r.pending_at_end));
  for (const std::string& e : r.found.examples) line("", e);
  for (const auto& [code, n] : r.errors_by_code) line("  error", fmt::format("{}: {}", code, n));
  std::string cpu;
  const double elapsed_s = r.cpu.cores > 0 ? r.cpu.elapsed_core_seconds / r.cpu.cores : 0;
  for (const role x : {role::engine, role::postgresql, role::nats, role::generator, role::other})
    if (r.cpu.has(x) && elapsed_s > 0) cpu += fmt::format("{} {:.2f}  ", to_string(x), r.cpu.of(x) / elapsed_s);
  if (!cpu.empty()) line("cores", cpu + fmt::format("of {}", r.cpu.cores));
  line("bottleneck", r.limit.who + (r.limit.why.empty() ? "" : ": " + r.limit.why));
  for (const search_step& s : r.search)
    line("  tried", fmt::format("{:.0f}/s: {:.0f}/s followed, p99 {:.3f} ms, {}", s.rate, s.throughput_per_s, s.p99_ms,
                                s.held ? "held" : s.why));
  if (r.max_rate_per_s) line("maximum", fmt::format("{:.0f} commands/s within the bound", *r.max_rate_per_s));
  for (const threshold_result& t : r.thresholds)
    line("threshold", fmt::format("{} is {} ({:.3f})", t.text, t.failed ? "MET: failed" : "not met: passed", t.value));
  return out;
}

report merge(const std::vector<report>& reports) {
  ROWCALL_ASSERT(!reports.empty());
  report m = reports.front();
  for (std::size_t i = 1; i < reports.size(); ++i) {
    const report& r = reports[i];
    m.count += r.count;
    m.warm_up_commands += r.warm_up_commands;
    for (const auto& [code, n] : r.errors_by_code) m.errors_by_code[code] += n;
    m.found.lost += r.found.lost;
    m.found.duplicated += r.found.duplicated;
    m.found.reordered += r.found.reordered;
    m.found.gaps += r.found.gaps;
    m.found.examples.insert(m.found.examples.end(), r.found.examples.begin(), r.found.examples.end());
    m.pending_at_end += r.pending_at_end;
    m.latency.add(r.latency);
    m.ack_latency.add(r.ack_latency);
    m.read_latency.add(r.read_latency);
    m.send_lag.add(r.send_lag);
    m.commands_digest ^= r.commands_digest;
    m.interrupted = m.interrupted || r.interrupted;
    m.processes += r.processes;
    // Stages are put together one by one when the runs had the same ones, and dropped when they had not.
    bool same = m.stages.size() == r.stages.size();
    for (std::size_t s = 0; same && s < m.stages.size(); ++s)
      same = m.stages[s].from_s == r.stages[s].from_s && m.stages[s].to_s == r.stages[s].to_s;
    if (!same) m.stages.clear();
    for (std::size_t s = 0; s < m.stages.size(); ++s) {
      m.stages[s].rate_from += r.stages[s].rate_from;
      m.stages[s].rate_to += r.stages[s].rate_to;
      m.stages[s].count += r.stages[s].count;
      m.stages[s].latency.add(r.stages[s].latency);
    }
    // The processes of one machine saw the same servers, and each of them all the generators: the larger figure.
    for (std::size_t x = 0; x < role_count; ++x) {
      m.cpu.seconds[x] = std::max(m.cpu.seconds[x], r.cpu.seconds[x]);
      m.cpu.present[x] = m.cpu.present[x] || r.cpu.present[x];
    }
    m.cpu.machine_busy_share = std::max(m.cpu.machine_busy_share, r.cpu.machine_busy_share);
    m.cpu.elapsed_core_seconds = std::max(m.cpu.elapsed_core_seconds, r.cpu.elapsed_core_seconds);
  }
  // The seconds by the wall clock. Percentiles do not add up: the worst of the processes is shown.
  double first = m.started_unix_s, from = m.measure_from_unix_s, to = m.measure_to_unix_s;
  for (const report& r : reports) {
    first = std::min(first, r.started_unix_s);
    from = std::min(from, r.measure_from_unix_s);
    to = std::max(to, r.measure_to_unix_s);
  }
  std::map<std::int64_t, second_row> rows;
  for (const report& r : reports) {
    const auto shift = std::llround(r.started_unix_s - first);
    for (second_row row : r.seconds) {
      row.second += shift;
      const auto [it, is_new] = rows.try_emplace(row.second, row);
      if (is_new) continue;
      second_row& sum = it->second;
      sum.offered_per_s += row.offered_per_s;
      sum.count += row.count;
      sum.in_flight += row.in_flight;
      sum.pending += row.pending;
      sum.p50_ms = std::max(sum.p50_ms, row.p50_ms);
      sum.p90_ms = std::max(sum.p90_ms, row.p90_ms);
      sum.p99_ms = std::max(sum.p99_ms, row.p99_ms);
      sum.max_ms = std::max(sum.max_ms, row.max_ms);
      sum.warm_up = sum.warm_up && row.warm_up;
      sum.cpu_engine = std::max(sum.cpu_engine, row.cpu_engine);
      sum.cpu_postgresql = std::max(sum.cpu_postgresql, row.cpu_postgresql);
      sum.cpu_nats = std::max(sum.cpu_nats, row.cpu_nats);
      sum.cpu_generator = std::max(sum.cpu_generator, row.cpu_generator);
    }
  }
  m.seconds.clear();
  for (auto& [second, row] : rows) m.seconds.push_back(row);
  m.started_unix_s = first;
  m.measure_from_unix_s = from;
  m.measure_to_unix_s = to;
  m.duration_s = to - from;
  m.thresholds.clear();
  m.search.clear();
  m.max_rate_per_s.reset();
  m.limit = find_bottleneck(m.cpu, m.send_lag, m.latency);
  return m;
}

}  // namespace rowcall::tools::loadgen
