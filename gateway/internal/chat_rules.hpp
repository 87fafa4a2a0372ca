#pragma once

#include <string>
#include <string_view>

#include "engine/json.hpp"
#include "engine/result.hpp"
#include "engine/types.hpp"
#include "gateway/access.hpp"

/// What the gateway has to know about chats and users (engine/chat/README.md). Pure.
namespace rowcall::gateway::internal {

/// The data (an object) of a command as it is stored: a chat's `sender` is the bearer of the token, whatever the body
/// said. Errors: invalid_argument with what is not allowed (told as 403).
engine::result<std::string> command_data(const identity& who, const engine::session_id& session, std::string_view type,
                                         const engine::json::value& data);

/// The user who is no member of the chat any more after this update; empty otherwise.
std::string member_left_by(const engine::session_id& session, const engine::update_row& update);

}  // namespace rowcall::gateway::internal
