#pragma once

#include <functional>
#include <set>
#include <string>
#include <string_view>

#include "engine/module.hpp"

namespace rowcall::engine::chat {

/// A room: who is in it and what it is called. Its messages are in its update log, which every member's UI follows,
/// and in the table `messages`. Commands and updates: see README.md.
struct chat {
  static constexpr std::string_view kind = "chat";
  static constexpr std::size_t name_characters_max = 100;  ///< characters = Unicode code points
  static constexpr std::size_t text_characters_max = 4000;
  static constexpr std::size_t members_max = 1000;

  struct state {
    std::string name;                            ///< empty: the chat has not been created
    std::set<std::string, std::less<>> members;  ///< user ids
    friend bool operator==(const state&, const state&) = default;
  };

  static decision decide(const state& s, const command& c);
  static void apply(state& s, const update& u);
  static std::string save(const state& s);
  static state load(const json::value& saved);
};

}  // namespace rowcall::engine::chat
