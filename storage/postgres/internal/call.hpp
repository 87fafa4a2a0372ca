#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

/// Text of SQL for the simple protocol. It is used because it takes several statements in one round trip
/// (`BEGIN; EXECUTE turn_claim(…)`, `EXECUTE update_append(…); COMMIT`), which the extended protocol of libpqxx does
/// not. Needs what link sets up: client_encoding UTF8, standard_conforming_strings on.
namespace rowcall::storage::postgres::internal {

/// Appends `text` as a quoted literal. Throws std::invalid_argument when it holds a NUL.
void append_literal(std::string& sql, std::string_view text);
/// Appends `text` as a quoted identifier. Throws std::invalid_argument when it is empty or holds a NUL.
void append_name(std::string& sql, std::string_view text);

/// `EXECUTE <query>(argument, …)` of a prepared query. Arguments in the order of its $1, $2, ….
class call {
 public:
  explicit call(std::string_view query);
  call& text(std::string_view value);
  call& number(std::int64_t value);
  call& real(double value);
  call& boolean(bool value);
  call& null();
  /// One array argument: an element for each item of `items`, as `project(item)` gives it: text, an integer, a bool,
  /// or an optional text.
  template <class Range, class Project>
  call& array(const Range& items, Project project) {
    separate();
    sql_ += "'{";
    bool first = true;
    for (const auto& item : items) {
      if (!first) sql_ += ',';
      first = false;
      using element = std::remove_cvref_t<decltype(project(item))>;
      if constexpr (std::is_same_v<element, bool>)
        sql_ += project(item) ? 't' : 'f';
      else if constexpr (std::is_integral_v<element>)
        sql_ += std::to_string(project(item));
      else if constexpr (std::is_same_v<element, std::optional<std::string>>) {
        if (const auto& value = project(item))
          element_text(*value);
        else
          sql_ += "NULL";
      } else
        element_text(project(item));
    }
    sql_ += "}'";
    return *this;
  }
  /// The statement. Ends the call.
  std::string str();
  /// Appends the statement and `;` to a longer text.
  void append_to(std::string& sql);

 private:
  void separate();
  void element_text(std::string_view value);
  std::string sql_;
  bool has_arguments_ = false;
};

}  // namespace rowcall::storage::postgres::internal
