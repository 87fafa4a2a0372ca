#pragma once

#include <string>
#include <vector>

#include "tests/checker/history.hpp"

namespace rowcall::chaos {

/// Adds to the history what the database holds: the logs, what their commands have sent, the status that the view
/// tells, and the chat module's tables beside the fold of the logs.
void read_database(const std::string& url, checker::history& h);

}  // namespace rowcall::chaos
