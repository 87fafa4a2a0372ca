#include "tools/loadgen/rate_search.hpp"

#include <fmt/format.h>

namespace rowcall::tools::loadgen {

namespace {
constexpr double searched_rate_min = 1, searched_rate_max = 1e7;
}

void rate_search::tell(bool held) {
  if (!next_) return;
  --steps_left_;
  if (held) best_ = next_;
  else broke_ = next_;
  if (!broke_) {
    next_ = *best_ * 2;
  } else if (!best_) {
    next_ = *broke_ / 2;
  } else if (*broke_ - *best_ > precision_ * *broke_) {
    next_ = (*best_ + *broke_) / 2;
  } else {
    next_.reset();
  }
  if (next_ && (*next_ < searched_rate_min || *next_ > searched_rate_max)) next_.reset();
}

search_step judge(double rate, const report& r, const search_bound& bound) {
  search_step s;
  s.rate = rate;
  s.throughput_per_s = r.throughput_per_s();
  s.p99_ms = to_ms(r.latency.percentile(99));
  if (!r.found.clean()) s.why = "updates were lost, duplicated, reordered or skipped";
  else if (r.count.errors != 0) s.why = fmt::format("{} errors", r.count.errors);
  else if (r.latency.empty()) s.why = "nothing was followed";
  else if (s.throughput_per_s < bound.followed_share * rate) s.why = "fell behind the rate";
  else if (s.p99_ms > bound.p99_ms) s.why = fmt::format("p99 above {:.3f} ms", bound.p99_ms);
  else s.held = true;
  if (!s.held && r.limit.who == "generator") s.why += " (the generator itself was the limit)";
  return s;
}

}  // namespace rowcall::tools::loadgen
