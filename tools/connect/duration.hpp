#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "engine/result.hpp"

namespace rowcall::tools {

/// Reads "250ms", "10s", "5m", "2h", "7d"; fractions are fine ("0.5s"). Only 0 needs no unit.
/// Errors: invalid_argument, also for negative values and for more than 100 years.
engine::result<std::chrono::milliseconds> parse_duration(std::string_view text);

/// The inverse, in the largest unit that is exact: "7d", "1500ms".
std::string format_duration(std::chrono::milliseconds d);

/// For people, two significant parts at most: "3 ms", "4.2 s", "5 min 10 s", "2 d 3 h".
std::string describe_duration(std::chrono::milliseconds d);

}  // namespace rowcall::tools
