#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "engine/result.hpp"

namespace rowcall::tools::loadgen {

/// A condition that makes a run fail: `p99>20ms`, `lost>0`, `throughput<5000`.
///
/// METRIC OP NUMBER[ns|us|ms|s] with OP one of > >= < <= == !=. A latency metric has a unit (a bare number is
/// milliseconds); others have none.
class threshold {
 public:
  /// Errors: invalid_argument, naming what can be asked for.
  static engine::result<threshold> parse(std::string_view text);
  const std::string& text() const { return text_; }
  const std::string& metric() const { return metric_; }
  /// True when the run has failed. `value`: the metric's figure, latencies in milliseconds.
  bool is_met_by(double value) const;
  /// Metrics that are latencies: p50 p90 p99 p999 p9999 max mean min, also ack_…, read_… and send_lag_….
  static bool is_latency(std::string_view metric);
  static bool is_known(std::string_view metric);

 private:
  enum class comparison { greater, greater_equal, less, less_equal, equal, not_equal };
  std::string text_, metric_;
  comparison comparison_ = comparison::greater;
  double bound_ = 0;
};

}  // namespace rowcall::tools::loadgen
