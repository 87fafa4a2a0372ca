#include "storage/postgres/internal/call.hpp"

#include <charconv>
#include <stdexcept>

namespace rowcall::storage::postgres::internal {
namespace {

void refuse_nul(std::string_view text) {
  // libpq takes the statement as a C string: a NUL would cut it in the middle.
  if (text.find('\0') != std::string_view::npos) throw std::invalid_argument("the text holds a NUL, which can not be stored");
}

}  // namespace

void append_literal(std::string& sql, std::string_view text) {
  refuse_nul(text);
  sql += '\'';
  for (char c : text) {
    if (c == '\'') sql += c;
    sql += c;
  }
  sql += '\'';
}

void append_name(std::string& sql, std::string_view text) {
  refuse_nul(text);
  if (text.empty()) throw std::invalid_argument("a table or column name is empty");
  sql += '"';
  for (char c : text) {
    if (c == '"') sql += c;
    sql += c;
  }
  sql += '"';
}

call::call(std::string_view query) {
  sql_.reserve(256);
  sql_ += "EXECUTE ";
  sql_ += query;
}

void call::separate() {
  sql_ += has_arguments_ ? ',' : '(';
  has_arguments_ = true;
}

call& call::text(std::string_view value) {
  separate();
  append_literal(sql_, value);
  return *this;
}

call& call::number(std::int64_t value) {
  separate();
  // In quotes: `-1` would be an expression, and a bare number is taken for an integer first.
  sql_ += '\'';
  sql_ += std::to_string(value);
  sql_ += '\'';
  return *this;
}

call& call::real(double value) {
  separate();
  char text[64];
  const auto end = std::to_chars(text, text + sizeof text, value).ptr;
  append_literal(sql_, std::string_view{text, static_cast<std::size_t>(end - text)});
  return *this;
}

call& call::boolean(bool value) {
  separate();
  sql_ += value ? "true" : "false";
  return *this;
}

call& call::null() {
  separate();
  sql_ += "NULL";
  return *this;
}

void call::element_text(std::string_view value) {
  refuse_nul(value);
  // Two layers at once: the array's (\ and " escaped by \) inside the literal's (' doubled).
  sql_ += '"';
  std::size_t plain = 0;
  for (std::size_t i = 0; i < value.size(); ++i) {
    const char c = value[i];
    if (c != '"' && c != '\\' && c != '\'') continue;
    sql_.append(value, plain, i - plain);
    sql_ += c == '\'' ? '\'' : '\\';
    plain = i;
  }
  sql_.append(value, plain, value.size() - plain);
  sql_ += '"';
}

std::string call::str() {
  if (has_arguments_) sql_ += ')';
  return std::move(sql_);
}

void call::append_to(std::string& sql) {
  sql += sql_;
  if (has_arguments_) sql += ')';
  sql += ';';
}

}  // namespace rowcall::storage::postgres::internal
