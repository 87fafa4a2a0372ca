#pragma once

#include <cstddef>
#include <string>

/// The work W that every benchmark does: commands of kind echo over many sessions, about 100 bytes of data each.
namespace rowcall::bench {

inline std::string session_name(std::size_t index) { return "echo-s" + std::to_string(index); }

/// `{"chat_id":"s17","text":"<80 bytes>","sender":"u"}`
inline std::string command_data(std::size_t session_index) {
  return "{\"chat_id\":\"s" + std::to_string(session_index) + "\",\"text\":\"" + std::string(80, 'x') + "\",\"sender\":\"u\"}";
}

}  // namespace rowcall::bench
