#include "tools/rowcall/chat_model.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "engine/json.hpp"

namespace rowcall::tools {
namespace {

using engine::json::int_at;
using engine::json::string_at;

constexpr std::size_t lines_max = 2'000;    ///< kept for one room
constexpr std::size_t answers_max = 1'000;  ///< kept while a command's seq is unknown
/// As the browser chat does it.
constexpr std::chrono::seconds here_every{20}, here_for{45}, answer_every{2};
constexpr std::size_t here_rooms_max = 15;
constexpr std::size_t here_users_max = 10'000;  ///< remembered

std::string_view trimmed(std::string_view text) {
  const auto blank = " \t\r\n";
  const auto begin = text.find_first_not_of(blank);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(blank) - begin + 1);
}

/// One parser for the one thread that uses a model; a parsed object lives until the next call.
engine::json::parser& parser() {
  thread_local engine::json::parser p;
  return p;
}

}  // namespace

engine::session_id room_of(std::string_view name) {
  std::string slug;
  for (const char c : name) {
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_')
      slug += c;
    else if (c >= 'A' && c <= 'Z')
      slug += static_cast<char>(c - 'A' + 'a');
    else if (!slug.empty() && slug.back() != '-')
      slug += '-';
  }
  while (slug.ends_with('-')) slug.pop_back();
  constexpr std::size_t slug_bytes_max = 50;
  if (slug.empty() || slug.size() > slug_bytes_max)
    slug = slug.substr(0, slug_bytes_max - 20) + "r" + std::to_string(engine::fnv1a_64(name) % 1'000'000'000'000);
  return *engine::session_id::parse("chat-" + slug);
}

chat_model::chat_model(chat_config config) : config_(std::move(config)), me_(config_.user.name()) {
  effects_.load.push_back(config_.user);
  if (config_.is_interactive) say("hello " + me_ + "; /help lists the commands, Ctrl-D ends");
}

chat_model::effects chat_model::take() {
  pump();
  return std::exchange(effects_, {});
}

std::string chat_model::room() const { return current_ ? short_name(*current_) : std::string{}; }

std::vector<std::string> chat_model::pending() const {
  std::vector<std::string> texts;
  for (const auto& s : outbox_)
    if (s.type == "post_message" && !s.answered) texts.push_back(s.text);
  for (const auto& line : deferred_) texts.push_back(line);
  return texts;
}

bool chat_model::awaits_engine() const {
  return std::any_of(outbox_.begin(), outbox_.end(), [](const sending& s) { return s.at == sending::state::stored; });
}

std::map<std::string, std::size_t> chat_model::unread() const {
  std::map<std::string, std::size_t> counts;
  for (const auto& [id, room] : rooms_)
    if (room.unread > 0 && memberships_.contains(id)) counts.emplace(short_name(id), room.unread);
  return counts;
}

void chat_model::say(std::string text) {
  effects_.lines.push_back({chat_line::kind::notice, {}, {}, {}, std::move(text)});
}
void chat_model::complain(std::string text) {
  effects_.lines.push_back({chat_line::kind::error, {}, {}, {}, std::move(text)});
}

// ---------------------------------------------------------------- what was typed

void chat_model::typed(std::string_view line) {
  line = trimmed(line);
  if (line.empty()) return;
  if (config_.is_interactive && (line == "/quit" || line == "/help" || line == "/exit")) return run(line);
  if (is_entering() || !deferred_.empty())
    deferred_.emplace_back(line);
  else
    run(line);
}

void chat_model::run_deferred() {
  while (!is_entering() && !deferred_.empty() && !effects_.quit) {
    const auto line = std::move(deferred_.front());
    deferred_.pop_front();
    run(line);
  }
}

void chat_model::run(std::string_view line) {
  if (!line.starts_with('/') || line.starts_with("//")) return post(line.starts_with('/') ? line.substr(1) : line);
  const auto space = std::min(line.find(' '), line.size());
  run_command(line.substr(1, space - 1), trimmed(line.substr(space)));
}

void chat_model::run_command(std::string_view word, std::string_view rest) {
  if (word == "quit" || word == "exit") {
    effects_.quit = true;
  } else if (word == "help") {
    help();
  } else if (word == "rooms") {
    list_rooms();
  } else if (word == "who") {
    list_members();
  } else if (word == "history") {
    show_history(rest);
  } else if (word == "leave") {
    leave(rest);
  } else if (word == "rename") {
    rename(rest);
  } else if (word == "join" || word == "create") {
    if (rest.starts_with('#')) rest.remove_prefix(1);
    if (rest.empty()) return complain("write /" + std::string{word} + " and the room's name");
    entry e{room_of(rest), std::string{rest}};
    if (word == "join") return enter(std::move(e));
    entering_ = e;
    ask_to_create(e);
  } else {
    complain("there is no command /" + std::string{word} + "; /help lists them (to send it as text, write //" +
             std::string{word} + ")");
  }
}

void chat_model::help() {
  for (const char* text :
       {"/join ROOM    enter a room, or go to one you are in", "/create NAME  make a room and enter it",
        "/leave [ROOM] leave a room for good", "/rename NAME  give this room another name",
        "/rooms        the rooms you are in, with what is unread",
        "/who          the members of this room, and who is here", "/history [N]  the last N messages of this room",
        "/quit         end (also Ctrl-D)", "Everything else is a message; // at the start sends a /."})
    say(text);
}

void chat_model::post(std::string_view text) {
  if (!current_) return complain("you are in no room: /join one first. Not sent: " + std::string{text});
  queue(*current_, "post_message", std::string{text}, engine::json::object_of({{"chat_id", current_->str()}, {"text", text}}));
}

void chat_model::list_rooms() {
  if (memberships_.empty()) return say("you are in no room: /create one, or /join one you know of");
  for (const auto& id : memberships_) {
    const auto& room = rooms_[id];
    std::string text = (current_ == id ? "* #" : "  #") + short_name(id);
    if (!room.name.empty() && room.name != id.name()) text += "  " + room.name;
    if (room.is_loaded)
      text += "  (" + std::to_string(room.members.size()) + (room.members.size() == 1 ? " member" : " members") + ")";
    if (room.unread > 0) text += "  " + std::to_string(room.unread) + " unread";
    say(std::move(text));
  }
}

void chat_model::list_members() {
  if (!current_) return complain("you are in no room");
  std::string text = "in #" + room() + ":";
  for (const auto& member : rooms_[*current_].members) {
    const auto here = here_until_.find(member);
    text += ' ' + member +
            (member == me_                                       ? " (you)"
             : here != here_until_.end() && here->second >= now_ ? " (here)"
                                                                 : "");
  }
  say(std::move(text));
}

void chat_model::show_history(std::string_view rest) {
  if (!current_) return complain("you are in no room");
  std::size_t count = config_.history;
  if (!rest.empty()) {
    const auto [end, code] = std::from_chars(rest.data(), rest.data() + rest.size(), count);
    if (code != std::errc{} || end != rest.data() + rest.size() || count == 0)
      return complain("write /history and a number");
  }
  show_lines(rooms_[*current_], count);
}

void chat_model::leave(std::string_view rest) {
  if (rest.starts_with('#')) rest.remove_prefix(1);
  if (rest.empty() && !current_) return complain("you are in no room");
  const auto id = rest.empty() ? *current_ : room_of(rest);
  if (!memberships_.contains(id)) return complain("you are not in #" + short_name(id));
  queue(id, "leave_chat", {}, engine::json::object_of({{"chat_id", id.str()}}));
  memberships_.erase(id);  // at once, so that a /join that follows asks for it again
  if (current_ == id) current_.reset();
}

void chat_model::rename(std::string_view rest) {
  if (!current_) return complain("you are in no room");
  if (rest.empty()) return complain("write /rename and the new name");
  queue(*current_, "rename_chat", std::string{rest}, engine::json::object_of({{"chat_id", current_->str()}, {"name", rest}}));
}

// ---------------------------------------------------------------- entering a room

void chat_model::enter(entry e) {
  entering_ = std::move(e);
  if (!memberships_.contains(entering_->room)) return ask_to_join(*entering_);
  if (rooms_[entering_->room].is_loaded)
    show_room(entering_->room);
  else
    effects_.load.push_back(entering_->room);
}

void chat_model::ask_to_join(const entry& e) { queue(e.room, "join_chat", {}, engine::json::object_of({{"chat_id", e.room.str()}})); }

void chat_model::ask_to_create(const entry& e) {
  queue(e.room, "create_chat", {}, engine::json::object_of({{"chat_id", e.room.str()}, {"name", e.name}}));
}

void chat_model::entry_refused(const std::string& reason) {
  if (std::exchange(entering_->may_create, false)) return ask_to_create(*entering_);
  if (std::exchange(entering_->may_join, false)) return ask_to_join(*entering_);
  const auto name = short_name(entering_->room);
  entering_.reset();
  complain("#" + name + ": " + reason + " (/create " + name + " makes a room, /join " + name + " enters one)");
  run_deferred();
}

void chat_model::show_room(const engine::session_id& id) {
  current_ = id;
  auto& room = rooms_[id];
  room.unread = 0;
  std::string head = "#" + short_name(id);
  if (room.name != id.name()) head += "  " + room.name;
  head += "  --";
  for (const auto& member : room.members) head += ' ' + member;
  say(std::move(head));
  show_lines(room, config_.history);
  entering_.reset();
  if (selected_ != id) queue(id, "select_chat", {}, engine::json::object_of({{"chat_id", id.str()}}));
  run_deferred();
}

void chat_model::show_lines(const room_state& room, std::size_t messages) {
  auto from = room.lines.end();
  for (std::size_t count = 0; from != room.lines.begin() && count < messages;) {
    --from;
    if (from->what != chat_line::kind::notice) ++count;
  }
  effects_.lines.insert(effects_.lines.end(), from, room.lines.end());
}

// ---------------------------------------------------------------- what was read

void chat_model::loaded(const engine::session_id& session, const chat_image& image) {
  if (session == config_.user) {
    const bool first = !user_loaded_;
    if (image.snapshot) user_state_from(*image.snapshot);
    for (const auto& u : image.updates) fold_user(u);
    user_loaded_ = true;
    if (!first) return;
    entry e{room_of(config_.room.empty() ? "lobby" : config_.room), config_.room.empty() ? "lobby" : config_.room, true,
            true};
    if (config_.room.empty() && selected_) e = entry{*selected_, short_name(*selected_), true, true};
    for (const auto& id : memberships_)
      if (id != e.room) effects_.load.push_back(id);
    return enter(std::move(e));
  }
  if (!memberships_.contains(session)) return effects_.unfollow.push_back(session);
  auto& room = rooms_[session];
  room = {};
  for (const auto& u : image.earlier) {
    room_state scratch;  // these are below the snapshot: for their lines only
    fold_room(session, scratch, u, false);
    if (u.type != "new_message") continue;
    for (auto& line : scratch.lines) add_line(session, room, std::move(line), false);
  }
  if (image.snapshot) room_state_from(room, *image.snapshot);
  for (const auto& u : image.updates) fold_room(session, room, u, false);
  room.is_loaded = true;
  effects_.presences.push_back({session, presence::asking});
  if (entering_ && entering_->room == session) show_room(session);
}

void chat_model::updated(const engine::session_id& session, std::span<const engine::update_row> updates) {
  if (session == config_.user) {
    for (const auto& u : updates) fold_user(u);
    return;
  }
  const auto found = rooms_.find(session);
  if (found == rooms_.end()) return;  // left in the meantime
  for (const auto& u : updates) fold_room(session, found->second, u, true);
}

void chat_model::jumped(const engine::session_id& session, const std::optional<engine::snapshot_row>& snapshot) {
  if (!snapshot) return;
  if (session == config_.user) {
    user_state_from(*snapshot);
    for (const auto& id : memberships_)
      if (!rooms_.contains(id)) effects_.load.push_back(id);
    return;
  }
  const auto found = rooms_.find(session);
  if (found == rooms_.end()) return;
  room_state_from(found->second, *snapshot);
  say("#" + short_name(session) + ": older messages were removed in the meantime");
}

void chat_model::user_state_from(const engine::snapshot_row& snapshot) {
  auto state = parser().parse_object(snapshot.state);
  if (!state) return;
  memberships_.clear();
  selected_.reset();
  if (simdjson::dom::array chats; state->at_key("chats").get(chats) == simdjson::SUCCESS)
    for (const auto chat : chats)
      if (std::string_view text; chat.get(text) == simdjson::SUCCESS)
        if (auto id = engine::session_id::parse(text)) memberships_.insert(*id);
  if (const auto text = string_at(*state, "selected"))
    if (auto id = engine::session_id::parse(*text)) selected_ = *id;
}

void chat_model::room_state_from(room_state& room, const engine::snapshot_row& snapshot) {
  auto state = parser().parse_object(snapshot.state);
  if (!state) return;
  if (const auto name = string_at(*state, "name")) room.name = *name;
  room.members.clear();
  if (simdjson::dom::array members; state->at_key("members").get(members) == simdjson::SUCCESS)
    for (const auto member : members)
      if (std::string_view text; member.get(text) == simdjson::SUCCESS) room.members.emplace(text);
}

void chat_model::fold_user(const engine::update_row& u) {
  auto data = parser().parse_object(u.data);
  if (!data) return;
  const auto request = int_at(*data, "request");
  const std::string reason{string_at(*data, "reason").value_or("")};
  std::optional<engine::session_id> chat;
  if (const auto text = string_at(*data, "chat_id"))
    if (auto id = engine::session_id::parse(*text)) chat = *id;

  if (u.type == "chat_joined" && chat) {
    joined(*chat);
    if (request) answered(*request, {});
  } else if (u.type == "chat_left" && chat) {
    left(*chat);
    if (request) answered(*request, {});
  } else if (u.type == "chat_selected" && chat) {
    selected_ = *chat;
    answered(u.command.value, {});
  } else if (u.type == "request_refused" && request) {
    answered(*request, {true, reason});
  } else if (u.type == engine::update_type::command_rejected) {
    answered(u.command.value, {true, reason});
  } else if (u.type == engine::update_type::command_failed) {
    answered(u.command.value,
             {true, "the engine gave up on it: " + std::string{string_at(*data, "error").value_or("")}});
  }
}

void chat_model::joined(const engine::session_id& room) {
  if (!memberships_.insert(room).second) return;
  if (user_loaded_) effects_.load.push_back(room);  // before that, loaded() asks for all at once
}

void chat_model::left(const engine::session_id& room) {
  memberships_.erase(room);
  if (selected_ == room) selected_.reset();
  if (!user_loaded_) return;
  rooms_.erase(room);
  effects_.unfollow.push_back(room);
  // What was posted there before has been processed before: its update will not reach us any more.
  std::erase_if(outbox_, [&](const sending& s) {
    return s.room == room && s.at == sending::state::stored && s.type != "leave_chat" && s.type != "join_chat";
  });
  if (current_ == room) current_.reset();
  say("you left #" + short_name(room));
}

void chat_model::fold_room(const engine::session_id& id, room_state& room, const engine::update_row& u, bool live) {
  auto data = parser().parse_object(u.data);
  if (!data) return;
  const std::string user{string_at(*data, "user_id").value_or("")};
  const auto notice = [&](std::string text) {
    add_line(id, room, {chat_line::kind::notice, short_name(id), u.created_at, {}, std::move(text)}, live);
  };
  if (u.type == "new_message") {
    const std::string sender{string_at(*data, "sender").value_or("")};
    const std::string text{string_at(*data, "text").value_or("")};
    const bool own = sender == me_;
    add_line(
        id, room,
        {own ? chat_line::kind::own_message : chat_line::kind::message, short_name(id), u.created_at, sender, text},
        live);
    if (own) own_update(id, "post_message", text);
  } else if (u.type == "chat_created") {
    room.name = string_at(*data, "name").value_or("");
    notice(user + " created the room");
  } else if (u.type == "chat_renamed") {
    room.name = string_at(*data, "name").value_or("");
    notice(user + " renamed the room to " + room.name);
    if (user == me_) own_update(id, "rename_chat", room.name);
  } else if (u.type == "member_joined") {
    room.members.insert(user);
    notice(user + " joined");
  } else if (u.type == "member_left") {
    room.members.erase(user);
    notice(user + " left");
  }
}

void chat_model::add_line(const engine::session_id& id, room_state& room, chat_line line, bool live) {
  const bool is_message = line.what != chat_line::kind::notice;
  if (live && current_ == id)
    effects_.lines.push_back(line);
  else if (live && is_message)
    ++room.unread;
  room.lines.push_back(std::move(line));
  if (room.lines.size() > std::max(lines_max, config_.history)) room.lines.pop_front();
}

// ---------------------------------------------------------------- who is here

void chat_model::heard(const engine::session_id& id, const presence_signal& signal) {
  const auto found = rooms_.find(id);
  if (found == rooms_.end() || signal.user == me_) return;
  if (signal.what == presence::left) {
    here_until_.erase(signal.user);
    return;
  }
  // Also of who is no member yet: signals and updates come on different ways.
  if (here_until_.size() < here_users_max) here_until_[signal.user] = now_ + here_for;
  if (signal.what != presence::asking || now_ < found->second.next_answer) return;
  found->second.next_answer = now_ + answer_every;
  effects_.presences.push_back({id, presence::here});
}

void chat_model::tick(time_point now) {
  now_ = now;
  if (now < next_here_) return;
  next_here_ = now + here_every;
  std::erase_if(here_until_, [&](const auto& entry) { return entry.second < now; });
  tell_rooms(presence::here);
}

void chat_model::bye() { tell_rooms(presence::left); }

void chat_model::tell_rooms(presence what) {
  std::size_t left = here_rooms_max;
  if (current_ && rooms_[*current_].is_loaded) {
    effects_.presences.push_back({*current_, what});
    --left;
  }
  for (const auto& [id, room] : rooms_) {
    if (left == 0) return;
    if (id == current_ || !room.is_loaded) continue;
    effects_.presences.push_back({id, what});
    --left;
  }
}

// ---------------------------------------------------------------- the outbox

void chat_model::queue(const engine::session_id& room, std::string type, std::string text, std::string data) {
  outbox_.push_back({sending::state::queued, room, std::move(type), std::move(text), std::move(data),
                     config_.key_prefix + "-" + std::to_string(++keys_)});
}

void chat_model::pump() {
  if (retry_wanted_ || effects_.submit) return;
  for (auto& s : outbox_) {
    if (s.at == sending::state::sent) return;  // one at a time, so that a failure can not change the order
    if (s.at != sending::state::queued) continue;
    s.at = sending::state::sent;
    effects_.submit = engine::command_request{config_.user, s.type, s.data, s.key};
    return;
  }
}

void chat_model::retry() { retry_wanted_ = false; }

void chat_model::submitted(const engine::result<engine::submit_receipt>& outcome) {
  const auto s =
      std::find_if(outbox_.begin(), outbox_.end(), [](const sending& x) { return x.at == sending::state::sent; });
  if (s == outbox_.end()) return;  // left the room meanwhile
  using kind = engine::submit_receipt::outcome;
  if (s->answered) {  // its update was faster than the outcome
    outbox_.erase(s);
  } else if (outcome && (outcome->kind == kind::stored || outcome->kind == kind::duplicate)) {
    s->at = sending::state::stored;
    s->seq = outcome->seq.value;
    if (auto known = answers_.extract(s->seq)) answered(s->seq, std::move(known.mapped()));
  } else if (outcome || is_transient(outcome.error().code)) {
    // Refused by admission, no engine has ever run here, or a server is away: the same key again, a little later.
    s->at = sending::state::queued;
    retry_wanted_ = true;
  } else {
    const auto given_up = std::move(*s);
    outbox_.erase(s);
    refused(given_up, outcome.error().message);
  }
  if (std::none_of(outbox_.begin(), outbox_.end(), [](const sending& x) { return x.at == sending::state::sent; }))
    answers_.clear();
}

void chat_model::answered(std::int64_t seq, answer a) {
  const auto s = std::find_if(outbox_.begin(), outbox_.end(),
                              [&](const sending& x) { return x.at == sending::state::stored && x.seq == seq; });
  if (s == outbox_.end()) {
    answers_.insert_or_assign(seq, std::move(a));
    if (answers_.size() > answers_max) answers_.erase(answers_.begin());
    return;
  }
  const auto settled = std::move(*s);
  outbox_.erase(s);
  if (a.refused) refused(settled, a.reason);
}

void chat_model::own_update(const engine::session_id& room, std::string_view type, std::string_view text) {
  const auto s = std::find_if(outbox_.begin(), outbox_.end(), [&](const sending& x) {
    return x.at != sending::state::queued && !x.answered && x.room == room && x.type == type && x.text == text;
  });
  if (s == outbox_.end()) return;
  if (s->at == sending::state::stored)
    outbox_.erase(s);
  else
    s->answered = true;
}

void chat_model::refused(const sending& s, const std::string& reason) {
  if (entering_ && entering_->room == s.room && (s.type == "join_chat" || s.type == "create_chat"))
    return entry_refused(reason);
  if (s.type == "select_chat") return;  // a convenience for the next start
  if (s.type == "post_message") return complain("not sent: " + s.text + "  -- " + reason);
  complain("#" + short_name(s.room) + ": " + reason);
}

}  // namespace rowcall::tools
