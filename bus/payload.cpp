#include "bus/payload.hpp"

#include <charconv>
#include <limits>

namespace rowcall::bus {
namespace {

using engine::errc;
using engine::fail;
namespace json = engine::json;

constexpr std::size_t wake_bytes_max = 16 * 1024;

void append_number(std::string& out, std::int64_t n) {
  char digits[24];
  const auto end = std::to_chars(digits, digits + sizeof digits, n).ptr;
  out.append(digits, end);
}

/// What encode(wake) writes, read without a JSON parser: wakes are the hot path.
std::optional<std::int64_t> read_own_wake(std::string_view payload) {
  constexpr std::string_view head = "{\"last\":";
  if (!payload.starts_with(head) || !payload.ends_with('}')) return std::nullopt;
  const auto digits = payload.substr(head.size(), payload.size() - head.size() - 1);
  std::int64_t n = 0;
  const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), n);
  if (failed != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
  return n;
}

/// One member of "updates". The document was validated as a whole before, so that a walk on demand is safe; it gives
/// `data` as it was sent, where the DOM would print numbers anew (1.10 as 1.1).
engine::result<engine::update_row> read_update(simdjson::ondemand::object object) {
  engine::update_row row;
  std::int64_t at_us = 0;
  bool has_seq = false, has_command = false, has_type = false, has_data = false;
  for (auto member : object) {
    simdjson::ondemand::field field;
    if (std::move(member).get(field)) return fail(errc::invalid_argument, "an update can not be read");
    std::string_view key;
    if (field.unescaped_key().get(key)) return fail(errc::invalid_argument, "an update's key can not be read");
    auto value = field.value();
    bool read = true;
    if (key == "seq" && !has_seq) {
      read = has_seq = value.get_int64().get(row.seq.value) == simdjson::SUCCESS;
    } else if (key == "command_seq" && !has_command) {
      read = has_command = value.get_int64().get(row.command.value) == simdjson::SUCCESS;
    } else if (key == "type" && !has_type) {
      std::string_view type;
      read = has_type = value.get_string().get(type) == simdjson::SUCCESS;
      if (has_type) row.type = type;
    } else if (key == "at") {
      read = value.get_int64().get(at_us) == simdjson::SUCCESS;
    } else if (key == "data" && !has_data) {
      simdjson::ondemand::object data;
      std::string_view text;
      read = has_data =
          value.get_object().get(data) == simdjson::SUCCESS && data.raw_json().get(text) == simdjson::SUCCESS;
      if (has_data) row.data = text;
    }
    if (!read) return fail(errc::invalid_argument, "an update has a member of the wrong type: " + std::string{key});
  }
  if (!has_seq || !has_command || !has_type || !has_data)
    return fail(errc::invalid_argument, "an update needs seq, command_seq, type and data");
  if (row.seq.value < 1 || row.command.value < 1) return fail(errc::invalid_argument, "a seq is counted from 1");
  if (!engine::is_valid_type(row.type)) return fail(errc::invalid_argument, "an update's type is not a valid one");
  row.created_at = engine::db_time{std::chrono::microseconds{at_us}};
  return row;
}

/// The command of a wake that was validated as a whole before (see read_update); null when it is not one.
std::shared_ptr<const engine::command_row> read_command(std::string_view payload, engine::command_seq seq) {
  thread_local simdjson::ondemand::parser parser;
  const simdjson::padded_string padded{payload};
  simdjson::ondemand::document document;
  simdjson::ondemand::object object, data;
  std::string_view type, text;
  std::int64_t at_us = 0;
  if (parser.iterate(padded).get(document) || document.find_field_unordered("command").get_object().get(object))
    return nullptr;
  if (object.find_field_unordered("type").get_string().get(type) || !engine::is_valid_type(type)) return nullptr;
  auto row = std::make_shared<engine::command_row>();
  row->seq = seq;
  row->type = type;
  if (object.find_field_unordered("at").get_int64().get(at_us)) return nullptr;
  row->created_at = engine::db_time{std::chrono::microseconds{at_us}};
  if (object.find_field_unordered("data").get_object().get(data) || data.raw_json().get(text)) return nullptr;
  row->data = text;
  return row;
}

engine::result<void> read_updates(std::string_view payload, engine::update_notice& notice) {
  thread_local simdjson::ondemand::parser parser;
  const simdjson::padded_string padded{payload};
  const auto unreadable = [] { return fail(errc::invalid_argument, "\"updates\" can not be read"); };
  simdjson::ondemand::document document;
  simdjson::ondemand::array rows;
  if (parser.iterate(padded).get(document)) return unreadable();
  if (document.find_field_unordered("updates").get_array().get(rows)) return unreadable();
  std::int64_t expected = notice.first.value;
  for (auto element : rows) {
    simdjson::ondemand::object object;
    if (element.get_object().get(object)) return unreadable();
    auto row = read_update(object);
    if (!row) return tl::make_unexpected(std::move(row.error()));
    if (row->seq.value != expected || expected > notice.last.value)
      return fail(errc::invalid_argument, "\"updates\" are not first..last");
    ++expected;
    notice.updates.push_back(*std::move(row));
  }
  if (expected != notice.last.value + 1) return fail(errc::invalid_argument, "\"updates\" are not first..last");
  return {};
}

}  // namespace

std::string encode(const engine::wake& w, std::size_t command_bytes_max) {
  std::string out;
  if (w.last.value <= 0) return out;
  out += "{\"last\":";
  append_number(out, w.last.value);
  if (w.command && w.command->seq == w.last && w.command->data.size() <= command_bytes_max) {
    out += ",\"command\":{\"type\":\"";  // a type needs no escaping, by its alphabet
    out += w.command->type;
    out += "\",\"data\":";
    out += w.command->data;
    out += ",\"at\":";
    append_number(out, w.command->created_at.time_since_epoch().count());
    out += '}';
  }
  out += '}';
  return out;
}

std::string encode(const engine::update_notice& n, std::size_t inline_bytes_max) {
  constexpr std::size_t update_overhead_bytes = 96;
  std::size_t bytes = 0;
  for (const auto& row : n.updates) bytes += row.data.size() + row.type.size() + update_overhead_bytes;
  const bool is_inline = !n.updates.empty() && bytes <= inline_bytes_max;
  std::string out;
  out.reserve(96 + n.session.str().size() + (is_inline ? bytes : 0));
  // An id needs no escaping: neither do types, by their alphabets.
  out += "{\"session\":\"";
  out += n.session.str();
  out += "\",\"first\":";
  append_number(out, n.first.value);
  out += ",\"last\":";
  append_number(out, n.last.value);
  if (is_inline) {
    char separator = '[';
    out += ",\"updates\":";
    for (const auto& row : n.updates) {
      out += separator;
      separator = ',';
      out += "{\"seq\":";
      append_number(out, row.seq.value);
      out += ",\"command_seq\":";
      append_number(out, row.command.value);
      out += ",\"type\":\"";
      out += row.type;
      out += "\",\"data\":";
      out += row.data;
      out += ",\"at\":";
      append_number(out, row.created_at.time_since_epoch().count());
      out += '}';
    }
    out += ']';
  }
  out += '}';
  return out;
}

engine::wake decode_wake(engine::session_id session, std::string_view payload, json::parser& parser) {
  engine::wake w{std::move(session), {}};
  if (payload.empty()) return w;
  if (const auto last = read_own_wake(payload)) {
    if (*last > 0) w.last.value = *last;
    return w;
  }
  if (payload.size() > wake_bytes_max) return w;  // whoever sends more is not worth the parsing
  const auto object = parser.parse_object(payload);
  if (!object) return w;
  const auto last = json::int_at(*object, "last");
  if (!last || *last <= 0) return w;
  w.last.value = *last;
  simdjson::dom::element command;
  if (object->at_key("command").get(command) == simdjson::SUCCESS) w.command = read_command(payload, w.last);
  return w;
}

engine::result<engine::update_notice> decode_updates(const engine::session_id& session, std::string_view payload,
                                                     json::parser& parser) {
  const auto object = parser.parse_object(payload);
  if (!object) return tl::make_unexpected(object.error());
  const auto named = json::string_at(*object, "session");
  if (!named || *named != session.str()) return fail(errc::invalid_argument, "the payload is about another session");
  const auto first = json::int_at(*object, "first");
  const auto last = json::int_at(*object, "last");
  if (!first || !last || *first < 1 || *last < *first || *last == std::numeric_limits<std::int64_t>::max())
    return fail(errc::invalid_argument, "\"first\" and \"last\" must be numbers with 1 <= first <= last");
  engine::update_notice notice{session, {*first}, {*last}, {}};
  simdjson::dom::element updates;
  if (object->at_key("updates").get(updates) == simdjson::SUCCESS)
    if (auto read = read_updates(payload, notice); !read) return tl::make_unexpected(std::move(read.error()));
  return notice;
}

}  // namespace rowcall::bus
