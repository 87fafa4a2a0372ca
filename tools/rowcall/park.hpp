#pragma once

#include <string>

#include "tools/rowcall/exit_code.hpp"
#include "tools/rowcall/options.hpp"

namespace rowcall::tools {

/// Makes dead letters of all commands that wait in sessions of a kind whose module is gone. Nothing is lost: each can
/// be redriven when there is an engine for it again. Refused while a running engine serves the kind.
exit_code park(const global_options& global, const std::string& kind);

}  // namespace rowcall::tools
