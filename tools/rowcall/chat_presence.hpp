#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "engine/types.hpp"

/// Who is here: signals of the kind that gateways exchange, on `<prefix>.signals.<room>`. Pure.
///
///   {"gateway": "<sender>", "signal": {"session": "chat-lobby", "type": "here", "from": "ann", "data": {"ask": true}}}
namespace rowcall::tools {

enum class presence {
  here,    ///< somebody is here
  asking,  ///< he is, and wants to know who else is
  left,    ///< he goes
};

struct presence_signal {
  std::string user;
  presence what = presence::here;
};

/// `sender` names this client; a gateway leaves out only what it sent itself.
std::string presence_payload(std::string_view sender, const engine::session_id& room, std::string_view user,
                             presence what);

/// What a signal in this room says of somebody's presence; nothing when it is no signal, or one of another room.
/// Whoever types is here.
std::optional<presence_signal> read_presence(const engine::session_id& room, std::string_view payload);

}  // namespace rowcall::tools
