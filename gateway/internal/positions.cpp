#include "gateway/internal/positions.hpp"

#include <algorithm>
#include <charconv>

namespace rowcall::gateway::internal {
namespace {

using engine::errc;
using engine::fail;

std::optional<std::int64_t> read_number(std::string_view text) {
  std::int64_t n = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (code != std::errc{} || end != text.data() + text.size() || n < 0) return std::nullopt;
  return n;
}

}  // namespace

std::optional<std::int64_t> read_position(std::string_view text) {
  if (text == "end") return at_end;
  return read_number(text);
}

engine::result<std::vector<stream_place>> read_places(const std::vector<name_value>& query, std::size_t sessions_max) {
  std::vector<stream_place> places;
  for (const auto& [name, value] : query) {
    if (name != "session") continue;
    if (places.size() >= sessions_max)
      return fail(errc::invalid_argument, "a stream has at most " + std::to_string(sessions_max) + " sessions");
    const auto colon = std::min(value.find(':'), value.size());
    auto session = engine::session_id::parse(std::string_view{value}.substr(0, colon));
    if (!session) return fail(errc::invalid_argument, "session: " + session.error().message);
    std::int64_t after = 0;
    if (colon < value.size()) {
      const auto position = read_position(std::string_view{value}.substr(colon + 1));
      if (!position) return fail(errc::invalid_argument, "what follows a session's colon is a seq or `end`");
      after = *position;
    }
    for (const auto& place : places)
      if (place.session == *session) return fail(errc::invalid_argument, session->str() + " is named twice");
    places.push_back({*std::move(session), after});
  }
  if (places.empty()) return fail(errc::invalid_argument, "name at least one session: ?session=chat-1:0");
  return places;
}

engine::result<void> apply_event_id(std::string_view id, std::vector<stream_place>& places) {
  while (!id.empty()) {
    const auto end = std::min(id.find(','), id.size());
    const auto item = id.substr(0, end);
    id.remove_prefix(std::min(end + 1, id.size()));
    const auto colon = std::min(item.find(':'), item.size());
    const auto index = read_number(item.substr(0, colon));
    const auto seq = colon < item.size() ? read_number(item.substr(colon + 1)) : std::nullopt;
    if (!index || !seq || static_cast<std::size_t>(*index) >= places.size())
      return fail(errc::invalid_argument, "Last-Event-ID is not one of this stream");
    places[static_cast<std::size_t>(*index)].after = *seq;
  }
  return {};
}

}  // namespace rowcall::gateway::internal
