#pragma once

#include <set>
#include <string_view>

namespace rowcall::simulation {

/// Which lines of the engine are broken at the moment. Only the copies that broken_lines.txt makes of its sources ask.
inline thread_local std::set<std::string_view> broken_lines;

inline bool is_broken(std::string_view line) { return broken_lines.contains(line); }

}  // namespace rowcall::simulation
