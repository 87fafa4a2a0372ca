#pragma once

#include <chrono>
#include <cstdint>
#include <utility>
#include <vector>

#include "engine/result.hpp"

namespace rowcall::tools::loadgen {

/// Latencies in log-linear buckets, to three significant decimal digits from 1 ns to 1 h, in fixed memory (264 KiB).
///
/// The layout is that of Gil Tene's HdrHistogram (http://hdrhistogram.org): bucket b covers [2^(b+10), 2^(b+11)) in
/// 1,024 equal steps of 2^b ns, the first one also [0, 1024); so a step is never more than 1/1,024 of its value.
/// Values above an hour count as an hour; `max` stays exact. One thread at a time.
class histogram {
 public:
  using duration = std::chrono::nanoseconds;
  static constexpr duration value_max = std::chrono::hours{1};

  histogram();

  /// A negative value counts as 0.
  void record(duration value, std::uint64_t times = 1);
  void add(const histogram& other);
  void reset();

  std::uint64_t count() const { return count_; }
  bool empty() const { return count_ == 0; }
  duration min() const;   ///< exact; 0 when empty
  duration max() const;   ///< exact; 0 when empty
  duration mean() const;  ///< exact; 0 when empty

  /// The smallest step that at least `percent` (0 to 100) of the values lie at or below; its upper end, so never
  /// flattering, and never above max(). 0 when empty.
  duration percentile(double percent) const;

  /// The non-empty steps as (index, count), ascending: what a report carries so that reports can be merged.
  std::vector<std::pair<std::uint32_t, std::uint64_t>> steps() const;
  /// The inverse. Errors: invalid_argument when an index is outside the layout or the numbers contradict each other.
  static engine::result<histogram> from_steps(const std::vector<std::pair<std::uint32_t, std::uint64_t>>& steps,
                                              duration min, duration max, double sum_ns);
  double sum_ns() const { return sum_ns_; }

  static std::uint32_t index_of(duration value);
  static duration lowest_of(std::uint32_t index);
  static duration highest_of(std::uint32_t index);
  static std::uint32_t size();

 private:
  std::vector<std::uint64_t> counts_;
  std::uint64_t count_ = 0;
  double sum_ns_ = 0;
  std::int64_t min_ns_ = 0, max_ns_ = 0;
};

}  // namespace rowcall::tools::loadgen
