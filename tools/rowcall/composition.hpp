#pragma once

#include "engine/ports.hpp"
#include "tools/rowcall/options.hpp"
#include "tools/rowcall/stop_signal.hpp"

/// What the long-running commands share.
namespace rowcall::tools {

/// Waits for a database with the right schema: a service may start before its database does. An error is final;
/// `stop` ends the wait with success.
engine::result<void> await_database(const global_options& global, stop_signal& stop);

}  // namespace rowcall::tools
