#pragma once

#include <string>

#include "tools/loadgen/runner.hpp"

/// What a person sees while a run goes on. Pure: progress to text.
namespace rowcall::tools::loadgen {

/// One line, for a pipe.
std::string progress_line(const progress& p);

/// A small table, for a terminal of so many columns (0: not known); `redraw`: goes up over the table written before.
/// What is wider is cut: a line that wraps would be two, and the way up too short.
std::string progress_table(const progress& p, bool redraw, std::size_t columns);

}  // namespace rowcall::tools::loadgen
