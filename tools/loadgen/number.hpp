#pragma once

#include <charconv>
#include <cmath>
#include <optional>
#include <string_view>

namespace rowcall::tools::loadgen {

/// All of `text` as a finite number, or nothing. Independent of the locale.
inline std::optional<double> to_number(std::string_view text) {
  double value = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (ec != std::errc{} || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

}  // namespace rowcall::tools::loadgen
