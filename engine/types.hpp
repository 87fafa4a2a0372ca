#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/result.hpp"

/// The words of the system as types. No I/O, no threads.
namespace rowcall::engine {

/// A number in a session's log, counted from 1 without gaps; 0 means "nothing yet".
template <class Tag>
struct sequence {
  std::int64_t value = 0;
  constexpr sequence next() const { return {value + 1}; }
  friend constexpr auto operator<=>(const sequence&, const sequence&) = default;
};
using command_seq = sequence<struct command_seq_tag>;
using update_seq = sequence<struct update_seq_tag>;

/// `<kind>-<name>`: 3 to 64 of `A-Z a-z 0-9 _ -`, so that an id is one NATS
/// token. The kind is what stands before the first `-` and names the module.
class session_id {
 public:
  session_id() = default;
  /// Errors: invalid_argument, with the rule that was broken.
  static result<session_id> parse(std::string_view text);
  const std::string& str() const { return text_; }
  std::string_view kind() const;
  std::string_view name() const;  ///< what stands after the first `-`
  friend auto operator<=>(const session_id&, const session_id&) = default;

 private:
  explicit session_id(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

/// A kind is 1 to 32 of `A-Z a-z 0-9 _`.
bool is_valid_kind(std::string_view kind);

/// A command or update type is 1 to 64 of `a-z A-Z 0-9 _ . -`.
bool is_valid_type(std::string_view type);

constexpr std::size_t idempotency_key_bytes_max = 200;
constexpr std::size_t command_data_bytes_max_default = 64 * 1024;

using shard_index = int;
constexpr int shard_count_default = 64;

/// FNV-1a (64 bit) of the id's bytes, modulo `shard_count`. Stable for ever:
/// every node and every other language must compute the same.
/// http://www.isthe.com/chongo/tech/comp/fnv/
shard_index shard_of(const session_id& id, int shard_count);
std::uint64_t fnv1a_64(std::string_view bytes);

/// Database time, in microseconds since the Unix epoch. Never compared with a local clock.
using db_time = std::chrono::sys_time<std::chrono::microseconds>;

/// A command as a client asks for it. `data` is the text of a JSON object.
struct command_request {
  session_id session;
  std::string type;
  std::string data;
  std::optional<std::string> idempotency_key;
};

/// Checks all of a request that can be checked without the database: type,
/// key, size, JSON object, no NUL, valid UTF-8, at most 1,024 levels deep.
/// Errors: invalid_argument.
result<void> validate(const command_request& request, std::size_t data_bytes_max = command_data_bytes_max_default);

/// A row of the command log.
struct command_row {
  command_seq seq;
  std::string type;
  std::string data;  ///< JSON object text
  db_time created_at{};
};

/// A row of the update log. It doubles as the receipt of the command that caused it.
struct update_row {
  update_seq seq;
  command_seq command;
  std::string type;
  std::string data;  ///< JSON object text
  db_time created_at{};
};

/// A session's state as JSON text, at an update seq (the state after that update).
struct snapshot_row {
  update_seq seq;
  command_seq command;  ///< the cursor at that point
  std::string state;
};

/// The updates the engine itself writes; all other types belong to modules.
namespace update_type {
inline constexpr std::string_view command_done = "command_done";          ///< the module emitted nothing: `{}`
inline constexpr std::string_view command_rejected = "command_rejected";  ///< `{"type","reason"}`
inline constexpr std::string_view command_failed = "command_failed";      ///< parked: `{"type","error","attempts"}`
bool is_reserved(std::string_view type);
}  // namespace update_type

}  // namespace rowcall::engine

template <>
struct std::hash<rowcall::engine::session_id> {
  std::size_t operator()(const rowcall::engine::session_id& id) const noexcept {
    return std::hash<std::string>{}(id.str());
  }
};
