#include "tools/telemetry/exposition.hpp"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <map>

#include "engine/result.hpp"

namespace rowcall::tools {

struct exposition::impl {
  std::vector<prometheus::MetricFamily> families;
  std::map<std::string, std::size_t, std::less<>> by_name;

  prometheus::ClientMetric& add(std::string_view name, std::string_view help, prometheus::MetricType type,
                                const labels& with) {
    auto found = by_name.find(name);
    if (found == by_name.end()) {
      found = by_name.emplace(name, families.size()).first;
      families.push_back({std::string(name), std::string(help), type, {}});
    }
    auto& family = families[found->second];
    ROWCALL_ASSERT(family.type == type);
    auto& metric = family.metric.emplace_back();
    for (const auto& [label, value] : with) metric.label.push_back({label, value});
    return metric;
  }
};

exposition::exposition() : impl_(std::make_unique<impl>()) {}
exposition::~exposition() = default;

void exposition::counter(std::string_view name, std::string_view help, double value, const labels& with) {
  ROWCALL_ASSERT(name.ends_with("_total"));
  impl_->add(name, help, prometheus::MetricType::Counter, with).counter.value = value;
}

void exposition::gauge(std::string_view name, std::string_view help, double value, const labels& with) {
  impl_->add(name, help, prometheus::MetricType::Gauge, with).gauge.value = value;
}

void exposition::histogram(std::string_view name, std::string_view help, const histogram_sample& sample,
                           const labels& with) {
  ROWCALL_ASSERT(sample.counts.size() == sample.bounds.size() + 1);
  auto& h = impl_->add(name, help, prometheus::MetricType::Histogram, with).histogram;
  std::uint64_t count = 0;
  for (std::size_t i = 0; i < sample.bounds.size(); ++i) {
    count += sample.counts[i];
    h.bucket.push_back({count, sample.bounds[i]});
  }
  // The serializer adds the bucket without a bound from the count.
  h.sample_count = count + sample.counts.back();
  h.sample_sum = sample.sum;
}

std::string exposition::text() const { return prometheus::TextSerializer{}.Serialize(impl_->families); }

}  // namespace rowcall::tools
