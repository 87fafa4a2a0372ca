#pragma once

#include <functional>
#include <set>
#include <string>
#include <string_view>

#include "engine/module.hpp"

namespace rowcall::engine::chat {

/// A user: what his UI asks for goes to the chats from here, with his id as the sender, whatever the data says. His
/// update log tells which chats he is in, which one he selected, and what was refused. See README.md.
struct user {
  static constexpr std::string_view kind = "user";
  static constexpr std::size_t chats_max = 1000;

  struct state {
    std::set<std::string, std::less<>> chats;  ///< ids of the chats' sessions
    std::string selected;                      ///< one of them, or empty
    friend bool operator==(const state&, const state&) = default;
  };

  static decision decide(const state& s, const command& c);
  static void apply(state& s, const update& u);
  static std::string save(const state& s);
  static state load(const json::value& saved);
};

}  // namespace rowcall::engine::chat
