#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "engine/ports.hpp"

namespace rowcall::tools {

struct log_options {
  std::string level = "info";   ///< trace, debug, info, warn, error or off
  std::string format = "text";  ///< text (for people) or json (an object a line)
  bool data = false;            ///< lines may show what a command holds
  std::size_t repeat_max = 10;  ///< lines of one kind in a period; 0 = all
  std::chrono::milliseconds repeat_period{10'000};
};

/// Logs go to stderr, one line each. Everything that is written through spdlog afterwards has the options' form. Once,
/// at the start of the program.
void start_logging(const log_options& options);

/// For the components of the engine: with the options' level, form and limit on repetition. Thread-safe.
engine::log_sink make_log_sink();

/// For a loop that waits, and says what for before each try: a warning, of which one with this event is written in each
/// period of the limit. Thread-safe.
void warn_waiting(std::string_view event, std::string_view text);

/// Says how many lines the limit has kept back, for the periods that have ended (or all, at the end of a program).
/// To be called now and then; thread-safe.
void report_left_out(bool at_end = false);

}  // namespace rowcall::tools
