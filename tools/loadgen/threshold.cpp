#include "tools/loadgen/threshold.hpp"

#include <algorithm>
#include <array>

#include "tools/loadgen/number.hpp"

namespace rowcall::tools::loadgen {

namespace {

constexpr std::array<std::string_view, 8> latencies{"p50", "p90", "p99", "p999", "p9999", "max", "mean", "min"};
constexpr std::array<std::string_view, 10> numbers{"throughput", "submitted", "acknowledged", "followed", "lost",
                                                  "duplicated", "reordered", "gaps", "errors", "rejected"};

std::string without_spaces(std::string_view text) {
  std::string out;
  for (const char c : text)
    if (c != ' ') out += c;
  return out;
}

}  // namespace

bool threshold::is_latency(std::string_view metric) {
  for (const std::string_view prefix : {"ack_", "read_", "send_lag_"})
    if (metric.substr(0, prefix.size()) == prefix) metric.remove_prefix(prefix.size());
  return std::find(latencies.begin(), latencies.end(), metric) != latencies.end();
}

bool threshold::is_known(std::string_view metric) {
  return is_latency(metric) || std::find(numbers.begin(), numbers.end(), metric) != numbers.end();
}

engine::result<threshold> threshold::parse(std::string_view given) {
  const std::string text = without_spaces(given);
  const auto bad = [&](const std::string& why) {
    return engine::fail(engine::errc::invalid_argument, "threshold '" + std::string(given) + "': " + why);
  };
  const std::size_t op = text.find_first_of("<>=!");
  if (op == std::string::npos) return bad("a comparison is missing (example: p99>20ms)");
  const std::size_t op_bytes = op + 1 < text.size() && text[op + 1] == '=' ? 2 : 1;
  const std::string sign = text.substr(op, op_bytes);
  threshold t;
  t.text_ = text;
  t.metric_ = text.substr(0, op);
  if (t.metric_ == "throughput_per_s") t.metric_ = "throughput";
  if (sign == ">") t.comparison_ = comparison::greater;
  else if (sign == ">=") t.comparison_ = comparison::greater_equal;
  else if (sign == "<") t.comparison_ = comparison::less;
  else if (sign == "<=") t.comparison_ = comparison::less_equal;
  else if (sign == "==" || sign == "=") t.comparison_ = comparison::equal;
  else if (sign == "!=") t.comparison_ = comparison::not_equal;
  else return bad("one of > >= < <= == != is expected");
  if (!is_known(t.metric_)) {
    std::string names;
    for (const auto n : latencies) names += std::string(n) + ' ';
    for (const auto n : numbers) names += std::string(n) + ' ';
    return bad("unknown metric; known are " + names + "and ack_…, read_… and send_lag_… of the latencies");
  }
  const std::string_view rest = std::string_view(text).substr(op + op_bytes);
  const std::size_t unit_at = std::min(rest.find_first_not_of("0123456789.+-eE"), rest.size());
  const auto value = to_number(rest.substr(0, unit_at));
  if (!value) return bad("a number is expected behind the comparison");
  const std::string_view unit = rest.substr(unit_at);
  if (!is_latency(t.metric_) && !unit.empty()) return bad("this metric has no unit");
  double scale = 1;
  if (unit == "ns") scale = 1e-6;
  else if (unit == "us") scale = 1e-3;
  else if (unit == "s") scale = 1e3;
  else if (!unit.empty() && unit != "ms") return bad("the unit is one of ns, us, ms, s");
  t.bound_ = *value * scale;
  return t;
}

bool threshold::is_met_by(double value) const {
  switch (comparison_) {
    case comparison::greater: return value > bound_;
    case comparison::greater_equal: return value >= bound_;
    case comparison::less: return value < bound_;
    case comparison::less_equal: return value <= bound_;
    case comparison::equal: return value == bound_;
    case comparison::not_equal: return value != bound_;
  }
  return true;
}

}  // namespace rowcall::tools::loadgen
