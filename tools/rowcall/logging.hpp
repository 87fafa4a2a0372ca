#pragma once

#include <string>

namespace rowcall::tools {

/// Logs go to stderr, one line each, at this level and above. `level` is one of trace, debug, info, warn, error, off.
void start_logging(const std::string& level);

}  // namespace rowcall::tools
