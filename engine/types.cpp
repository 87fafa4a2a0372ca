#include "engine/types.hpp"

#include <algorithm>

#include "engine/json.hpp"

namespace rowcall::engine {
namespace {

bool is_alnum(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }

bool is_valid_utf8(std::string_view text) { return simdjson::validate_utf8(text.data(), text.size()); }

}  // namespace

result<session_id> session_id::parse(std::string_view text) {
  if (text.size() < 3 || text.size() > 64)
    return fail(errc::invalid_argument, "a session id has 3 to 64 characters, this has " + std::to_string(text.size()));
  if (!std::all_of(text.begin(), text.end(), [](char c) { return is_alnum(c) || c == '_' || c == '-'; }))
    return fail(errc::invalid_argument, "a session id has only the characters A-Z a-z 0-9 _ -");
  const auto dash = text.find('-');
  if (dash == std::string_view::npos || dash == 0 || dash + 1 == text.size())
    return fail(errc::invalid_argument, "a session id is <kind>-<name>, for example chat-42");
  if (dash > 32) return fail(errc::invalid_argument, "a session's kind (before the first '-') has at most 32 characters");
  return session_id{std::string{text}};
}

std::string_view session_id::kind() const { return std::string_view{text_}.substr(0, text_.find('-')); }

std::string_view session_id::name() const {
  const auto dash = text_.find('-');
  return dash == std::string::npos ? std::string_view{} : std::string_view{text_}.substr(dash + 1);
}

bool is_valid_kind(std::string_view kind) {
  return !kind.empty() && kind.size() <= 32 &&
         std::all_of(kind.begin(), kind.end(), [](char c) { return is_alnum(c) || c == '_'; });
}

bool is_valid_type(std::string_view type) {
  return !type.empty() && type.size() <= 64 && std::all_of(type.begin(), type.end(), [](char c) {
    return is_alnum(c) || c == '_' || c == '.' || c == '-';
  });
}

std::uint64_t fnv1a_64(std::string_view bytes) {
  std::uint64_t hash = 14695981039346656037ull;
  for (unsigned char c : bytes) {
    hash ^= c;
    hash *= 1099511628211ull;
  }
  return hash;
}

shard_index shard_of(const session_id& id, int shard_count) {
  return static_cast<shard_index>(fnv1a_64(id.str()) % static_cast<std::uint64_t>(shard_count));
}

result<void> validate(const command_request& request, std::size_t data_bytes_max) {
  if (request.session.str().empty()) return fail(errc::invalid_argument, "the session id is missing");
  if (!is_valid_type(request.type))
    return fail(errc::invalid_argument, "a command type is 1 to 64 characters of A-Z a-z 0-9 _ . -");
  if (request.idempotency_key) {
    const auto& key = *request.idempotency_key;
    if (key.empty() || key.size() > idempotency_key_bytes_max)
      return fail(errc::invalid_argument, "an idempotency key has 1 to 200 bytes");
    if (key.starts_with("send:") || key.starts_with("redrive:"))
      return fail(errc::invalid_argument, "idempotency keys that begin with send: or redrive: are the engine's own");
    if (key.find('\0') != std::string::npos || !is_valid_utf8(key))
      return fail(errc::invalid_argument, "an idempotency key is UTF-8 without NUL");
  }
  if (request.data.size() > data_bytes_max)
    return fail(errc::invalid_argument, "the data has " + std::to_string(request.data.size()) + " bytes, the limit is " +
                                            std::to_string(data_bytes_max));
  thread_local json::parser parser;
  auto parsed = parser.parse_object(request.data);
  if (!parsed) return tl::make_unexpected(parsed.error());
  if (request.data.find("\\u0000") != std::string::npos && json::has_nul(*parsed))
    return fail(errc::invalid_argument, "the data holds a NUL character (\\u0000), which can not be stored");
  if (json::has_unstorable_exponent(request.data)) return fail(errc::invalid_argument, json::unstorable_exponent);
  return {};
}

bool update_type::is_reserved(std::string_view type) {
  return type == command_done || type == command_rejected || type == command_failed;
}

}  // namespace rowcall::engine
