#pragma once

#include "gateway/internal/context.hpp"

/// The handlers, by what they are about. Each answers its exchange, now or later.
namespace rowcall::gateway::internal {

/// A session id out of the path, or an answer of 404.
std::optional<engine::session_id> session_of(std::string_view text, exchange& e);

// POST /v1/sessions/{id}/commands
void submit_commands(context& c, const exchange_ptr& e, const engine::session_id& session);
// POST /v1/sessions/{id}/signals
void send_signal(context& c, const exchange_ptr& e, const engine::session_id& session);
/// A signal that came from the bus: anybody's bytes.
void deliver_signal(context& c, const engine::session_id& session, const std::string& payload);
// GET /v1/sessions/{id}/updates, as a page
void get_updates(context& c, const exchange_ptr& e, const engine::session_id& session);
// GET /v1/sessions/{id}
void get_head(context& c, const exchange_ptr& e, const engine::session_id& session);
// GET /v1/sessions/{id}/snapshot
void get_snapshot(context& c, const exchange_ptr& e, const engine::session_id& session);
// GET /v1/chats
void get_chats(context& c, const exchange_ptr& e);
// GET /v1/sessions/{id}/updates as text/event-stream
void stream_session(context& c, const exchange_ptr& e, const engine::session_id& session);
// GET /v1/stream
void stream_sessions(context& c, const exchange_ptr& e);
// POST /v1/dev/login, POST and DELETE /v1/session, GET /v1/me
void development_login(context& c, const exchange_ptr& e);
void begin_session(context& c, const exchange_ptr& e);
void end_session(context& c, const exchange_ptr& e);
void get_me(context& c, const exchange_ptr& e);

/// Takes one of the user's rate, or answers 429.
bool take_rate(context& c, rate_limit& rate, const identity& who, exchange& e, double amount = 1);
std::chrono::sys_seconds wall_now();

/// True when the client takes gzip and it pays.
bool wants_gzip(const http_request& request, std::size_t bytes);
constexpr std::size_t gzip_always = 1 << 20;  ///< for wants_gzip: the size is not known yet
/// To be called on a reader thread: a JSON answer, compressed when `gzip` says that the client takes it.
http_answer packed_json(std::string body, bool gzip);

}  // namespace rowcall::gateway::internal
