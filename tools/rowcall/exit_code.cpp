#include "tools/rowcall/exit_code.hpp"

#include <cstdio>

namespace rowcall::tools {

exit_code exit_code_of(const engine::error& error) {
  switch (error.code) {
    case engine::errc::invalid_argument:
      return exit_code::usage;
    case engine::errc::busy:
      return exit_code::busy;
    case engine::errc::timed_out:
      return exit_code::timed_out;
    case engine::errc::not_found:
    case engine::errc::gone:
      return exit_code::not_found;
    default:
      return exit_code::failed;
  }
}

void print_error(const engine::error& error) { std::fprintf(stderr, "rowcall: %s\n", error.message.c_str()); }

exit_code fail_with(const engine::error& error) {
  print_error(error);
  return exit_code_of(error);
}

}  // namespace rowcall::tools
