#pragma once

#include <string>
#include <string_view>

#include "engine/json.hpp"
#include "engine/ports.hpp"

/// The payloads on the wire, apart from any transport. Decoding accepts bytes from anyone.
///
///   wake     {"last":17}                     or empty: no hint
///            {"last":17,"command":{"type":"…","data":{…},"at":<µs>}}   with the command, when it is small
///   updates  {"session":"chat-1","first":5,"last":6,"updates":[{"seq":5,"command_seq":3,"type":"…","data":{…},"at":<µs>},…]}
///            "updates" is missing when they were too large
namespace rowcall::bus {

std::string encode(const engine::wake& w, std::size_t command_bytes_max = 0);
std::string encode(const engine::update_notice& n, std::size_t inline_bytes_max);

/// `session` comes from the subject. A payload that can not be read is a wake without a hint.
engine::wake decode_wake(engine::session_id session, std::string_view payload, engine::json::parser& parser);
/// Errors: invalid_argument, also when the payload names another session than the subject does.
engine::result<engine::update_notice> decode_updates(const engine::session_id& session, std::string_view payload,
                                                     engine::json::parser& parser);

}  // namespace rowcall::bus
