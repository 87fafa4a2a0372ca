#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// One scrape in the text format of Prometheus (version 0.0.4). prometheus-cpp stays behind this header.
namespace rowcall::tools {

/// Counts in buckets, as a histogram shows them.
struct histogram_sample {
  std::vector<double> bounds;         ///< upper bounds, inclusive, ascending
  std::vector<std::uint64_t> counts;  ///< of each bucket alone; one more than bounds: the last has no bound
  double sum = 0;                     ///< of all observations, in the metric's unit
};

/// Collects samples, then renders them. Made anew for every scrape, by one thread. A name that comes again (with other
/// labels) goes to the same family; its help text is that of the first.
class exposition {
 public:
  using labels = std::vector<std::pair<std::string, std::string>>;

  exposition();
  ~exposition();
  exposition(const exposition&) = delete;

  /// Only ever grows. The name ends in _total.
  void counter(std::string_view name, std::string_view help, double value, const labels& with = {});
  /// A value that goes up and down.
  void gauge(std::string_view name, std::string_view help, double value, const labels& with = {});
  void histogram(std::string_view name, std::string_view help, const histogram_sample& sample, const labels& with = {});

  std::string text() const;
  /// The Content-Type that goes with text().
  static constexpr const char* content_type = "text/plain; version=0.0.4; charset=utf-8";

 private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

}  // namespace rowcall::tools
