#include "storage/postgres/internal/copy.hpp"

#include <array>
#include <charconv>

#include <libpq-fe.h>

namespace rowcall::storage::postgres::internal {
namespace {

/// Sent on as soon as there is so much, so that the server works meanwhile.
constexpr std::size_t flush_bytes = 16 * 1024;

/// What needs a backslash, or what only might: the loop has no branch, so that the compiler makes vector code of it.
bool may_need_escape(std::string_view value) {
  unsigned found = 0;
  for (const char c : value) found |= static_cast<unsigned>(c == '\\') | static_cast<unsigned>(static_cast<unsigned char>(c) < 0x20);
  return found != 0;
}

/// Appends a value as COPY's text format wants it.
void append_copy_text(std::string& out, std::string_view value) {
  if (!may_need_escape(value)) {
    out += value;
    return;
  }
  for (const char c : value) {
    switch (c) {
      case '\\': out += "\\\\"; break;
      case '\t': out += "\\t"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      default: out += c;
    }
  }
}

}  // namespace

void row_encoder::begin_field() {
  if (!is_first_) bytes_ += '\t';
  is_first_ = false;
}

row_encoder& row_encoder::number(std::int64_t value) {
  begin_field();
  std::array<char, 20> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value);
  bytes_.append(digits.data(), end.ptr);
  return *this;
}

row_encoder& row_encoder::text(std::string_view value) {
  begin_field();
  append_copy_text(bytes_, value);
  return *this;
}

row_encoder& row_encoder::null() {
  begin_field();
  bytes_ += "\\N";
  return *this;
}

void row_encoder::end_row() {
  bytes_ += '\n';
  is_first_ = true;
}

copy_in::copy_in(link& to, pqxx::nontransaction& session, const std::string& table,
                 const std::vector<std::string>& columns)
    : to_(to), stream_(session, table, columns) {
  rows_.reserve(flush_bytes + flush_bytes / 4);
}

void copy_in::end_row() {
  rows_.end_row();
  if (rows_.bytes().size() >= flush_bytes) flush();
}

void copy_in::flush() {
  to_.expect_answer();
  if (PQputCopyData(to_.native_handle(), rows_.bytes().data(), static_cast<int>(rows_.bytes().size())) != 1)
    throw pqxx::broken_connection(PQerrorMessage(to_.native_handle()));
  rows_.clear();
}

void copy_in::complete() {
  if (!rows_.bytes().empty()) flush();
  stream_.complete();
}

}  // namespace rowcall::storage::postgres::internal
