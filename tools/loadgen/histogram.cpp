#include "tools/loadgen/histogram.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

namespace rowcall::tools::loadgen {

namespace {

constexpr int half_bits = 10;  // 2^11 steps in the first bucket: twice 10^3, rounded up
constexpr std::int64_t half_steps = std::int64_t{1} << half_bits;
constexpr std::int64_t value_max_ns = histogram::value_max.count();
constexpr int bucket_count = std::bit_width(static_cast<std::uint64_t>(value_max_ns)) - half_bits;

}  // namespace

std::uint32_t histogram::size() { return static_cast<std::uint32_t>((bucket_count + 1) * half_steps); }

std::uint32_t histogram::index_of(duration value) {
  const auto v = static_cast<std::uint64_t>(std::clamp<std::int64_t>(value.count(), 0, value_max_ns));
  const int bucket = std::max(0, static_cast<int>(std::bit_width(v)) - (half_bits + 1));
  const auto step = static_cast<std::int64_t>(v >> bucket);  // below 2 * half_steps
  return static_cast<std::uint32_t>(bucket * half_steps + step);
}

histogram::duration histogram::lowest_of(std::uint32_t index) {
  const int bucket = std::max(0, static_cast<int>(index >> half_bits) - 1);
  return duration{(static_cast<std::int64_t>(index) - bucket * half_steps) << bucket};
}

histogram::duration histogram::highest_of(std::uint32_t index) { return lowest_of(index + 1) - duration{1}; }

histogram::histogram() : counts_(size()) {}

void histogram::record(duration value, std::uint64_t times) {
  if (times == 0) return;
  const std::int64_t ns = std::max<std::int64_t>(0, value.count());
  counts_[index_of(value)] += times;
  min_ns_ = count_ == 0 ? ns : std::min(min_ns_, ns);
  max_ns_ = std::max(max_ns_, ns);
  sum_ns_ += static_cast<double>(ns) * static_cast<double>(times);
  count_ += times;
}

void histogram::add(const histogram& other) {
  if (other.empty()) return;
  for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
  min_ns_ = count_ == 0 ? other.min_ns_ : std::min(min_ns_, other.min_ns_);
  max_ns_ = std::max(max_ns_, other.max_ns_);
  sum_ns_ += other.sum_ns_;
  count_ += other.count_;
}

void histogram::reset() {
  std::fill(counts_.begin(), counts_.end(), 0);
  count_ = 0;
  sum_ns_ = 0;
  min_ns_ = max_ns_ = 0;
}

histogram::duration histogram::min() const { return duration{min_ns_}; }
histogram::duration histogram::max() const { return duration{max_ns_}; }

histogram::duration histogram::mean() const {
  return duration{empty() ? 0 : static_cast<std::int64_t>(sum_ns_ / static_cast<double>(count_))};
}

histogram::duration histogram::percentile(double percent) const {
  if (empty()) return duration{0};
  const double share = std::clamp(percent, 0.0, 100.0) / 100.0;
  // The smallest rank that covers the share; the slack keeps 99.99 % of 10,000 at 9,999 in spite of binary fractions.
  const double rank = std::ceil(share * static_cast<double>(count_) - 1e-6);
  const auto wanted = std::clamp<std::uint64_t>(static_cast<std::uint64_t>(std::max(rank, 1.0)), 1, count_);
  std::uint64_t seen = 0;
  for (std::uint32_t i = index_of(min()); i < counts_.size(); ++i) {
    seen += counts_[i];
    if (seen >= wanted) return i == index_of(max()) ? max() : highest_of(i);
  }
  return max();
}

std::vector<std::pair<std::uint32_t, std::uint64_t>> histogram::steps() const {
  std::vector<std::pair<std::uint32_t, std::uint64_t>> out;
  for (std::uint32_t i = 0; i < counts_.size(); ++i)
    if (counts_[i] != 0) out.emplace_back(i, counts_[i]);
  return out;
}

engine::result<histogram> histogram::from_steps(const std::vector<std::pair<std::uint32_t, std::uint64_t>>& steps,
                                                duration min, duration max, double sum_ns) {
  histogram h;
  for (const auto& [index, count] : steps) {
    if (index >= size()) return engine::fail(engine::errc::invalid_argument, "histogram: a step outside the layout");
    h.counts_[index] += count;
    h.count_ += count;
  }
  if (h.count_ == 0) return h;
  if (min.count() < 0 || index_of(min) != steps.front().first || index_of(max) != steps.back().first)
    return engine::fail(engine::errc::invalid_argument, "histogram: min and max do not fit the steps");
  h.min_ns_ = min.count();
  h.max_ns_ = max.count();
  h.sum_ns_ = sum_ns;
  return h;
}

}  // namespace rowcall::tools::loadgen
