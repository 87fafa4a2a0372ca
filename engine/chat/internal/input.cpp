#include "engine/chat/internal/input.hpp"

#include <algorithm>
#include <stdexcept>

#include "engine/chat/chat.hpp"

namespace rowcall::engine::chat::internal {
namespace {

/// Code points of valid UTF-8: all bytes but the continuations.
std::size_t character_count(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

bool is_blank(std::string_view text) { return text.find_first_not_of(" \t\r\n") == std::string_view::npos; }

tl::unexpected<error> bad(std::string reason) { return engine::fail(errc::invalid_argument, std::move(reason)); }

result<std::string_view> bounded_at(const json::object& data, std::string_view key, std::size_t characters_max) {
  const auto text = json::string_at(data, key);
  if (!text) return bad("the string \"" + std::string{key} + "\" is missing");
  if (is_blank(*text)) return bad("\"" + std::string{key} + "\" is empty");
  if (const auto count = character_count(*text); count > characters_max)
    return bad("\"" + std::string{key} + "\" has " + std::to_string(count) + " characters, the limit is " +
               std::to_string(characters_max));
  return *text;
}

}  // namespace

result<session_id> chat_id_at(const json::object& data) {
  const auto text = json::string_at(data, "chat_id");
  if (!text) return bad("the string \"chat_id\" is missing");
  auto id = session_id::parse(*text);
  if (!id || id->kind() != chat::kind) return bad("\"chat_id\" is no chat: write chat-<name>, for example chat-42");
  return id;
}

result<std::string_view> name_at(const json::object& data) {
  auto name = bounded_at(data, "name", chat::name_characters_max);
  if (name && std::any_of(name->begin(), name->end(), [](char c) { return (c >= 0 && c < 0x20) || c == 0x7f; }))
    return bad("\"name\" holds a control character");
  return name;
}

result<std::string_view> text_at(const json::object& data) {
  return bounded_at(data, "text", chat::text_characters_max);
}

result<session_id> user_session(std::string_view user_id) {
  auto id = session_id::parse("user-" + std::string{user_id});
  if (!id) return bad("a user's id is 1 to 59 of the characters A-Z a-z 0-9 _ -");
  return id;
}

std::string_view required(const json::object& data, std::string_view key) {
  const auto text = json::string_at(data, key);
  if (!text) throw std::runtime_error("the string \"" + std::string{key} + "\" is missing");
  return *text;
}

}  // namespace rowcall::engine::chat::internal
