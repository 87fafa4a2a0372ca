#include "gateway/access.hpp"

#include <algorithm>

namespace rowcall::gateway {
namespace {

bool any_matches(const std::vector<std::string>& patterns, std::string_view session) {
  return std::any_of(patterns.begin(), patterns.end(), [&](const auto& p) { return matches(p, session); });
}

}  // namespace

bool is_valid_pattern(std::string_view pattern) {
  if (!pattern.ends_with('*')) return engine::session_id::parse(pattern).has_value();
  // At least a whole kind: `chat-*`.
  pattern.remove_suffix(1);
  return pattern.find('-') != pattern.npos && engine::session_id::parse(std::string{pattern} + 'x').has_value();
}

bool matches(std::string_view pattern, std::string_view session) {
  if (!pattern.ends_with('*')) return pattern == session;
  pattern.remove_suffix(1);
  return session.size() > pattern.size() && session.starts_with(pattern);
}

std::string_view user_of(const engine::session_id& session) {
  return session.kind() == "user" ? session.name() : std::string_view{};
}

permission may_follow(const identity& who, const engine::session_id& session) {
  if (any_matches(who.follow, session.str())) return permission::granted;
  if (session.kind() == "chat" && !who.user.empty() && any_matches(who.follow, "user-" + who.user))
    return permission::if_member;
  return permission::denied;
}

bool may_submit(const identity& who, const engine::session_id& session) {
  return any_matches(who.submit, session.str());
}

}  // namespace rowcall::gateway
