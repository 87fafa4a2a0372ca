#pragma once

#include <chrono>

#include "engine/ports.hpp"

namespace rowcall::client {

/// Waits until the command has its receipt: listens on the bus, and looks at the database every `poll_interval` in case
/// the notice is lost. Errors: timed_out (the command stays valid and will be processed), gone (it was processed long
/// ago, and retention has removed its updates), connection_lost.
engine::result<engine::receipt> wait_receipt(engine::update_store& store, engine::bus& bus, const engine::session_id& session,
                                             engine::command_seq command, std::chrono::milliseconds timeout,
                                             std::chrono::milliseconds poll_interval = std::chrono::milliseconds{250});

}  // namespace rowcall::client
