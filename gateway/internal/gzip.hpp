#pragma once

#include <string>
#include <string_view>

namespace rowcall::gateway::internal {

/// Below this, compressing costs more than it saves.
constexpr std::size_t gzip_bytes_min = 1'024;

/// The gzip format (RFC 1952). `level` 1 (fast) to 9.
std::string gzip(std::string_view text, int level);

}  // namespace rowcall::gateway::internal
