#include "gateway/internal/answers.hpp"

#include <algorithm>

#include "engine/json.hpp"

namespace rowcall::gateway::internal {

http_answer json_answer(int status, std::string body) {
  http_answer a;
  a.status = status;
  a.content_type = "application/json";
  a.body = std::move(body);
  a.headers.emplace_back("Cache-Control", "no-store");
  return a;
}

http_answer problem(int status, std::string_view name, std::string detail, std::string_view members) {
  engine::json::writer w;
  w.begin_object().key("type").string("/problems/" + std::string{name}).key("title").string(reason_of(status));
  w.key("status").number(static_cast<std::int64_t>(status)).key("detail").string(detail).end_object();
  auto a = json_answer(status, std::move(w).str());
  a.body.insert(a.body.size() - 1, members);
  a.content_type = "application/problem+json";
  return a;
}

http_answer problem_later(int status, std::string_view name, std::string detail, int retry_after_s) {
  auto a = problem(status, name, std::move(detail));
  a.headers.emplace_back("Retry-After", std::to_string(retry_after_s));
  return a;
}

http_answer problem_in(int status, std::string_view name, std::string detail, std::chrono::milliseconds wait) {
  const auto seconds = std::max<std::int64_t>(1, std::chrono::ceil<std::chrono::seconds>(wait).count());
  auto a = problem_later(status, name, std::move(detail), static_cast<int>(seconds));
  if (wait.count() > 0) a.body.insert(a.body.size() - 1, ",\"retry_after_ms\":" + std::to_string(wait.count()));
  return a;
}

void log_failure(const engine::log_sink& log, std::string_view event, const engine::error& error) {
  if (engine::is_transient(error.code)) return;
  log(engine::log_level::error, "a read failed: " + (error.quotes_data ? "a row was refused" : error.message),
      {event, {}, {}, {}});
}

http_answer gone(const engine::session_id& session, const std::optional<engine::snapshot_row>& snapshot) {
  return problem(410, "gone", "retention removed these updates: take the snapshot, and go on after its seq",
                 ",\"session\":\"" + session.str() + "\",\"snapshot\":\"/v1/sessions/" + session.str() +
                     "/snapshot\",\"snapshot_seq\":" + std::to_string(snapshot ? snapshot->seq.value : 0));
}

http_answer beyond_end(const engine::session_id& session, std::int64_t last_seq) {
  return problem(400, "bad-request", "after lies beyond the end of " + session.str(),
                 ",\"session\":\"" + session.str() + "\",\"last_seq\":" + std::to_string(last_seq));
}

http_answer problem_of(const engine::error& error) {
  using engine::errc;
  switch (error.code) {
    case errc::invalid_argument:
      return problem(422, "invalid-command", error.message);
    case errc::busy:
      return problem_later(503, "busy", error.message, 1);
    case errc::commit_in_doubt:
      return problem_later(
          503, "in-doubt",
          "the connection was lost during COMMIT: the command may be stored. With an Idempotency-Key a "
          "repetition is safe",
          1);
    case errc::gone:
      return problem(410, "gone", error.message);
    case errc::not_found:
      return problem(404, "not-found", error.message);
    case errc::connection_lost:
    case errc::unavailable:
    case errc::timed_out:
    case errc::serialization_failure:
      return problem_later(503, "unavailable", "the database does not answer; try again", 1);
    default: {
      // The text of an unforeseen error may say more than a stranger should know.
      auto a = problem(500, "internal", "an error that was not foreseen; it is in the gateway's log");
      a.cause = error;
      return a;
    }
  }
}

}  // namespace rowcall::gateway::internal
