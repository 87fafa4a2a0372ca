#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <simdjson.h>

#include "engine/result.hpp"

/// Reading (simdjson's DOM, which validates all of a document) and writing of JSON.
namespace rowcall::engine::json {

using value = simdjson::dom::element;
using object = simdjson::dom::object;

/// How deep arrays and objects may be nested.
constexpr std::size_t depth_max = 1024;

/// One per thread, reusable. A parsed value lives until the next parse.
class parser {
 public:
  static constexpr std::size_t text_bytes_max = 1 << 24;

  /// Errors: invalid_argument, in plain words (nested too deep, invalid UTF-8, number out of range, …).
  result<value> parse(std::string_view text);
  /// As parse; anything but an object is an error.
  result<object> parse_object(std::string_view text);

 private:
  simdjson::dom::parser parser_{text_bytes_max};
  std::string padded_;
};

/// True when a string or key anywhere in the value holds U+0000 (jsonb can not).
bool has_nul(const value& v);
bool has_nul(const object& o);

/// True when a number with an exponent would not be readable once jsonb has stored it: jsonb writes all digits out, so
/// 1e20 becomes an integer past 64 bits and 1e-16000 a text of 16,000 digits. `text` is valid JSON.
bool has_unstorable_exponent(std::string_view text);
inline constexpr const char* unstorable_exponent =
    "a number with an exponent is out of range (-9.2e18 to 1.8e19, and not below 1e-307); send it as a string";

/// A member of an object, or nothing when it is missing or of another type.
std::optional<std::string_view> string_at(const object& o, std::string_view key);
std::optional<std::int64_t> int_at(const object& o, std::string_view key);

/// The text of a value again, minified. Integers of up to 64 bits keep their digits; other numbers keep their value,
/// not their spelling (1e2 becomes 100.0): pass the original text on where there is one.
std::string to_text(const value& v);

/// Appends `text` as a JSON string with quotes. `text` is UTF-8; the result is also a JavaScript and a one-line string
/// (control characters, U+2028 and U+2029 are escaped).
void append_quoted(std::string& out, std::string_view text);

/// Builds one object or array by appending; the caller keeps the order.
/// A number that JSON can not spell (infinity, NaN) becomes null.
///   writer w; w.begin_object().key("a").number(1).key("b").string("x").end_object(); w.str()
class writer {
 public:
  writer& begin_object();
  writer& end_object();
  writer& begin_array();
  writer& end_array();
  writer& key(std::string_view name);
  writer& string(std::string_view text);
  writer& number(std::int64_t n);
  writer& number(double n);
  writer& boolean(bool b);
  writer& null();
  writer& raw(std::string_view json);  ///< text that is valid JSON already
  const std::string& str() const& { return out_; }
  std::string str() && { return std::move(out_); }

 private:
  void separate();
  std::string out_;
};

/// An object of texts: {"key":"text",…}.
std::string object_of(std::initializer_list<std::pair<std::string_view, std::string_view>> members);

}  // namespace rowcall::engine::json
