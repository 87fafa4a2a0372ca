#include <algorithm>

#include "gateway/internal/apis.hpp"

/// POST /v1/sessions/{id}/signals: who types, who is here. Nothing of it is stored.
namespace rowcall::gateway::internal {
namespace {

namespace json = engine::json;

constexpr std::size_t type_bytes_max = 32;

bool is_signal_type(std::string_view type) {
  return !type.empty() && type.size() <= type_bytes_max && type != "left_stream" &&
         std::all_of(type.begin(), type.end(), [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; });
}

void publish(context& c, const exchange_ptr& e, const engine::session_id& session, const std::string& text) {
  ++c.counters.signals;
  // Our own streams hear it here, the others' by the bus; ours ignore what comes back from there.
  c.feeds->signal(session, text);
  if (c.ports.signals != nullptr)
    c.ports.signals->publish(session, "{\"gateway\":\"" + c.gateway_id + "\",\"signal\":" + text + '}');
  e->answer(json_answer(202, "{}"));
}

}  // namespace

void deliver_signal(context& c, const engine::session_id& session, const std::string& payload) {
  if (c.feeds->find(session) == nullptr) return;  // nobody here follows it
  const auto o = c.parser.parse_object(payload);
  if (!o || json::string_at(*o, "gateway") == c.gateway_id) return;
  json::value signal;
  if (o->at_key("signal").get(signal) != simdjson::SUCCESS || !signal.is_object() ||
      json::string_at(json::object{signal}, "session") != session.str())
    return;
  c.feeds->signal(session, json::to_text(signal));
}

void send_signal(context& c, const exchange_ptr& e, const engine::session_id& session) {
  const auto who = identify(c, *e);
  if (!who) return;
  const auto p = may_follow(*who, session);
  if (p == permission::denied || who->user.empty())
    return e->answer(problem(403, "forbidden", "this token does not allow to follow " + session.str(),
                             ",\"session\":\"" + session.str() + "\""));
  const auto& request = e->request();
  if (request.body.size() > c.config.signal_bytes_max)
    return e->answer(
        problem(413, "body-too-large", "a signal has at most " + std::to_string(c.config.signal_bytes_max) + " bytes"));
  if (!accepts(request.header("content-type"), "application/json"))
    return e->answer(problem(415, "unsupported-media-type", "signals are sent as application/json"));
  const auto body = c.parser.parse_object(request.body);
  if (!body) return e->answer(problem(400, "bad-request", "the body is no JSON object: " + body.error().message));
  const auto type = json::string_at(*body, "type");
  if (!type || !is_signal_type(*type))
    return e->answer(problem(422, "invalid-signal", "\"type\" is 1 to 32 of a-z _, and not left_stream"));
  json::value data;
  const bool has_data = body->at_key("data").get(data) == simdjson::SUCCESS;
  if (has_data && !data.is_object()) return e->answer(problem(422, "invalid-signal", "\"data\" must be an object"));
  if (!take_rate(c, c.signal_rate, *who, *e)) return;
  json::writer w;
  w.begin_object().key("session").string(session.str()).key("type").string(*type).key("from").string(who->user);
  w.key("data").raw(has_data ? json::to_text(data) : "{}").end_object();
  auto text = std::move(w).str();
  if (p == permission::granted) return publish(c, e, session, text);
  const bool posted = c.read(
      [user = who->user, session](reader_stores& stores) { return stores.chats->memberships(user, {session.str()}); },
      [&c, e, session, text = std::move(text)](engine::result<std::vector<std::string>> chats) {
        if (!chats) return e->answer(problem_of(chats.error()));
        if (chats->empty())
          return e->answer(problem(403, "forbidden", "you are no member of " + session.str(),
                                   ",\"session\":\"" + session.str() + "\""));
        publish(c, e, session, text);
      });
  if (!posted) e->answer(too_busy());
}

}  // namespace rowcall::gateway::internal
