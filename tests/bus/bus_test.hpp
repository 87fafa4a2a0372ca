#pragma once

#include <span>
#include <string_view>

#include "engine/ports.hpp"

namespace rowcall::bus {

inline engine::session_id id(std::string_view text) { return *engine::session_id::parse(text); }

inline void publish(engine::bus& b, const engine::wake& w) { b.publish(std::span{&w, 1}); }
inline void publish(engine::bus& b, const engine::update_notice& n) { b.publish(std::span{&n, 1}); }

}  // namespace rowcall::bus
