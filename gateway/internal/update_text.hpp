#pragma once

#include <string>

#include "engine/types.hpp"

/// How updates are written for clients.
namespace rowcall::gateway::internal {

/// "2025-05-26T07:00:00.123456Z"
std::string time_text(engine::db_time t);

/// `{"session":…,"seq":…,"command_seq":…,"type":…,"data":{…},"at":"…"}`, in one line.
std::string update_text(const engine::session_id& session, const engine::update_row& update);

}  // namespace rowcall::gateway::internal
