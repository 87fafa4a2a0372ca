#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tools/loadgen/cpu_usage.hpp"
#include "tools/loadgen/histogram.hpp"
#include "tools/loadgen/threshold.hpp"
#include "tools/loadgen/verifier.hpp"

namespace rowcall::tools::loadgen {

struct counts {
  std::uint64_t submitted = 0, acknowledged = 0, followed = 0, rejected = 0, errors = 0;
  counts& operator+=(const counts& o) {
    submitted += o.submitted;
    acknowledged += o.acknowledged;
    followed += o.followed;
    rejected += o.rejected;
    errors += o.errors;
    return *this;
  }
};

/// What was meant to start in one stage (warm-up left out).
struct stage_report {
  double from_s = 0, to_s = 0;            ///< since the start of the load
  double rate_from = 0, rate_to = 0;      ///< offered, commands a second; 0 in a closed loop
  double measured_s = 0;                  ///< its length without the warm-up
  counts count;
  histogram latency;
  /// Commands of the stage that were followed, by its length; a stage that builds up a backlog shows it in `latency`.
  double throughput_per_s() const { return measured_s > 0 ? static_cast<double>(count.followed) / measured_s : 0; }
};

/// What happened within one second of the clock (also in the warm-up and while draining).
struct second_row {
  std::int64_t second = 0;  ///< since the start of the load
  double offered_per_s = 0;
  counts count;
  std::uint64_t in_flight = 0;  ///< submitted, not acknowledged yet, at its end
  std::uint64_t pending = 0;    ///< acknowledged, not followed yet, at its end
  double p50_ms = 0, p90_ms = 0, p99_ms = 0, max_ms = 0;  ///< of what was followed in it
  bool warm_up = false;
  double cpu_engine = 0, cpu_postgresql = 0, cpu_nats = 0, cpu_generator = 0;  ///< cores
};

struct bottleneck {
  std::string who = "unknown";  ///< generator, machine, engine, postgresql, nats, none, unknown
  std::string why;
};

struct threshold_result {
  std::string text;
  double value = 0;
  bool failed = false;
};

struct search_step {
  double rate = 0, throughput_per_s = 0, p99_ms = 0;
  bool held = false;
  std::string why;
};

/// All of one run, or of several merged ones.
struct report {
  std::vector<std::pair<std::string, std::string>> config;  ///< option -> value, as used
  double started_unix_s = 0;
  double measure_from_unix_s = 0, measure_to_unix_s = 0;
  double duration_s = 0;  ///< the measured part: from the end of warm-up to the end of the load or the last update
  counts count;           ///< the measured part
  std::uint64_t warm_up_commands = 0;
  std::map<std::string, std::uint64_t> errors_by_code;
  findings found;         ///< of everything, warm-up included
  std::uint64_t pending_at_end = 0;  ///< of the lost ones: those that the engine had not processed yet
  histogram latency;      ///< intended start to followed
  histogram ack_latency;  ///< intended start to acknowledged
  histogram read_latency; ///< intended start to the end of a read (its count: the reads)
  histogram send_lag;     ///< intended start to handed over: the generator's own delay
  std::vector<stage_report> stages;
  std::vector<second_row> seconds;
  cpu_usage::totals cpu;
  bottleneck limit;
  std::vector<threshold_result> thresholds;
  std::vector<search_step> search;
  std::optional<double> max_rate_per_s;
  std::uint64_t commands_digest = 0;  ///< FNV-1a of what was sent: equal for equal seeds
  bool interrupted = false;
  int processes = 1;

  double throughput_per_s() const { return duration_s > 0 ? static_cast<double>(count.followed) / duration_s : 0; }
  /// A threshold's metric. The name must be known (threshold::parse checks it).
  double metric(const std::string& name) const;
  /// Fills `thresholds`.
  void check(const std::vector<threshold>& all);
  /// Nothing lost, doubled, reordered or skipped, and no threshold met.
  bool passed() const;
};

inline double to_ms(histogram::duration d) { return static_cast<double>(d.count()) * 1e-6; }

/// Who was the limit, by CPU and by the generator's own delay. Names nobody when nothing was near its limit.
bottleneck find_bottleneck(const cpu_usage::totals& cpu, const histogram& send_lag, const histogram& latency);

/// The stable keys are listed in README.md.
std::string to_json(const report& r);
/// Errors: invalid_argument when it is no report of this program.
engine::result<report> from_json(std::string_view text);
/// A header line, then one line a second.
std::string to_csv(const report& r);
/// One self-contained page with SVG plots; asks no network for anything.
std::string to_html(const report& r);
/// A few lines for a person.
std::string to_text(const report& r);

/// Side by side runs as one: counts and findings added, histograms merged, seconds put together by the wall clock.
/// Needs at least one report.
report merge(const std::vector<report>& reports);

}  // namespace rowcall::tools::loadgen
