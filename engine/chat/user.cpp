#include "engine/chat/user.hpp"

#include "engine/chat/internal/input.hpp"

namespace rowcall::engine::chat {
namespace {

using internal::required;

/// Sends the command on to the chat: `{<key>, "sender", "request"}`, and says so in the user's log.
decision forward(const command& c, const session_id& chat_id, std::string_view key = {}, std::string_view text = {}) {
  json::writer data;
  data.begin_object();
  if (!key.empty()) data.key(key).string(text);
  data.key("sender").string(c.session.name()).key("request").number(c.seq.value).end_object();
  json::writer sent;
  sent.begin_object().key("chat_id").string(chat_id.str()).key("request").number(c.seq.value);
  sent.key("type").string(c.type).end_object();
  decision d;
  d.emit("request_sent", std::move(sent).str()).send(chat_id, c.type, std::move(data).str());
  return d;
}

/// The chat that the command names, or else the selected one.
result<session_id> target_of(const user::state& s, const command& c) {
  if (c.data.at_key("chat_id").error() != simdjson::NO_SUCH_FIELD) return internal::chat_id_at(c.data);
  if (s.selected.empty()) return engine::fail(errc::invalid_argument, "no \"chat_id\" given and no chat selected");
  return session_id::parse(s.selected);
}

decision create(const user::state& s, const command& c) {
  const auto name = internal::name_at(c.data);
  if (!name) return decision::reject(name.error().message);
  if (s.chats.size() >= user::chats_max)
    return decision::reject("you are in " + std::to_string(user::chats_max) + " chats, which is the limit");
  // Without an id: one that no other command of any user gives.
  auto id = c.data.at_key("chat_id").error() != simdjson::NO_SUCH_FIELD
                ? internal::chat_id_at(c.data)
                : session_id::parse("chat-" + std::string{c.session.name()} + '-' + std::to_string(c.seq.value));
  if (!id) return decision::reject(id.error().message);
  return forward(c, *id, "name", *name);
}

decision join(const user::state& s, const command& c) {
  const auto id = internal::chat_id_at(c.data);
  if (!id) return decision::reject(id.error().message);
  if (s.chats.size() >= user::chats_max && !s.chats.contains(id->str()))
    return decision::reject("you are in " + std::to_string(user::chats_max) + " chats, which is the limit");
  return forward(c, *id);
}

decision leave(const user::state&, const command& c) {
  const auto id = internal::chat_id_at(c.data);
  if (!id) return decision::reject(id.error().message);
  return forward(c, *id);
}

decision rename(const user::state& s, const command& c) {
  const auto id = target_of(s, c);
  if (!id) return decision::reject(id.error().message);
  const auto name = internal::name_at(c.data);
  if (!name) return decision::reject(name.error().message);
  return forward(c, *id, "name", *name);
}

decision post(const user::state& s, const command& c) {
  const auto id = target_of(s, c);
  if (!id) return decision::reject(id.error().message);
  const auto text = internal::text_at(c.data);
  if (!text) return decision::reject(text.error().message);
  return forward(c, *id, "text", *text);
}

decision select(const user::state& s, const command& c) {
  const auto id = internal::chat_id_at(c.data);
  if (!id) return decision::reject(id.error().message);
  if (!s.chats.contains(id->str())) return decision::reject("you are no member of " + id->str() + ": join it first");
  json::writer w;
  w.begin_object().key("chat_id").string(id->str()).end_object();
  decision d;
  d.emit("chat_selected", std::move(w).str());
  return d;
}

/// A note from a chat: `{"chat_id", …, "request"}`, copied into the user's log with the members named in `keys`.
decision noted(const command& c, std::initializer_list<std::string_view> keys) {
  const auto id = internal::chat_id_at(c.data);
  if (!id) return decision::reject(id.error().message);
  json::writer w;
  w.begin_object().key("chat_id").string(id->str());
  for (const auto key : keys) {
    const auto text = json::string_at(c.data, key);
    if (!text) return decision::reject("the string \"" + std::string{key} + "\" is missing");
    w.key(key).string(*text);
  }
  if (const auto request = json::int_at(c.data, "request")) w.key("request").number(*request);
  w.end_object();
  decision d;
  d.emit(c.type, std::move(w).str());
  return d;
}

decision joined(const user::state& s, const command& c) {
  const auto id = internal::chat_id_at(c.data);
  if (!id) return decision::reject(id.error().message);
  if (s.chats.size() < user::chats_max || s.chats.contains(id->str())) return noted(c, {"name"});
  // Many joins were under way at once: step out again.
  json::writer data;
  data.begin_object().key("sender").string(c.session.name()).end_object();
  auto d = decision::reject("you are in " + std::to_string(user::chats_max) + " chats, which is the limit");
  d.send(*id, "leave_chat", std::move(data).str());
  return d;
}

}  // namespace

decision user::decide(const state& s, const command& c) {
  if (c.type == "post_message") return post(s, c);
  if (c.type == "select_chat") return select(s, c);
  if (c.type == "create_chat") return create(s, c);
  if (c.type == "join_chat") return join(s, c);
  if (c.type == "leave_chat") return leave(s, c);
  if (c.type == "rename_chat") return rename(s, c);
  if (c.type == "chat_joined") return joined(s, c);
  if (c.type == "chat_left") return noted(c, {});
  if (c.type == "request_refused") return noted(c, {"type", "reason"});
  return decision::reject("a user knows no command " + std::string{c.type});
}

void user::apply(state& s, const update& u) {
  if (u.type == "chat_joined") {
    s.chats.emplace(required(u.data, "chat_id"));
  } else if (u.type == "chat_left") {
    const auto id = required(u.data, "chat_id");
    s.chats.erase(std::string{id});
    if (s.selected == id) s.selected.clear();
  } else if (u.type == "chat_selected") {
    s.selected = required(u.data, "chat_id");
  }
}

std::string user::save(const state& s) {
  json::writer w;
  w.begin_object().key("chats").begin_array();
  for (const auto& id : s.chats) w.string(id);
  w.end_array().key("selected").string(s.selected).end_object();
  return std::move(w).str();
}

user::state user::load(const json::value& saved) {
  const json::object o = saved;
  state s;
  for (const json::value id : o.at_key("chats").get_array()) s.chats.emplace(std::string_view{id});
  s.selected = required(o, "selected");
  return s;
}

}  // namespace rowcall::engine::chat
