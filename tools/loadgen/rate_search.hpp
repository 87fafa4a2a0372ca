#pragma once

#include <optional>
#include <vector>

#include "tools/loadgen/report.hpp"

namespace rowcall::tools::loadgen {

/// Looks for the highest rate at which a bound holds: doubles until it breaks, then halves the interval until it is
/// narrower than `precision` of its upper end. Pure: the caller runs the rates and tells what came of them.
class rate_search {
 public:
  rate_search(double first_rate, double precision = 0.05, int steps_max = 20)
      : next_(first_rate), precision_(precision), steps_left_(steps_max) {}
  /// Nothing when the search is over.
  std::optional<double> next() const { return steps_left_ > 0 ? next_ : std::nullopt; }
  void tell(bool held);
  /// The highest rate that held; nothing when none did.
  std::optional<double> best() const { return best_; }

 private:
  std::optional<double> next_, best_, broke_;
  double precision_;
  int steps_left_;
};

struct search_bound {
  double p99_ms = 20;
  double followed_share = 0.98;  ///< of what was offered
};

/// Whether a run at `rate` kept the bound, and if not, why.
search_step judge(double rate, const report& r, const search_bound& bound);

}  // namespace rowcall::tools::loadgen
