#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "engine/ports.hpp"
#include "engine/result.hpp"
#include "gateway/internal/http.hpp"

/// Answers that many handlers give.
namespace rowcall::gateway::internal {

http_answer json_answer(int status, std::string body);

/// A problem document (RFC 9457). `name` becomes the type "/problems/<name>"; `members`: more members as JSON text,
/// each with a leading comma (`,"session":"chat-1"`).
http_answer problem(int status, std::string_view name, std::string detail, std::string_view members = {});
/// The same with a Retry-After.
http_answer problem_later(int status, std::string_view name, std::string detail, int retry_after_s);
/// The same with a wait that may be shorter than a second: `retry_after_ms` says it exactly. 0: it is not known.
http_answer problem_in(int status, std::string_view name, std::string detail, std::chrono::milliseconds wait);

/// A read that nobody is answered for. Not of what ends by itself: that the database is away is told elsewhere.
void log_failure(const engine::log_sink& log, std::string_view event, const engine::error& error);

/// The answer where retention has removed what was asked for: it names the snapshot to go on from, the session's last one.
http_answer gone(const engine::session_id& session, const std::optional<engine::snapshot_row>& snapshot);

/// The answer where a position lies beyond the end of a session's log: of another database, or of another session.
http_answer beyond_end(const engine::session_id& session, std::int64_t last_seq);

/// The answer for a store's or submitter's error.
http_answer problem_of(const engine::error& error);

}  // namespace rowcall::gateway::internal
