#pragma once

#include "tools/loadgen/scenario.hpp"

namespace rowcall::tools::loadgen {

/// Users in rooms: every user joins a room of `room_users`, then posts, selects and reads in the given mix.
/// Errors: invalid_argument.
engine::result<std::unique_ptr<scenario>> make_chat_scenario(const scenario_options& options);

}  // namespace rowcall::tools::loadgen
