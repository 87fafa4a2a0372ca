#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "tools/loadgen/report.hpp"

namespace rowcall::tools::loadgen {

namespace {

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '<') out += "&lt;";
    else if (c == '>') out += "&gt;";
    else if (c == '&') out += "&amp;";
    else if (c == '"') out += "&quot;";
    else out += c;
  }
  return out;
}

struct series {
  std::string name, colour;
  std::vector<std::pair<double, double>> points;
};

/// A round number at or above x: 1, 2 or 5 times a power of ten.
double round_up(double x) {
  if (!(x > 0)) return 1;
  const double power = std::pow(10.0, std::floor(std::log10(x)));
  for (const double m : {1.0, 2.0, 5.0, 10.0})
    if (m * power >= x * 0.999999) return m * power;
  return 10 * power;
}

struct axis {
  std::string label;
  bool is_log = false;
};

/// A line chart. A log axis has decades, a linear one starts at 0. Ticks that are given replace the computed ones (x).
std::string chart(std::string_view title, const axis& x, const axis& y, const std::vector<series>& all,
                  const std::vector<std::pair<double, std::string>>& x_ticks = {}) {
  constexpr double width = 760, height = 260, left = 70, right = 14, top = 14, bottom = 40;
  double x_min = 1e300, x_max = -1e300, y_min = 1e300, y_max = -1e300;
  for (const series& s : all)
    for (const auto& [px, py] : s.points) {
      if (y.is_log && py <= 0) continue;
      x_min = std::min(x_min, px), x_max = std::max(x_max, px);
      y_min = std::min(y_min, py), y_max = std::max(y_max, py);
    }
  if (x_min > x_max) return fmt::format("<figure><figcaption>{}</figcaption><p>no data</p></figure>\n", escaped(title));
  for (const auto& [at, label] : x_ticks) x_min = std::min(x_min, at), x_max = std::max(x_max, at);
  if (x_max == x_min) x_max = x_min + 1;
  if (y.is_log) {
    y_min = std::pow(10.0, std::floor(std::log10(y_min)));
    y_max = std::pow(10.0, std::ceil(std::log10(y_max)));
    if (y_max <= y_min) y_max = y_min * 10;
  } else {
    y_min = 0;
    y_max = round_up(y_max);
  }
  const auto at_x = [&](double v) { return left + (v - x_min) / (x_max - x_min) * (width - left - right); };
  const auto at_y = [&](double v) {
    const double share = y.is_log ? (std::log10(v) - std::log10(y_min)) / (std::log10(y_max) - std::log10(y_min)) : v / y_max;
    return height - bottom - share * (height - top - bottom);
  };
  std::string out = fmt::format("<figure><figcaption>{}</figcaption>\n<svg viewBox=\"0 0 {} {}\" role=\"img\">\n", escaped(title),
                                width, height);
  const auto y_tick = [&](double v) {
    out += fmt::format("<line class=\"grid\" x1=\"{:.1f}\" x2=\"{:.1f}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>"
                       "<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"end\">{:g}</text>\n",
                       left, width - right, at_y(v), at_y(v), left - 6, at_y(v) + 4, v);
  };
  if (y.is_log)
    for (double v = y_min; v <= y_max * 1.0001; v *= 10) y_tick(v);
  else
    for (int i = 0; i <= 4; ++i) y_tick(y_max * i / 4);
  auto ticks = x_ticks;
  if (ticks.empty()) {
    const double step = round_up((x_max - x_min) / 8);
    for (double v = std::ceil(x_min / step) * step; v <= x_max; v += step) ticks.emplace_back(v, fmt::format("{:g}", v));
  }
  for (const auto& [v, label] : ticks)
    out += fmt::format("<line class=\"grid\" x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1:.1f}\" y2=\"{2:.1f}\"/>"
                       "<text x=\"{0:.1f}\" y=\"{3:.1f}\" text-anchor=\"middle\">{4}</text>\n",
                       at_x(v), top, height - bottom, height - bottom + 16, escaped(label));
  out += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{}</text>\n", (left + width) / 2, height - 6,
                     escaped(x.label));
  out += fmt::format("<text transform=\"translate(14 {:.1f}) rotate(-90)\" text-anchor=\"middle\">{}</text>\n",
                     (top + height - bottom) / 2, escaped(y.label));
  double legend = left + 10;
  for (const series& s : all) {
    out += fmt::format("<polyline fill=\"none\" stroke=\"{}\" stroke-width=\"1.6\" points=\"", s.colour);
    for (const auto& [px, py] : s.points)
      if (!y.is_log || py > 0) out += fmt::format("{:.1f},{:.1f} ", at_x(px), at_y(py));
    out += "\"/>\n";
    out += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" fill=\"{}\" class=\"name\">{}</text>\n", legend, top + 12, s.colour,
                       escaped(s.name));
    legend += 12 + 8.0 * static_cast<double>(s.name.size());
  }
  return out + "</svg></figure>\n";
}

constexpr std::string_view blue = "#2166ac", red = "#b2182b", green = "#1a7f37", orange = "#c76a00", grey = "#777777";

series by_second(const report& r, std::string name, std::string_view colour, double (*value)(const second_row&)) {
  series s{std::move(name), std::string(colour), {}};
  for (const second_row& row : r.seconds) s.points.emplace_back(static_cast<double>(row.second), value(row));
  return s;
}

/// The latency at every percentile, over the number of nines.
series percentiles(const histogram& h, std::string name, std::string_view colour) {
  series s{std::move(name), std::string(colour), {}};
  if (h.empty()) return s;
  const double nines_max = std::min(5.0, std::log10(static_cast<double>(h.count())));
  for (double nines = 0; nines <= nines_max + 1e-9; nines += 0.05)
    s.points.emplace_back(nines, to_ms(h.percentile(100 * (1 - std::pow(10.0, -nines)))));
  return s;
}

}  // namespace

std::string to_html(const report& r) {
  std::string out =
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>rowcall-loadgen</title>\n"
      "<meta name=\"viewport\" content=\"width=device-width\">\n<style>\n"
      "body{font:15px/1.45 system-ui,sans-serif;max-width:820px;margin:2em auto;padding:0 1em;color:#222;background:#fff}\n"
      "table{border-collapse:collapse;margin:.6em 0}td,th{padding:.2em .8em .2em 0;text-align:left;border-bottom:1px solid #ddd}\n"
      "td.n,th.n{text-align:right}svg{width:100%;height:auto}svg text{font-size:12px;fill:#555}svg text.name{font-weight:600}\n"
      ".grid{stroke:#e3e3e3}figure{margin:1.4em 0}figcaption{font-weight:600}.bad{color:#b2182b;font-weight:600}"
      ".good{color:#1a7f37;font-weight:600}\npre{white-space:pre-wrap}\n</style></head><body>\n";
  out += fmt::format("<h1>Load on Rowcall: <span class=\"{}\">{}</span></h1>\n", r.passed() ? "good" : "bad",
                     r.passed() ? "passed" : "failed");
  out += fmt::format("<p>{:.0f} commands/s from submit to followed update, over {:.1f} s{}.</p>\n", r.throughput_per_s(),
                     r.duration_s, r.interrupted ? " (interrupted)" : "");
  out += "<table><tr><th></th><th class=n>submitted</th><th class=n>acknowledged</th><th class=n>followed</th>"
         "<th class=n>rejected</th><th class=n>errors</th></tr>";
  out += fmt::format("<tr><td>commands</td><td class=n>{}</td><td class=n>{}</td><td class=n>{}</td><td class=n>{}</td>"
                     "<td class=n>{}</td></tr></table>\n",
                     r.count.submitted, r.count.acknowledged, r.count.followed, r.count.rejected, r.count.errors);
  out += fmt::format("<p class=\"{}\">lost {}, duplicated {}, reordered {}, gaps {}</p>\n", r.found.clean() ? "good" : "bad",
                     r.found.lost, r.found.duplicated, r.found.reordered, r.found.gaps);
  if (!r.found.examples.empty()) {
    out += "<ul>";
    for (const std::string& e : r.found.examples) out += "<li>" + escaped(e) + "</li>";
    out += "</ul>\n";
  }
  out += "<table><tr><th>latency, ms</th><th class=n>p50</th><th class=n>p90</th><th class=n>p99</th><th class=n>p99.9</th>"
         "<th class=n>p99.99</th><th class=n>max</th></tr>";
  const auto latency_row = [&](std::string_view name, const histogram& h) {
    if (h.empty()) return;
    out += fmt::format("<tr><td>{}</td><td class=n>{:.3f}</td><td class=n>{:.3f}</td><td class=n>{:.3f}</td><td class=n>{:.3f}"
                       "</td><td class=n>{:.3f}</td><td class=n>{:.3f}</td></tr>",
                       escaped(name), to_ms(h.percentile(50)), to_ms(h.percentile(90)), to_ms(h.percentile(99)),
                       to_ms(h.percentile(99.9)), to_ms(h.percentile(99.99)), to_ms(h.max()));
  };
  latency_row("followed", r.latency);
  latency_row("acknowledged", r.ack_latency);
  latency_row("read", r.read_latency);
  latency_row("generator's own delay", r.send_lag);
  if (r.stages.size() > 1)
    for (std::size_t i = 0; i < r.stages.size(); ++i)
      latency_row(fmt::format("stage {}: {:g}..{:g}/s", i + 1, r.stages[i].rate_from, r.stages[i].rate_to), r.stages[i].latency);
  out += "</table>\n";
  out += fmt::format("<p>Bottleneck: <b>{}</b>. {}</p>\n", escaped(r.limit.who), escaped(r.limit.why));
  for (const threshold_result& t : r.thresholds)
    out += fmt::format("<p class=\"{}\">{}: {:.3f}, {}</p>\n", t.failed ? "bad" : "good", escaped(t.text), t.value,
                       t.failed ? "failed" : "passed");
  const axis time{"seconds since the start"};
  out += chart("Throughput", time, {"commands/s"},
               {by_second(r, "offered", grey, [](const second_row& s) { return s.offered_per_s; }),
                by_second(r, "submitted", blue, [](const second_row& s) { return static_cast<double>(s.count.submitted); }),
                by_second(r, "followed", green, [](const second_row& s) { return static_cast<double>(s.count.followed); })});
  out += chart("Latency of what was followed in each second", time, {"ms", true},
               {by_second(r, "p50", green, [](const second_row& s) { return s.p50_ms; }),
                by_second(r, "p99", orange, [](const second_row& s) { return s.p99_ms; }),
                by_second(r, "max", red, [](const second_row& s) { return s.max_ms; })});
  out += chart("Latency by percentile", {"percentile"}, {"ms", true},
               {percentiles(r.latency, "followed", blue), percentiles(r.ack_latency, "acknowledged", green)},
               {{0, "0"}, {1, "90 %"}, {2, "99 %"}, {3, "99.9 %"}, {4, "99.99 %"}});
  if (r.stages.size() > 1 || r.search.size() > 1) {
    series median{"p50", std::string(green), {}}, tail{"p99", std::string(orange), {}};
    for (const stage_report& s : r.stages) {
      if (s.latency.empty()) continue;
      median.points.emplace_back((s.rate_from + s.rate_to) / 2, to_ms(s.latency.percentile(50)));
      tail.points.emplace_back((s.rate_from + s.rate_to) / 2, to_ms(s.latency.percentile(99)));
    }
    if (r.search.size() > 1) {
      median.points.clear();
      tail.points.clear();
      for (const search_step& s : r.search) tail.points.emplace_back(s.rate, s.p99_ms);
    }
    std::sort(median.points.begin(), median.points.end());
    std::sort(tail.points.begin(), tail.points.end());
    out += chart("Latency against load", {"commands/s offered"}, {"ms", true}, {median, tail});
  }
  out += chart("On its way", time, {"commands"},
               {by_second(r, "in flight", blue, [](const second_row& s) { return static_cast<double>(s.in_flight); }),
                by_second(r, "pending", orange, [](const second_row& s) { return static_cast<double>(s.pending); })});
  out += chart("CPU", time, {"cores"},
               {by_second(r, "engine", blue, [](const second_row& s) { return s.cpu_engine; }),
                by_second(r, "postgresql", green, [](const second_row& s) { return s.cpu_postgresql; }),
                by_second(r, "nats", orange, [](const second_row& s) { return s.cpu_nats; }),
                by_second(r, "generator", grey, [](const second_row& s) { return s.cpu_generator; })});
  out += "<h2>Configuration</h2>\n<table>";
  for (const auto& [key, value] : r.config)
    out += fmt::format("<tr><td>{}</td><td>{}</td></tr>", escaped(key), escaped(value));
  out += "</table>\n</body></html>\n";
  return out;
}

}  // namespace rowcall::tools::loadgen
