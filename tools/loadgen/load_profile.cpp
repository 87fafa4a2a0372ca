#include "tools/loadgen/load_profile.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "tools/loadgen/number.hpp"

namespace rowcall::tools::loadgen {

namespace {

using engine::errc;
using engine::fail;

double seconds(nanoseconds t) { return static_cast<double>(t.count()) * 1e-9; }

/// Commands due after `t` seconds of the stage.
double due_after(const stage& s, double t) {
  const double length = seconds(s.duration);
  return s.rate_from * t + (s.rate_to - s.rate_from) * t * t / (2 * length);
}

constexpr double rate_max = 1e8;
constexpr nanoseconds stage_max = std::chrono::hours{24 * 30};

}  // namespace

engine::result<nanoseconds> parse_duration(std::string_view text) {
  const auto bad = [&] {
    return fail(errc::invalid_argument, "'" + std::string(text) + "' is no duration (examples: 250ms, 10s, 5m, 1h)");
  };
  const std::size_t digits = text.find_first_not_of("0123456789.");
  if (digits == 0 || digits == std::string_view::npos) return bad();
  const auto value = to_number(text.substr(0, digits));
  if (!value) return bad();
  const std::string_view unit = text.substr(digits);
  double scale = 0;
  if (unit == "ns") scale = 1;
  else if (unit == "us") scale = 1e3;
  else if (unit == "ms") scale = 1e6;
  else if (unit == "s") scale = 1e9;
  else if (unit == "m" || unit == "min") scale = 60e9;
  else if (unit == "h") scale = 3600e9;
  else return bad();
  if (*value * scale > static_cast<double>(stage_max.count())) return bad();
  return nanoseconds{std::llround(*value * scale)};
}

engine::result<std::vector<stage>> parse_stages(std::string_view text) {
  std::vector<stage> stages;
  while (true) {
    const std::size_t comma = text.find(',');
    const std::string_view part = text.substr(0, comma);
    const auto bad = [&](const char* why) {
      return fail(errc::invalid_argument, "stage '" + std::string(part) + "': " + why +
                                              " (examples: 10s@1000 or 30s@1000..5000, separated by commas)");
    };
    const std::size_t at = part.find('@');
    if (at == std::string_view::npos) return bad("DURATION@RATE is expected");
    const auto duration = parse_duration(part.substr(0, at));
    if (!duration) return tl::make_unexpected(duration.error());
    if (duration->count() == 0) return bad("it has no length");
    const std::string_view rates = part.substr(at + 1);
    const std::size_t dots = rates.find("..");
    const auto from = to_number(rates.substr(0, dots));
    const auto to = dots == std::string_view::npos ? from : to_number(rates.substr(dots + 2));
    if (!from || !to || *from < 0 || *to < 0) return bad("a rate is a number of commands a second");
    if (*from > rate_max || *to > rate_max) return bad("the rate is beyond 100 million a second");
    stages.push_back({*duration, *from, *to});
    if (comma == std::string_view::npos) break;
    text.remove_prefix(comma + 1);
  }
  return stages;
}

load_profile::load_profile(std::vector<stage> stages) : stages_(std::move(stages)) {
  ROWCALL_ASSERT(!stages_.empty());
  for (const stage& s : stages_) {
    starts_.push_back({total_, commands_});
    total_ += s.duration;
    commands_ += due_after(s, seconds(s.duration));
  }
}

std::optional<nanoseconds> load_profile::time_of(double x) const {
  if (x >= commands_) return std::nullopt;
  // The last stage that starts at or below x and has a rate (one that adds nothing can not be where x is due).
  auto it = std::upper_bound(starts_.begin(), starts_.end(), x,
                             [](double value, const start& s) { return value < s.commands; });
  const auto index = static_cast<std::size_t>(it - starts_.begin()) - 1;
  const stage& s = stages_[index];
  const double due = x - starts_[index].commands;
  if (due <= 0) return starts_[index].time;
  // The root of rate_from t + (rate_to - rate_from) t^2 / 2D = due, in the form that does not cancel.
  const double slope = (s.rate_to - s.rate_from) / seconds(s.duration);
  const double discriminant = std::max(0.0, s.rate_from * s.rate_from + 2 * slope * due);
  const double t = 2 * due / (s.rate_from + std::sqrt(discriminant));
  return starts_[index].time + std::min(s.duration, nanoseconds{std::llround(t * 1e9)});
}

std::size_t load_profile::stage_at(nanoseconds t) const {
  auto it = std::upper_bound(starts_.begin(), starts_.end(), t,
                             [](nanoseconds value, const start& s) { return value < s.time; });
  return it == starts_.begin() ? 0 : static_cast<std::size_t>(it - starts_.begin()) - 1;
}

double load_profile::rate_at(nanoseconds t) const {
  if (t >= total_) return 0;
  const std::size_t i = stage_at(t);
  const stage& s = stages_[i];
  return s.rate_from + (s.rate_to - s.rate_from) * seconds(t - starts_[i].time) / seconds(s.duration);
}

arrivals::arrivals(const load_profile& profile, arrival_kind kind, random_source random, std::size_t burst_commands)
    : profile_(profile), kind_(kind), random_(random), burst_commands_(std::max<std::size_t>(1, burst_commands)) {}

std::optional<nanoseconds> arrivals::next() {
  switch (kind_) {
    case arrival_kind::fixed:
      due_ = static_cast<double>(index_);
      break;
    case arrival_kind::poisson:
      due_ += random_.exponential();
      break;
    case arrival_kind::burst:
      due_ = static_cast<double>(index_ / burst_commands_ * burst_commands_);
      break;
  }
  ++index_;
  // A whole number of commands must not become one more by a rounding error in the sum of the stages.
  if (due_ > profile_.commands() - 1e-6) return std::nullopt;
  return profile_.time_of(due_);
}

}  // namespace rowcall::tools::loadgen
