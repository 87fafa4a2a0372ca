#include "engine/result.hpp"

#include <cstdio>
#include <cstdlib>

namespace rowcall::engine {

std::string_view to_string(errc code) {
  switch (code) {
    case errc::connection_lost: return "connection_lost";
    case errc::commit_in_doubt: return "commit_in_doubt";
    case errc::serialization_failure: return "serialization_failure";
    case errc::fenced: return "fenced";
    case errc::timed_out: return "timed_out";
    case errc::busy: return "busy";
    case errc::gone: return "gone";
    case errc::not_found: return "not_found";
    case errc::invalid_argument: return "invalid_argument";
    case errc::schema_mismatch: return "schema_mismatch";
    case errc::superseded: return "superseded";
    case errc::unavailable: return "unavailable";
    case errc::not_permitted: return "not_permitted";
    case errc::internal: return "internal";
  }
  return "internal";
}

bool is_transient(errc code) {
  switch (code) {
    case errc::connection_lost:
    case errc::commit_in_doubt:
    case errc::serialization_failure:
    case errc::fenced:
    case errc::timed_out:
    case errc::busy:
    case errc::unavailable: return true;
    default: return false;
  }
}

void assertion_failed(const char* expression, const char* file, int line) {
  std::fprintf(stderr, "rowcall: assertion failed: %s (%s:%d)\n", expression, file, line);
  std::abort();
}

}  // namespace rowcall::engine
