#include "gateway/internal/router.hpp"

#include <algorithm>
#include <array>
#include <span>

#include "gateway/internal/apis.hpp"
#include "gateway/internal/operation_api.hpp"
#include "gateway/internal/operator_api.hpp"

namespace rowcall::gateway::internal {
namespace {

using session_handler = void (*)(context&, const exchange_ptr&, const engine::session_id&);
using plain_handler = void (*)(context&, const exchange_ptr&);

void updates_or_stream(context& c, const exchange_ptr& e, const engine::session_id& session) {
  if (accepts(e->request().header("accept"), "text/event-stream")) return stream_session(c, e, session);
  get_updates(c, e, session);
}

struct session_route {
  std::string_view tail, method;
  session_handler handle;
};
/// Of /v1/sessions/{id}<tail>.
constexpr std::array<session_route, 5> session_routes{{{"", "GET", get_head},
                                                       {"/updates", "GET", updates_or_stream},
                                                       {"/snapshot", "GET", get_snapshot},
                                                       {"/commands", "POST", submit_commands},
                                                       {"/signals", "POST", send_signal}}};

/// Of /v1/operator/sessions/{id}<tail>.
constexpr std::array<session_route, 3> operator_session_routes{
    {{"", "GET", get_operator_session}, {"/log", "GET", get_operator_log}, {"/state", "GET", get_operator_state}}};

struct plain_route {
  std::string_view path, method;
  plain_handler handle;
};
constexpr std::array<plain_route, 18> plain_routes{{{"/v1/stream", "GET", stream_sessions},
                                                    {"/v1/chats", "GET", get_chats},
                                                    {"/v1/me", "GET", get_me},
                                                    {"/v1/session", "POST", begin_session},
                                                    {"/v1/session", "DELETE", end_session},
                                                    {"/v1/dev/login", "POST", development_login},
                                                    {"/v1/operator/status", "GET", get_status},
                                                    {"/v1/operator/overview", "GET", get_overview},
                                                    {"/v1/operator/sessions", "GET", get_ranks},
                                                    {"/v1/operator/retries", "GET", get_retries},
                                                    {"/v1/operator/dead-letters", "GET", get_letters},
                                                    {"/v1/operator/dead-letter", "GET", get_letter},
                                                    {"/v1/operator/dead-letters/redrive", "POST", redrive_letters},
                                                    {"/v1/operator/dead-letters/drop", "POST", drop_letters},
                                                    {"/healthz", "GET", get_health},
                                                    {"/readyz", "GET", get_readiness},
                                                    {"/metrics", "GET", get_metrics},
                                                    {"/openapi.json", "GET", get_openapi}}};

std::string allow_text(std::vector<std::string_view> methods) {
  std::string text = "OPTIONS";
  for (const auto method : methods) {
    text.append(", ").append(method);
    if (method == "GET") text += ", HEAD";
  }
  return text;
}

void refuse_method(exchange& e, const std::vector<std::string_view>& methods) {
  auto a = problem(405, "method-not-allowed", e.request().method.substr(0, 32) + " is not possible here");
  a.headers.emplace_back("Allow", allow_text(methods));
  e.answer(std::move(a));
}

void answer_options(exchange& e, const std::vector<std::string_view>& methods, bool is_cors) {
  http_answer a;
  a.status = 204;
  a.headers.emplace_back("Allow", allow_text(methods));
  if (is_cors) {
    a.headers.emplace_back("Access-Control-Allow-Methods", allow_text(methods));
    a.headers.emplace_back("Access-Control-Allow-Headers",
                           "Authorization, Content-Type, Idempotency-Key, Last-Event-ID");
    a.headers.emplace_back("Access-Control-Max-Age", "600");
  }
  e.answer(std::move(a));
}

/// Other origins may read answers when they are listed; the cookie is never theirs (SameSite, and no
/// Allow-Credentials).
bool add_cors(const context& c, exchange& e) {
  if (c.config.cors_origins.empty()) return false;
  e.add_header("Vary", "Origin");
  const std::string origin{e.request().header("origin")};
  const auto& known = c.config.cors_origins;
  if (origin.empty() || std::find(known.begin(), known.end(), origin) == known.end()) return false;
  e.add_header("Access-Control-Allow-Origin", origin);
  e.add_header("Access-Control-Expose-Headers", "Retry-After, WWW-Authenticate");
  return true;
}

bool route_session(context& c, const exchange_ptr& e, std::string_view path, std::string_view prefix,
                   std::span<const session_route> routes, bool is_cors) {
  if (!path.starts_with(prefix)) return false;
  path.remove_prefix(prefix.size());
  const auto slash = std::min(path.find('/'), path.size());
  const auto tail = path.substr(slash);
  std::vector<std::string_view> methods;
  for (const auto& route : routes) {
    if (route.tail != tail) continue;
    methods.push_back(route.method);
    if (route.method != e->request().method) continue;
    if (const auto session = session_of(path.substr(0, slash), *e)) route.handle(c, e, *session);
    return true;
  }
  if (methods.empty()) return false;
  if (e->request().method == "OPTIONS")
    answer_options(*e, methods, is_cors);
  else
    refuse_method(*e, methods);
  return true;
}

}  // namespace

void route(context& c, static_files& pages, const exchange_ptr& e) {
  const auto& request = e->request();
  const bool is_cors = add_cors(c, *e);
  if (route_session(c, e, request.path, "/v1/sessions/", session_routes, is_cors) ||
      route_session(c, e, request.path, "/v1/operator/sessions/", operator_session_routes, is_cors))
    return;
  std::vector<std::string_view> methods;
  for (const auto& route : plain_routes) {
    if (route.path != request.path) continue;
    methods.push_back(route.method);
    if (route.method == request.method) return route.handle(c, e);
  }
  if (methods.empty()) {
    if (request.method == "GET")
      if (auto page = pages.find(request)) return e->answer(*std::move(page));
    return e->answer(problem(404, "not-found", "there is nothing here"));
  }
  if (request.method == "OPTIONS") return answer_options(*e, methods, is_cors);
  refuse_method(*e, methods);
}

}  // namespace rowcall::gateway::internal
