#pragma once

#include "engine/result.hpp"

namespace rowcall::tools {

/// How a subcommand ends. Stated in every --help; part of the interface, never renumbered.
enum class exit_code : int {
  ok = 0,
  failed = 1,     ///< an operating error: a server can not be reached, the schema does not fit, …
  usage = 2,      ///< the command line or its input is invalid; nothing was sent
  refused = 3,    ///< the engine refused or rejected the command, or it was parked
  timed_out = 4,  ///< the wait was over before the answer; a submitted command stays valid
  not_found = 5,  ///< no such row, or removed by retention
  faulty = 6,     ///< a check counted something lost, duplicated, reordered or missing
  warned = 7,     ///< `doctor`: nothing is broken, but something needs attention
  busy = 8,       ///< refused for now (too many commands are pending, or another process is at it); nothing was stored
  hung = 9,  ///< `serve`: a module did not come back from a command; to be started again, the command's attempts count
};

inline constexpr const char* exit_codes_text =
    "Exit codes: 0 done; 1 operating error (server not reachable, schema does not fit); 2 invalid command line or\n"
    "input, nothing was sent; 3 refused, rejected or failed command; 4 timed out (a submitted command stays valid);\n"
    "5 not found, or removed by retention; 6 a check found lost, duplicated or reordered updates; 7 `doctor` found\n"
    "something that needs attention; 8 busy: refused for now, nothing was stored, try again later; 9 `serve` ended\n"
    "because a module did not come back from a command: start it again, the command is given up in the end.";

/// The exit code that goes with an operating error.
exit_code exit_code_of(const engine::error& error);

/// Prints "rowcall: <message>" to stderr.
void print_error(const engine::error& error);

/// Both: for `return fail_with(error)`.
exit_code fail_with(const engine::error& error);

}  // namespace rowcall::tools
