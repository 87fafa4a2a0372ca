#include "tests/chaos/recovery.hpp"

#include <algorithm>
#include <sstream>

namespace rowcall::chaos {

double median_of(std::vector<double> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

std::vector<std::string> slow_kinds(const std::vector<recovery_row>& rows, double bounds, std::size_t measured_min) {
  std::vector<std::string> slow;
  std::vector<double> all;  // in bounds
  for (const auto& row : rows) {
    const auto bound = static_cast<double>(row.bound.count());
    for (const auto took : row.recovery_ms) all.push_back(took / bound);
    const auto median = median_of(row.recovery_ms);
    if (row.recovery_ms.size() < measured_min || median <= bounds * bound) continue;
    std::ostringstream text;
    text << "half of " << row.what << " took " << static_cast<long>(median) << " ms or more, promised are "
         << row.bound.count();
    slow.push_back(text.str());
  }
  if (all.size() >= measured_min && median_of(all) > bounds) {
    std::ostringstream text;
    text << "half of all recoveries took " << median_of(all) << " times what is promised, or more";
    slow.push_back(text.str());
  }
  return slow;
}

}  // namespace rowcall::chaos
