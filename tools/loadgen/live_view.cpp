#include "tools/loadgen/live_view.hpp"

#include <fmt/format.h>

namespace rowcall::tools::loadgen {

namespace {

std::string faults(const findings& f) {
  return f.clean() ? "none" : fmt::format("dup {} reord {} gap {}", f.duplicated, f.reordered, f.gaps);
}

}  // namespace

std::string progress_line(const progress& p) {
  const second_row& s = p.last;
  return fmt::format(
      "{:>7} {:>4.0f}/{:.0f} s  {:>7} submitted/s {:>7} followed/s  in flight {:>6}  pending {:>6}  p50 {:.2f} p99 {:.2f} "
      "max {:.2f} ms  errors {}  faults {}\n",
      s.warm_up ? "warm-up" : p.phase, p.elapsed_s, p.total_s, s.count.submitted, s.count.followed, p.in_flight, p.pending,
      s.p50_ms, s.p99_ms, s.max_ms, p.total.errors, faults(p.found));
}

std::string progress_table(const progress& p, bool redraw, std::size_t columns) {
  constexpr int lines = 7;
  const second_row& s = p.last;
  std::string out = redraw ? fmt::format("\x1b[{}A", lines) : "";
  const auto line = [&](const std::string& text) {
    out += "\x1b[2K" + (columns == 0 ? text : text.substr(0, columns)) + "\n";  // all of it is ASCII
  };
  line(fmt::format("{} {:.0f} of {:.0f} s{}", s.warm_up ? "warm-up" : p.phase, p.elapsed_s, p.total_s,
                   s.offered_per_s > 0 ? fmt::format(", {:.0f} commands/s offered", s.offered_per_s) : ""));
  line(fmt::format("  {:<12}{:>12}{:>14}{:>12}{:>10}", "", "submitted", "acknowledged", "followed", "errors"));
  line(fmt::format("  {:<12}{:>12}{:>14}{:>12}{:>10}", "last second", s.count.submitted, s.count.acknowledged,
                   s.count.followed, s.count.errors));
  line(fmt::format("  {:<12}{:>12}{:>14}{:>12}{:>10}", "total", p.total.submitted, p.total.acknowledged, p.total.followed,
                   p.total.errors));
  line(fmt::format("  in flight {}, pending {}, faults {}", p.in_flight, p.pending, faults(p.found)));
  line(fmt::format("  latency ms   p50 {:.2f}  p90 {:.2f}  p99 {:.2f}  max {:.2f}", s.p50_ms, s.p90_ms, s.p99_ms, s.max_ms));
  line(fmt::format("  cores        engine {:.2f}  postgresql {:.2f}  nats {:.2f}  generator {:.2f}", s.cpu_engine,
                   s.cpu_postgresql, s.cpu_nats, s.cpu_generator));
  return out;
}

}  // namespace rowcall::tools::loadgen
