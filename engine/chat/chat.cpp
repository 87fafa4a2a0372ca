#include "engine/chat/chat.hpp"

#include "engine/chat/internal/input.hpp"

namespace rowcall::engine::chat {
namespace {

using internal::required;

/// Who asked for a command, and by which command of his own session, when it was forwarded from there.
struct request {
  std::string user_id;
  session_id user;
  std::optional<std::int64_t> seq;
};

result<request> request_of(const command& c) {
  const auto sender = json::string_at(c.data, "sender");
  if (!sender) return engine::fail(errc::invalid_argument, "the string \"sender\" (a user's id) is missing");
  auto user = internal::user_session(*sender);
  if (!user) return engine::fail(errc::invalid_argument, "\"sender\": " + user.error().message);
  return request{std::string{*sender}, *std::move(user), json::int_at(c.data, "request")};
}

/// Rejected here, and told to the user's session when the command came from there.
decision refuse(const command& c, const request& r, std::string_view reason) {
  auto d = decision::reject(reason);
  if (!r.seq) return d;
  json::writer note;
  note.begin_object().key("chat_id").string(c.session.str()).key("request").number(*r.seq);
  note.key("type").string(c.type).key("reason").string(reason).end_object();
  d.send(r.user, "request_refused", std::move(note).str());
  return d;
}

/// `{"chat_id", <key>, "user_id"}`, the shape of most updates here; an empty key is left out.
std::string about(const command& c, std::string_view key, std::string_view text, const request& r) {
  json::writer w;
  w.begin_object().key("chat_id").string(c.session.str());
  if (!key.empty()) w.key(key).string(text);
  w.key("user_id").string(r.user_id).end_object();
  return std::move(w).str();
}

void tell(decision& d, const command& c, const request& r, std::string_view type, std::string_view name) {
  json::writer note;
  note.begin_object().key("chat_id").string(c.session.str());
  if (!name.empty()) note.key("name").string(name);
  if (r.seq) note.key("request").number(*r.seq);
  note.end_object();
  d.send(r.user, type, std::move(note).str());
}

// What stands in `chats` and `members` changes: rows of one turn are written by key, so that its last one counts.
domain_row chats_row(const command& c, std::string_view name) {
  return {"chats", {"chat_id", "name"}, {c.session.str(), std::string{name}}, domain_row::write_mode::upsert};
}

domain_row members_row(const command& c, const request& r, domain_row::write_mode mode) {
  return {"members", {"chat_id", "user_id"}, {c.session.str(), r.user_id}, mode};
}

decision create(const chat::state& s, const command& c, const request& r) {
  if (!s.name.empty()) return refuse(c, r, "the chat " + c.session.str() + " exists already");
  const auto name = internal::name_at(c.data);
  if (!name) return refuse(c, r, name.error().message);
  decision d;
  d.emit("chat_created", about(c, "name", *name, r)).write(chats_row(c, *name));
  d.emit("member_joined", about(c, {}, {}, r)).write(members_row(c, r, domain_row::write_mode::upsert));
  tell(d, c, r, "chat_joined", *name);
  return d;
}

decision join(const chat::state& s, const command& c, const request& r) {
  decision d;
  if (!s.members.contains(r.user_id)) {
    if (s.members.size() >= chat::members_max)
      return refuse(c, r, "the chat is full: it has " + std::to_string(chat::members_max) + " members");
    d.emit("member_joined", about(c, {}, {}, r)).write(members_row(c, r, domain_row::write_mode::upsert));
  }
  tell(d, c, r, "chat_joined", s.name);  // also when he is in already: his own log may not say so yet
  return d;
}

decision leave(const chat::state&, const command& c, const request& r) {
  decision d;
  d.emit("member_left", about(c, {}, {}, r)).write(members_row(c, r, domain_row::write_mode::remove));
  tell(d, c, r, "chat_left", {});
  return d;
}

decision rename(const chat::state&, const command& c, const request& r) {
  const auto name = internal::name_at(c.data);
  if (!name) return refuse(c, r, name.error().message);
  decision d;
  d.emit("chat_renamed", about(c, "name", *name, r)).write(chats_row(c, *name));
  return d;
}

decision post(const chat::state&, const command& c, const request& r) {
  const auto text = internal::text_at(c.data);
  if (!text) return refuse(c, r, text.error().message);
  json::writer message;
  message.begin_object().key("chat_id").string(c.session.str()).key("message_id").number(c.first_update.value);
  message.key("text").string(*text).key("sender").string(r.user_id).end_object();
  decision d;
  d.emit("new_message", std::move(message).str());
  d.write({"messages",
           {"chat_id", "message_id", "text", "sender"},
           {c.session.str(), std::string{domain_row::update_seq_value}, std::string{*text}, r.user_id},
           domain_row::write_mode::append});
  return d;
}

}  // namespace

decision chat::decide(const state& s, const command& c) {
  const auto r = request_of(c);
  if (!r) return decision::reject(r.error().message);

  if (c.type == "create_chat") return create(s, c, *r);
  decision (*members_only)(const state&, const command&, const request&) = c.type == "post_message"  ? post
                                                                           : c.type == "rename_chat" ? rename
                                                                           : c.type == "leave_chat"  ? leave
                                                                                                     : nullptr;
  if (!members_only && c.type != "join_chat") return refuse(c, *r, "a chat knows no command " + std::string{c.type});
  if (s.name.empty()) return refuse(c, *r, "there is no chat " + c.session.str());
  if (!members_only) return join(s, c, *r);
  if (!s.members.contains(r->user_id)) return refuse(c, *r, r->user_id + " is no member of " + c.session.str());
  return members_only(s, c, *r);
}

void chat::apply(state& s, const update& u) {
  if (u.type == "chat_created" || u.type == "chat_renamed")
    s.name = required(u.data, "name");
  else if (u.type == "member_joined")
    s.members.emplace(required(u.data, "user_id"));
  else if (u.type == "member_left")
    s.members.erase(std::string{required(u.data, "user_id")});
}

std::string chat::save(const state& s) {
  json::writer w;
  w.begin_object().key("name").string(s.name).key("members").begin_array();
  for (const auto& m : s.members) w.string(m);
  w.end_array().end_object();
  return std::move(w).str();
}

chat::state chat::load(const json::value& saved) {
  const json::object o = saved;
  state s;
  s.name = required(o, "name");
  for (const json::value m : o.at_key("members").get_array()) s.members.emplace(std::string_view{m});
  return s;
}

}  // namespace rowcall::engine::chat
