#include "bench/macro/figures.hpp"

#include <algorithm>

#include "engine/json.hpp"
#include "engine/result.hpp"

namespace rowcall::bench {
namespace {

/// A bound on a figure itself, or on its ratio to another figure of the same round.
struct target {
  const char* figure;
  const char* against;  ///< nullptr: the figure itself
  enum { at_least, at_most, none } kind;
  double bound;
};

/// The targets on 2 cores. In the order of the report.
constexpr target targets[] = {
    {"drain_per_s", "limit_client_per_s", target::at_least, 0.85},
    {"drain_per_s", "limit_sql_per_s", target::at_least, 0.5},
    {"limit_client_per_s", "limit_sql_per_s", target::none, 0},
    {"live_per_s", "live_client_per_s", target::at_least, 0.8},
    {"zipf_per_s", "live_per_s", target::at_least, 0.8},
    {"hot_per_s", "live_per_s", target::at_least, 0.5},
    {"hot_half_per_s", "live_per_s", target::at_least, 0.5},
    {"many_per_s", "live_per_s", target::at_least, 0.45},
    {"single_us", "commit_us", target::at_most, 4},
    {"open_p50_us", "commit_us", target::at_most, 10},
    {"open_p99_us", "commit_us", target::at_most, 60},
    {"live_engine_cpu_share", nullptr, target::at_most, 0.25},
    {"idle_core_share", nullptr, target::at_most, 0.01},
    {"idle_rss_mib", nullptr, target::at_most, 100},
    {"passivated_rss_mib", "baseline_rss_mib", target::at_most, 1.1},
    {"active_session_bytes", nullptr, target::at_most, 3072},
    {"soak_last_per_s", "soak_second_per_s", target::at_least, 0.97},
    {"soak_last_p99_ms", "soak_second_p99_ms", target::at_most, 1.5},
    {"soak_other_dead_rows", nullptr, target::at_most, 0},
    {"start_first_update_s", nullptr, target::at_most, 1},
    {"start_peak_rss_mib", nullptr, target::at_most, 512},
    // Of rowcall-gateway-bench, with 10,000 streams.
    {"gateway_http_us", "gateway_client_us", target::at_most, 2},
    {"gateway_http_submit_per_s", "gateway_client_submit_per_s", target::at_least, 0.5},
    {"gateway_streams_rss_mib", nullptr, target::at_most, 300},
    {"gateway_streams_idle_core_share", nullptr, target::at_most, 0.02},
    {"gateway_shared_streams_rss_mib", nullptr, target::at_most, 300},
    {"gateway_shared_streams_idle_core_share", nullptr, target::at_most, 0.02},
};

using engine::json::writer;

void write_spread(writer& w, const std::vector<double>& values) {
  w.key("median").number(median(values));
  w.key("min").number(*std::min_element(values.begin(), values.end()));
  w.key("max").number(*std::max_element(values.begin(), values.end()));
}

/// Judged by the median.
void write_target(writer& w, const target& t, double value) {
  if (t.kind == target::none) return;
  w.key(t.kind == target::at_least ? "at_least" : "at_most").number(t.bound);
  w.key("reached").boolean(t.kind == target::at_least ? value >= t.bound : value <= t.bound);
}

}  // namespace

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values.empty() ? 0 : values[values.size() / 2];
}

void figures::add(const std::string& figure, double value) {
  values_[figure].push_back(value);
  std::fprintf(stderr, "  %-24s %.4g\n", figure.c_str(), value);
}

const std::vector<double>& figures::of(const std::string& figure) const {
  const auto found = values_.find(figure);
  ROWCALL_ASSERT(found != values_.end());
  return found->second;
}

void figures::add_curve(const std::string& plot, const std::string& x, const std::string& y, const std::string& name,
                        points p) {
  curves_.push_back({plot, x, y, name, std::move(p)});
}

void figures::print(std::FILE* out, const std::string& head) const {
  const auto print_line = [&](writer& w) { std::fprintf(out, "%s\n", w.str().c_str()); };
  for (const auto& [name, values] : values_) {
    writer w;
    w.begin_object().key("figure").string(name);
    write_spread(w, values);
    w.key("rounds").number(static_cast<std::int64_t>(values.size()));
    for (const auto& t : targets)
      if (name == t.figure && t.against == nullptr) write_target(w, t, median(values));
    w.key("ratios").begin_array();
    for (const auto& t : targets) {
      if (name != t.figure || t.against == nullptr || !has(t.against)) continue;
      const auto& others = of(t.against);
      std::vector<double> ratios;
      for (std::size_t i = 0; i < std::min(values.size(), others.size()); ++i)
        if (others[i] != 0) ratios.push_back(values[i] / others[i]);
      if (ratios.empty()) continue;
      w.begin_object().key("to").string(t.against);
      write_spread(w, ratios);
      write_target(w, t, median(ratios));
      w.end_object();
    }
    w.end_array();
    std::fprintf(out, "%s,%s}\n", w.str().c_str(), head.c_str());  // the object is open still
  }
  for (const auto& c : curves_) {
    writer w;
    w.begin_object().key("plot").string(c.plot).key("x").string(c.x).key("y").string(c.y).key("curve").string(c.name);
    w.key("points").begin_array();
    for (const auto& [x, y] : c.p) w.begin_array().number(x).number(y).end_array();
    w.end_array().end_object();
    print_line(w);
  }
}

}  // namespace rowcall::bench
