#pragma once

#include <chrono>
#include <optional>
#include <string_view>
#include <vector>

#include "engine/result.hpp"
#include "tools/loadgen/random_source.hpp"

/// When commands are meant to start: the open loop. Times are since the start of the load. Pure.
namespace rowcall::tools::loadgen {

using std::chrono::nanoseconds;

/// A stretch of time at one rate, or with a rate that goes linearly from one to the other.
struct stage {
  nanoseconds duration{0};
  double rate_from = 0, rate_to = 0;  ///< commands a second
};

/// `10s@1000,30s@1000..5000,1m@5000`. Errors: invalid_argument, with the part at fault.
engine::result<std::vector<stage>> parse_stages(std::string_view text);

/// `250ms`, `10s`, `1.5m`, `1h`, `500us`. Errors: invalid_argument.
engine::result<nanoseconds> parse_duration(std::string_view text);

/// The stages as one function: how many commands are due until t, and when the x-th one is.
class load_profile {
 public:
  explicit load_profile(std::vector<stage> stages);
  const std::vector<stage>& stages() const { return stages_; }
  nanoseconds total() const { return total_; }
  double commands() const { return commands_; }  ///< due in total
  /// The time at which `x` commands are due; nothing when the profile ends before.
  std::optional<nanoseconds> time_of(double x) const;
  /// The stage of a time; the last one for what lies behind the end.
  std::size_t stage_at(nanoseconds t) const;
  nanoseconds start_of(std::size_t stage) const { return starts_[stage].time; }
  double rate_at(nanoseconds t) const;

 private:
  struct start {
    nanoseconds time{0};
    double commands = 0;
  };
  std::vector<stage> stages_;
  std::vector<start> starts_;
  nanoseconds total_{0};
  double commands_ = 0;
};

enum class arrival_kind {
  fixed,    ///< evenly spaced
  poisson,  ///< independent of each other: exponential gaps
  burst,    ///< `burst_commands` at the same instant, spaced so that the rate comes out
};

/// The intended starts, one after the other. A Poisson process of any rate is a unit-rate process seen through the
/// profile's cumulative rate (time rescaling), so ramps are exact.
class arrivals {
 public:
  arrivals(const load_profile& profile, arrival_kind kind, random_source random, std::size_t burst_commands = 1);
  /// Nothing when the profile is over.
  std::optional<nanoseconds> next();

 private:
  const load_profile& profile_;
  arrival_kind kind_;
  random_source random_;
  std::size_t burst_commands_;
  std::uint64_t index_ = 0;
  double due_ = 0;
};

}  // namespace rowcall::tools::loadgen
