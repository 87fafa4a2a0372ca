#pragma once

#include <string>
#include <string_view>
#include <utility>

#include <tl/expected.hpp>

/// Operating errors: what can go wrong outside the domain, as values.
///
/// A broken program hits ROWCALL_ASSERT; an outcome of the domain (duplicate
/// key, rejected command) is an ordinary value of its own type.
namespace rowcall::engine {

enum class errc {
  connection_lost,        ///< the server went away before the statement's end; nothing was committed
  commit_in_doubt,        ///< lost during COMMIT: committed or not, the cursor tells (read it)
  serialization_failure,  ///< serialization failure or deadlock: rolled back, try again
  fenced,                 ///< a primary key of a log collided: this writer was stale, rolled back
  timed_out,              ///< a statement or wait reached its bound
  busy,                   ///< refused by admission; try again after the stated delay
  gone,                   ///< the range was removed by retention: take the snapshot
  not_found,              ///< no such row
  invalid_argument,       ///< the caller's input is at fault; the message says what
  schema_mismatch,        ///< the database's schema is not the one this binary needs
  superseded,             ///< the database was restored, or its schema has moved past this process: start anew
  unavailable,            ///< a component is stopped or not connected yet
  not_permitted,          ///< the database role lacks a right; the message is the server's
  internal,               ///< anything else; the message is the server's
};

/// The stable lower-case name of a code ("connection_lost").
std::string_view to_string(errc code);

struct error {
  errc code = errc::internal;
  std::string message;  ///< one line for a person, says what to do where that is known
  bool quotes_data = false;  ///< the message may repeat what a command or a row holds: not for the log
};

template <class T>
using result = tl::expected<T, error>;

inline tl::unexpected<error> fail(errc code, std::string message) {
  return tl::make_unexpected(error{code, std::move(message)});
}

/// True when trying the same operation again later may succeed by itself.
bool is_transient(errc code);

[[noreturn]] void assertion_failed(const char* expression, const char* file, int line);

}  // namespace rowcall::engine

/// On in every build: a broken invariant ends the process, the database recovers the work.
#define ROWCALL_ASSERT(condition) \
  ((condition) ? void(0) : ::rowcall::engine::assertion_failed(#condition, __FILE__, __LINE__))
