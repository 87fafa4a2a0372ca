#include <algorithm>

#include "gateway/internal/apis.hpp"
#include "gateway/internal/gzip.hpp"
#include "gateway/internal/update_text.hpp"

namespace rowcall::gateway::internal {
namespace {

namespace json = engine::json;

constexpr std::string_view cookie_name = "rowcall_token";
constexpr std::chrono::hours development_lifetime{12};
constexpr std::size_t user_name_bytes_max = 32;

std::string_view cookie_of(const http_request& request) {
  auto rest = request.header("cookie");
  while (!rest.empty()) {
    const auto end = std::min(rest.find(';'), rest.size());
    auto item = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    while (item.starts_with(' ')) item.remove_prefix(1);
    if (item.size() > cookie_name.size() && item.starts_with(cookie_name) && item[cookie_name.size()] == '=')
      return item.substr(cookie_name.size() + 1);
  }
  return {};
}

std::string bearer_of(const http_request& request) {
  const auto header = request.header("authorization");
  constexpr std::string_view scheme = "Bearer ";
  if (header.size() <= scheme.size()) return {};
  auto given = std::string{header.substr(0, scheme.size())};
  std::transform(given.begin(), given.end(), given.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; });
  return given == "bearer " ? std::string{header.substr(scheme.size())} : std::string{};
}

void refuse_token(context& c, exchange& e, const std::string& why) {
  ++c.counters.tokens_refused;
  // Guessing is slowed down by address; the answer stays the same, so that nothing is learned from it.
  if (!c.login_rate.take(e.request().address, 1, std::chrono::steady_clock::now()))
    return e.answer(problem_later(429, "rate-limited", "too many refused tokens from this address", 1));
  auto a = problem(401, "unauthorized", why);
  a.headers.emplace_back("WWW-Authenticate", "Bearer realm=\"rowcall\", error=\"invalid_token\"");
  e.answer(std::move(a));
}

/// The page's own origin, as browsers name it.
bool is_own_origin(const context& c, const http_request& request, std::string_view origin) {
  if (!c.config.public_origin.empty()) return origin == c.config.public_origin;
  const std::string host{request.header("host")};
  return origin == "http://" + host || origin == "https://" + host;
}

std::string patterns_text(const std::vector<std::string>& patterns) {
  json::writer w;
  w.begin_array();
  for (const auto& p : patterns) w.string(p);
  w.end_array();
  return std::move(w).str();
}

std::string me_text(const context& c, const identity& who, const std::string& token = {}) {
  json::writer w;
  w.begin_object();
  if (who.user.empty())
    w.key("user").null().key("session").null();
  else
    w.key("user").string(who.user).key("session").string("user-" + who.user);
  w.key("expires_at").string(time_text(who.expires_at)).key("operator").boolean(who.is_operator);
  w.key("development").boolean(c.config.development);
  w.key("submit").raw(patterns_text(who.submit)).key("follow").raw(patterns_text(who.follow));
  if (!token.empty()) w.key("token").string(token);
  w.end_object();
  return std::move(w).str();
}

std::string cookie_text(const context& c, const std::string& token, std::chrono::seconds lifetime) {
  std::string text{cookie_name};
  text += '=' + token +
          "; Path=/; HttpOnly; SameSite=Strict; Max-Age=" + std::to_string(std::max<std::int64_t>(lifetime.count(), 0));
  if (c.config.cookie_secure && !c.config.development) text += "; Secure";
  return text;
}

}  // namespace

std::chrono::sys_seconds wall_now() {
  return std::chrono::time_point_cast<std::chrono::seconds>(std::chrono::system_clock::now());
}

std::optional<identity> identify(context& c, exchange& e) {
  auto token = bearer_of(e.request());
  const bool is_cookie = token.empty();
  if (is_cookie) token = cookie_of(e.request());
  if (token.empty()) {
    auto a = problem(401, "unauthorized", "a token is needed: Authorization: Bearer …");
    a.headers.emplace_back("WWW-Authenticate", "Bearer realm=\"rowcall\"");
    e.answer(std::move(a));
    return std::nullopt;
  }
  auto who = c.keys->verify(token, wall_now());
  if (!who) {
    refuse_token(c, e, who.error().message);
    return std::nullopt;
  }
  // A cookie goes along with whatever any page makes the browser send; a page's own requests say where they come from.
  if (is_cookie && e.request().method != "GET" && !is_own_origin(c, e.request(), e.request().header("origin"))) {
    e.answer(problem(403, "cross-origin", "with the cookie, only pages of this gateway may change something"));
    return std::nullopt;
  }
  return *std::move(who);
}

bool take_rate(context& c, rate_limit& rate, const identity& who, exchange& e, double amount) {
  // Services have no user; all of a key's count as one.
  const auto& name = who.user.empty() ? "key:" + who.key : who.user;
  if (rate.take(name, amount, std::chrono::steady_clock::now())) return true;
  ++c.counters.rate_limited;
  e.answer(problem_later(429, "rate-limited", "too many requests; slow down", 1));
  return false;
}

void development_login(context& c, const exchange_ptr& e) {
  if (!c.config.development) return e->answer(problem(404, "not-found", "there is nothing here"));
  if (!c.login_rate.take(e->request().address, 1, std::chrono::steady_clock::now()))
    return e->answer(problem_later(429, "rate-limited", "too many logins from this address", 1));
  const auto body = c.parser.parse_object(e->request().body);
  if (!body) return e->answer(problem(400, "bad-request", "expected {\"name\":\"…\"}: " + body.error().message));
  const auto name = json::string_at(*body, "name");
  if (!name || name->empty() || name->size() > user_name_bytes_max ||
      !engine::session_id::parse("user-" + std::string{*name}))
    return e->answer(problem(422, "invalid-name", "a name has 1 to 32 of A-Z a-z 0-9 _ -"));
  // Whoever is called like his own page is told: a page of elsewhere may not log the user in as somebody else.
  if (const auto origin = e->request().header("origin"); !origin.empty() && !is_own_origin(c, e->request(), origin))
    return e->answer(problem(403, "cross-origin", "only pages of this gateway may log in"));
  token_request request;
  request.user = *name;
  json::value flag;
  request.is_operator = body->at_key("operator").get(flag) == simdjson::SUCCESS && json::to_text(flag) == "true";
  request.lifetime = development_lifetime;
  const auto now = wall_now();
  auto claims = claims_of(request, now);
  if (!claims) return e->answer(problem_of(claims.error()));
  auto token = c.keys->sign(*claims, {});
  if (!token) return e->answer(problem_of(token.error()));
  auto who = identity_of(*claims, now);
  auto a = json_answer(200, me_text(c, *who, *token));
  a.headers.emplace_back("Set-Cookie", cookie_text(c, *token, request.lifetime));
  e->answer(std::move(a));
}

void begin_session(context& c, const exchange_ptr& e) {
  const auto token = bearer_of(e->request());
  if (token.empty()) return e->answer(problem(401, "unauthorized", "send the token as Authorization: Bearer …"));
  if (const auto origin = e->request().header("origin"); !origin.empty() && !is_own_origin(c, e->request(), origin))
    return e->answer(problem(403, "cross-origin", "only pages of this gateway may set its cookie"));
  const auto who = identify(c, *e);
  if (!who) return;
  auto a = json_answer(200, me_text(c, *who));
  a.headers.emplace_back("Set-Cookie", cookie_text(c, token, who->expires_at - wall_now()));
  e->answer(std::move(a));
}

void end_session(context& c, const exchange_ptr& e) {
  if (const auto origin = e->request().header("origin"); !origin.empty() && !is_own_origin(c, e->request(), origin))
    return e->answer(problem(403, "cross-origin", "only pages of this gateway may clear its cookie"));
  http_answer a;
  a.status = 204;
  a.headers.emplace_back("Set-Cookie", cookie_text(c, "", std::chrono::seconds{0}));
  e->answer(std::move(a));
}

void get_me(context& c, const exchange_ptr& e) {
  if (const auto who = identify(c, *e)) e->answer(json_answer(200, me_text(c, *who)));
}

bool wants_gzip(const http_request& request, std::size_t bytes) {
  return bytes >= gzip_bytes_min && accepts(request.header("accept-encoding"), "gzip");
}

http_answer packed_json(std::string body, bool takes_gzip) {
  const bool pays = takes_gzip && body.size() >= gzip_bytes_min;
  auto a = json_answer(200, pays ? gzip(body, 1) : std::move(body));
  a.headers.emplace_back("Vary", "Accept-Encoding");
  if (pays) a.headers.emplace_back("Content-Encoding", "gzip");
  return a;
}

}  // namespace rowcall::gateway::internal
