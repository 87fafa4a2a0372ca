#pragma once

#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "engine/json.hpp"

/// Calling what belongs to a module: whatever it throws becomes a text.
namespace rowcall::engine::internal {

inline constexpr std::size_t reason_bytes_max = 2000;

/// Any bytes (what() of a module's exception, say) as UTF-8 without NUL and of bounded length: it goes into logs that
/// can hold nothing else.
inline std::string as_reason(std::string_view bytes) {
  bytes = bytes.substr(0, reason_bytes_max);
  if (simdjson::validate_utf8(bytes) && bytes.find('\0') == std::string_view::npos) return std::string{bytes};
  std::string text;
  text.reserve(bytes.size() + 16);
  for (std::size_t i = 0; i < bytes.size();) {
    const auto lead = static_cast<unsigned char>(bytes[i]);
    const std::size_t length = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    const auto character = bytes.substr(i, length);
    if (lead != 0 && character.size() == length && simdjson::validate_utf8(character)) {
      text += character;
      i += length;
    } else {
      text += "\xef\xbf\xbd";  // U+FFFD, the replacement character
      ++i;
    }
  }
  return text;
}

/// Runs what belongs to the module. Returns what it threw, or nothing.
template <class F>
std::optional<std::string> guarded(F&& f) {
  try {
    std::forward<F>(f)();
    return std::nullopt;
  } catch (const std::exception& e) {
    return as_reason(e.what());
  } catch (...) {
    return "an exception that is no std::exception";
  }
}

}  // namespace rowcall::engine::internal
