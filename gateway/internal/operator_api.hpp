#pragma once

#include "gateway/internal/context.hpp"

/// What operators ask, by the console (web/console) or by hand. Each needs a token with the claim `operator`.
///
/// Reads run one at a time on a thread of their own, each is bounded (rows, bytes, time), and the page that asks every
/// two seconds is answered from memory: see docs/console.md.
namespace rowcall::gateway::internal {

// GET /v1/operator/status
void get_status(context& c, const exchange_ptr& e);
// GET /v1/operator/overview
void get_overview(context& c, const exchange_ptr& e);
// GET /v1/operator/sessions?order=hottest|stuck
void get_ranks(context& c, const exchange_ptr& e);
// GET /v1/operator/sessions/{id}, /log, /state
void get_operator_session(context& c, const exchange_ptr& e, const engine::session_id& session);
void get_operator_log(context& c, const exchange_ptr& e, const engine::session_id& session);
void get_operator_state(context& c, const exchange_ptr& e, const engine::session_id& session);
// GET /v1/operator/retries, /dead-letters, /dead-letter
void get_retries(context& c, const exchange_ptr& e);
void get_letters(context& c, const exchange_ptr& e);
void get_letter(context& c, const exchange_ptr& e);
// POST /v1/operator/dead-letters/redrive, /drop
void redrive_letters(context& c, const exchange_ptr& e);
void drop_letters(context& c, const exchange_ptr& e);

/// Looks at the database now and then, for the plots: every 2 s while somebody watches, every 10 s otherwise. To be
/// called about every second.
void sample_console(context& c, std::chrono::steady_clock::time_point now);

/// Who asks, when he is an operator; answers 401 or 403 by itself otherwise.
std::optional<identity> identify_operator(context& c, exchange& e);
/// Runs on the operators' thread for an operator who was let in, and answers.
void work_for_operator(context& c, const exchange_ptr& e, std::function<http_answer(reader_stores&)> work);
/// The same, with the check of who asks.
void read_for_operator(context& c, const exchange_ptr& e, std::function<http_answer(reader_stores&)> work);

/// An operator is told what went wrong, also when it was not foreseen.
http_answer operator_problem(const engine::error& error);

/// A query parameter. Nothing when it is missing; 400 and false when it is malformed.
bool read_number(const exchange_ptr& e, std::string_view name, std::int64_t min, std::optional<std::int64_t>& out);
/// `limit`: from 1, larger ones are taken as `max`.
bool read_limit(const exchange_ptr& e, std::size_t max, std::size_t& limit);
/// The beginning of a session's id: of its characters, 64 at most.
bool is_prefix(std::string_view text);

}  // namespace rowcall::gateway::internal
