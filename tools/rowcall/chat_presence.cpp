#include "tools/rowcall/chat_presence.hpp"

#include "engine/json.hpp"

namespace rowcall::tools {

std::string presence_payload(std::string_view sender, const engine::session_id& room, std::string_view user,
                             presence what) {
  engine::json::writer w;
  w.begin_object().key("gateway").string(sender).key("signal").begin_object().key("session").string(room.str());
  w.key("type").string(what == presence::left ? "left_stream" : "here").key("from").string(user);
  w.key("data").raw(what == presence::asking ? R"({"ask":true})" : "{}").end_object().end_object();
  return std::move(w).str();
}

std::optional<presence_signal> read_presence(const engine::session_id& room, std::string_view payload) {
  thread_local engine::json::parser parser;
  const auto object = parser.parse_object(payload);
  engine::json::value value;
  if (!object || object->at_key("signal").get(value) != simdjson::SUCCESS || !value.is_object()) return {};
  const engine::json::object signal{value};
  const auto type = engine::json::string_at(signal, "type");
  const auto from = engine::json::string_at(signal, "from");
  if (!type || !from || engine::json::string_at(signal, "session") != room.str()) return {};
  if (*type == "left_stream") return presence_signal{std::string{*from}, presence::left};
  bool asks = false;
  if (*type == "here" && value["data"]["ask"].get(asks) == simdjson::SUCCESS && asks)
    return presence_signal{std::string{*from}, presence::asking};
  return presence_signal{std::string{*from}, presence::here};
}

}  // namespace rowcall::tools
