#pragma once

#include <string>
#include <string_view>

#include "engine/json.hpp"
#include "engine/result.hpp"
#include "engine/types.hpp"

/// What both modules read from the data of commands. An error's message is the reason of the rejection.
namespace rowcall::engine::chat::internal {

/// The member "chat_id": the id of a chat's session.
result<session_id> chat_id_at(const json::object& data);
/// The member "name": a chat's name.
result<std::string_view> name_at(const json::object& data);
/// The member "text": a message's text.
result<std::string_view> text_at(const json::object& data);
/// The session of a user: `user-<user id>`.
result<session_id> user_session(std::string_view user_id);

/// A member that an update or a snapshot of these modules must have. Throws when it has not.
std::string_view required(const json::object& data, std::string_view key);

}  // namespace rowcall::engine::chat::internal
