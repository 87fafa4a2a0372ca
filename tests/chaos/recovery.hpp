#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

/// What was measured after the faults, and whether it is as fast as promised: pure, no I/O.
namespace rowcall::chaos {

/// How fast it went on after one kind of fault.
struct recovery_row {
  std::string what;
  std::size_t faults = 0;  ///< all of this kind, those of episodes with several included
  std::chrono::milliseconds bound{0};
  std::vector<double> recovery_ms;  ///< of those that were measured alone
};

/// The upper one of the two in the middle; 0 of nothing.
double median_of(std::vector<double> values);

/// A line for each kind whose median is above so many times its bound, and one when that of all recoveries together is, each
/// measured in its own bound. A kind measured less often than `measured_min` says nothing by itself: a busy machine is
/// late now and then, not half of the time and that much.
std::vector<std::string> slow_kinds(const std::vector<recovery_row>& rows, double bounds, std::size_t measured_min = 3);

}  // namespace rowcall::chaos
