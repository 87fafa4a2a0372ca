#include "tools/connect/duration.hpp"

#include <array>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <utility>

namespace rowcall::tools {
namespace {

constexpr std::array<std::pair<std::string_view, std::int64_t>, 5> units{
    {{"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}, {"ms", 1}}};
constexpr double milliseconds_max = 100.0 * 366 * 86'400'000;

}  // namespace

engine::result<std::chrono::milliseconds> parse_duration(std::string_view text) {
  const auto bad = [&] {
    std::string message{text};
    message += " is not a duration: write a number and a unit, like 250ms, 10s, 5m, 2h or 7d";
    return engine::fail(engine::errc::invalid_argument, std::move(message));
  };
  double amount = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), amount, std::chars_format::fixed);
  if (code != std::errc{} || end == text.data()) return bad();
  auto unit = text.substr(static_cast<std::size_t>(end - text.data()));
  if (unit.empty() && amount == 0) return std::chrono::milliseconds{0};
  for (const auto& [name, factor] : units) {
    if (unit != name) continue;
    const double total = amount * static_cast<double>(factor);
    if (!(total >= 0) || total > milliseconds_max) return bad();
    return std::chrono::milliseconds{static_cast<std::int64_t>(total + 0.5)};
  }
  return bad();
}

std::string format_duration(std::chrono::milliseconds d) {
  if (d.count() == 0) return "0s";
  for (const auto& [name, factor] : units)
    if (d.count() % factor == 0) return std::to_string(d.count() / factor) + std::string{name};
  return std::to_string(d.count()) + "ms";
}

std::string describe_duration(std::chrono::milliseconds d) {
  const auto ms = d.count();
  if (ms < 1'000) return std::to_string(ms) + " ms";
  if (ms < 60'000) {
    char text[32];
    std::snprintf(text, sizeof text, "%.1f s", static_cast<double>(ms) / 1000);
    return text;
  }
  const auto pair = [](std::int64_t big, const char* big_unit, std::int64_t small, const char* small_unit) {
    auto text = std::to_string(big);
    text.append(" ").append(big_unit);
    if (small != 0) text.append(" ").append(std::to_string(small)).append(" ").append(small_unit);
    return text;
  };
  const auto s = ms / 1'000;
  if (s < 3'600) return pair(s / 60, "min", s % 60, "s");
  if (s < 86'400) return pair(s / 3'600, "h", s / 60 % 60, "min");
  return pair(s / 86'400, "d", s / 3'600 % 24, "h");
}

}  // namespace rowcall::tools
