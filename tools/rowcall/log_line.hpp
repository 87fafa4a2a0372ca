#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "engine/ports.hpp"

/// One line of the log as text. Pure.
namespace rowcall::tools {

struct log_record {
  std::chrono::sys_time<std::chrono::milliseconds> at{};
  std::string_view level;
  std::string_view text;
  engine::log_fields about;
  std::uint64_t left_out = 0;  ///< lines like this one that were not written before it
};

/// For machines: an object with time (UTC), level, message, and those of event, session, command, detail and left_out
/// that the line has. Always valid JSON, whatever the bytes.
std::string json_line(const log_record& r);

/// The text of a line for people: one line, and nothing that a terminal obeys.
std::string line_text(const log_record& r);

/// What a line for people has after its text: " session=echo-1 command=17 detail=…".
std::string field_text(const log_record& r);

}  // namespace rowcall::tools
