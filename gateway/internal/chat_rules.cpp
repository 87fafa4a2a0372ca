#include "gateway/internal/chat_rules.hpp"

#include <algorithm>
#include <array>

namespace rowcall::gateway::internal {
namespace {

using engine::errc;
using engine::fail;
namespace json = engine::json;

/// Commands of a user's session that only chats send: from outside they would make its log tell what is not so.
constexpr std::array<std::string_view, 3> sent_by_chats{"chat_joined", "chat_left", "request_refused"};

}  // namespace

engine::result<std::string> command_data(const identity& who, const engine::session_id& session, std::string_view type,
                                         const json::value& data) {
  if (session.kind() == "user" && std::find(sent_by_chats.begin(), sent_by_chats.end(), type) != sent_by_chats.end())
    return fail(errc::invalid_argument, std::string{type} + " is sent by chats only");
  if (session.kind() != "chat") return json::to_text(data);
  if (who.user.empty())
    return fail(errc::invalid_argument, "a chat's command needs a sender, and this token names no user");
  json::writer w;
  w.begin_object();
  for (const auto field : json::object{data})
    // `request` ties a command to one of the user's own session, which did not send this one.
    if (field.key != "sender" && field.key != "request") w.key(field.key).raw(json::to_text(field.value));
  w.key("sender").string(who.user).end_object();
  return std::move(w).str();
}

std::string member_left_by(const engine::session_id& session, const engine::update_row& update) {
  if (session.kind() != "chat" || update.type != "member_left") return {};
  thread_local json::parser parser;
  const auto data = parser.parse_object(update.data);
  if (!data) return {};
  return std::string{json::string_at(*data, "user_id").value_or("")};
}

}  // namespace rowcall::gateway::internal
