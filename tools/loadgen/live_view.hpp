#pragma once

#include <string>

#include "tools/loadgen/runner.hpp"

/// What a person sees while a run goes on. Pure: progress to text.
namespace rowcall::tools::loadgen {

/// One line, for a pipe.
std::string progress_line(const progress& p);

/// A small table, for a terminal; `redraw`: goes up over the table written before.
std::string progress_table(const progress& p, bool redraw);

}  // namespace rowcall::tools::loadgen
