#pragma once

#include <string>
#include <vector>

#include "tests/checker/history.hpp"

namespace rowcall::chaos {

/// Adds to the history what the database holds: the logs, what their commands have sent, the status that the view
/// tells, and the chat module's tables beside the fold of the logs.
void read_database(const std::string& url, checker::history& h);

/// The dead letters, one line each: nothing that is submitted here deserves to be one.
std::vector<std::string> given_up(const std::string& url);

}  // namespace rowcall::chaos
