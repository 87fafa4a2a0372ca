#include "engine/json.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <system_error>

namespace rowcall::engine::json {
namespace {

/// simdjson reports a missing end, text after the end and a missing comma alike. Only reached for text that is broken.
std::string describe_structure(std::string_view text) {
  std::size_t depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\')
        ++i;
      else if (c == '"')
        in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      ++depth;
    } else if ((c == '}' || c == ']') && (depth == 0 || --depth == 0)) {
      if (text.find_first_not_of(" \t\r\n", i + 1) != std::string_view::npos)
        return "the JSON has more text after its end, at byte " + std::to_string(i + 2);
      break;
    }
  }
  if (in_string) return "the JSON ends within a string";
  if (depth > 0) return "the JSON is cut off: " + std::to_string(depth) + " brackets are not closed";
  return "the JSON is malformed (a missing or superfluous comma, colon, quote or bracket)";
}

std::string describe(simdjson::error_code code, std::string_view text) {
  using namespace simdjson;
  switch (code) {
    case CAPACITY:
      return "the JSON has " + std::to_string(text.size()) + " bytes, the limit is " +
             std::to_string(parser::text_bytes_max);
    case MEMALLOC:
      return "there is not enough memory to read the JSON";
    case DEPTH_ERROR:
      return "the JSON is nested deeper than " + std::to_string(depth_max) + " levels";
    case UTF8_ERROR:
      return "the JSON is not valid UTF-8";
    case NUMBER_ERROR:
    case NUMBER_OUT_OF_RANGE:
      return "a number in the JSON is malformed or out of range (64-bit integers and doubles); send a larger one as a "
             "string";
    case EMPTY:
      return "the JSON is empty";
    case UNESCAPED_CHARS:
      return "a string in the JSON holds a control character that is not escaped";
    case UNCLOSED_STRING:
      return "the JSON ends within a string";
    case STRING_ERROR:
      return "a string in the JSON holds an invalid escape";
    case T_ATOM_ERROR:
    case F_ATOM_ERROR:
    case N_ATOM_ERROR:
      return "the JSON holds a word that is not true, false or null";
    default:
      return describe_structure(text);
  }
}

void append_escaped_unit(std::string& out, unsigned unit) {
  static constexpr char digits[] = "0123456789abcdef";
  out += "\\u";
  for (int shift = 12; shift >= 0; shift -= 4) out += digits[(unit >> shift) & 0xf];
}

}  // namespace

result<value> parser::parse(std::string_view text) {
  // simdjson reads a few bytes past the end: parse from a buffer that has them, kept between calls.
  if (padded_.capacity() < text.size() + simdjson::SIMDJSON_PADDING) {
    if (text.size() > text_bytes_max) return fail(errc::invalid_argument, describe(simdjson::CAPACITY, text));
    padded_.reserve(text.size() + simdjson::SIMDJSON_PADDING);
  }
  padded_.assign(text);
  value parsed;
  if (const auto code = parser_.parse(padded_.data(), padded_.size(), false).get(parsed); code != simdjson::SUCCESS)
    return fail(errc::invalid_argument, describe(code, text));
  return parsed;
}

result<object> parser::parse_object(std::string_view text) {
  auto parsed = parse(text);
  if (!parsed) return tl::make_unexpected(std::move(parsed).error());
  object o;
  if (parsed->get(o) != simdjson::SUCCESS)
    return fail(errc::invalid_argument, "the JSON is not an object: write {\"name\": value, …}");
  return o;
}

bool has_nul(const value& v) {
  using simdjson::dom::element_type;
  // The depth of the recursion is the parser's limit at most.
  switch (v.type()) {
    case element_type::STRING:
      return v.get_string().value_unsafe().find('\0') != std::string_view::npos;
    case element_type::ARRAY: {
      const simdjson::dom::array items = v.get_array().value_unsafe();  // the result itself is a temporary
      for (const value item : items)
        if (has_nul(item)) return true;
      return false;
    }
    case element_type::OBJECT:
      return has_nul(v.get_object().value_unsafe());
    default:
      return false;
  }
}

bool has_nul(const object& o) {
  for (const auto field : o)
    if (field.key.find('\0') != std::string_view::npos || has_nul(field.value)) return true;
  return false;
}

bool has_unstorable_exponent(std::string_view text) {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  // Most texts have no digit before an e anywhere.
  bool may_have = false;
  for (std::size_t i = 1; i < text.size() && !may_have; ++i)
    may_have = (text[i] == 'e' || text[i] == 'E') && is_digit(text[i - 1]);
  if (!may_have) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '"') {
      while (++i < text.size() && text[i] != '"')
        if (text[i] == '\\') ++i;
    } else if (is_digit(text[i]) || text[i] == '-') {
      const auto end = std::min(text.find_first_not_of("+-.0123456789eE", i), text.size());
      const auto number = text.substr(i, end - i);
      i = end - 1;
      if (number.find_first_of("eE") == std::string_view::npos) continue;
      double d = 0;
      // Neither bound is exact as a double; what lies on it is refused.
      if (std::from_chars(number.data(), number.data() + number.size(), d).ec != std::errc{} || d >= 0x1p64 || d <= -0x1p63)
        return true;
    }
  }
  return false;
}

std::optional<std::string_view> string_at(const object& o, std::string_view key) {
  std::string_view text;
  if (o.at_key(key).get(text) != simdjson::SUCCESS) return std::nullopt;
  return text;
}

std::optional<std::int64_t> int_at(const object& o, std::string_view key) {
  std::int64_t number = 0;
  if (o.at_key(key).get(number) != simdjson::SUCCESS) return std::nullopt;
  return number;
}

std::string to_text(const value& v) { return simdjson::minify(v); }

void append_quoted(std::string& out, std::string_view text) {
  out.reserve(out.size() + text.size() + 2);
  out += '"';
  std::size_t plain = 0;  // start of the run that needs no escape
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    const bool line_separator =
        c == 0xe2 && i + 2 < text.size() && text[i + 1] == '\x80' && (text[i + 2] == '\xa8' || text[i + 2] == '\xa9');
    if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7f && !line_separator) continue;
    out.append(text, plain, i - plain);
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\b':
        out += "\\b";
        break;
      case '\f':
        out += "\\f";
        break;
      default:
        if (line_separator) {
          append_escaped_unit(out, text[i + 2] == '\xa8' ? 0x2028 : 0x2029);
          i += 2;
        } else {
          append_escaped_unit(out, c);
        }
    }
    plain = i + 1;
  }
  out.append(text, plain);
  out += '"';
}

void writer::separate() {
  if (out_.empty()) return;
  const char last = out_.back();
  if (last != '{' && last != '[' && last != ':') out_ += ',';
}

writer& writer::begin_object() {
  separate();
  out_ += '{';
  return *this;
}
writer& writer::end_object() {
  out_ += '}';
  return *this;
}
writer& writer::begin_array() {
  separate();
  out_ += '[';
  return *this;
}
writer& writer::end_array() {
  out_ += ']';
  return *this;
}
writer& writer::key(std::string_view name) {
  separate();
  append_quoted(out_, name);
  out_ += ':';
  return *this;
}
writer& writer::string(std::string_view text) {
  separate();
  append_quoted(out_, text);
  return *this;
}
writer& writer::number(std::int64_t n) {
  separate();
  out_ += std::to_string(n);
  return *this;
}
writer& writer::number(double n) {
  if (!std::isfinite(n)) return null();
  separate();
  std::array<char, 32> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), n);  // shortest that reads back the same
  out_.append(digits.data(), end.ptr);
  return *this;
}
writer& writer::boolean(bool b) {
  separate();
  out_ += b ? "true" : "false";
  return *this;
}
writer& writer::null() {
  separate();
  out_ += "null";
  return *this;
}
writer& writer::raw(std::string_view json) {
  separate();
  out_ += json;
  return *this;
}

std::string object_of(std::initializer_list<std::pair<std::string_view, std::string_view>> members) {
  writer w;
  w.begin_object();
  for (const auto& [key, text] : members) w.key(key).string(text);
  w.end_object();
  return std::move(w).str();
}

}  // namespace rowcall::engine::json
