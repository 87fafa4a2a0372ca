#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "engine/types.hpp"

/// Who somebody is, by his token, and what that lets him do. Pure.
namespace rowcall::gateway {

struct identity {
  std::string user;                         ///< a user's id (`sub`); empty for a service
  std::vector<std::string> submit, follow;  ///< session ids, or prefixes that end in `*`
  bool is_operator = false;
  std::chrono::sys_seconds expires_at{};
  std::string key;  ///< the key (`kid`) that signed the token
};

/// True for `user-ann` and for `echo-*`, not for `*` alone or a `*` elsewhere.
bool is_valid_pattern(std::string_view pattern);
bool matches(std::string_view pattern, std::string_view session);

/// The user that a user's session belongs to: "ann" of "user-ann"; empty for other kinds.
std::string_view user_of(const engine::session_id& session);

enum class permission {
  denied,
  granted,
  if_member,  ///< a chat: as long as the user is a member of it
};

/// A chat may be followed by whom its token names it to, and by its members: those whose own session the bearer may
/// follow.
permission may_follow(const identity& who, const engine::session_id& session);
bool may_submit(const identity& who, const engine::session_id& session);

}  // namespace rowcall::gateway
