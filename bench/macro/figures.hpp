#pragma once

#include <cstdio>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace rowcall::bench {

double median(std::vector<double> values);

/// What a run measures: values by figure, one for each round, and curves for the report. Tells each value on stderr as
/// it comes.
class figures {
 public:
  void add(const std::string& figure, double value);
  bool has(const std::string& figure) const { return values_.count(figure) > 0; }
  /// The figure must be there (assertion).
  const std::vector<double>& of(const std::string& figure) const;

  using points = std::vector<std::pair<double, double>>;
  /// A curve of the report, e.g. throughput over time. Curves of one plot share its axes' names.
  void add_curve(const std::string& plot, const std::string& x, const std::string& y, const std::string& curve,
                 points p);

  /// One JSON line for each figure, with its targets and whether they were reached, then one for each curve. `head` is
  /// the beginning of each figure's line: members that say what was measured on what.
  void print(std::FILE* out, const std::string& head) const;

 private:
  struct curve {
    std::string plot, x, y, name;
    points p;
  };
  std::map<std::string, std::vector<double>> values_;
  std::vector<curve> curves_;
};

}  // namespace rowcall::bench
