#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "storage/postgres/internal/link.hpp"

namespace rowcall::storage::postgres::internal {

/// Rows in COPY's text format: fields between tabs, a line a row. No connection is needed for it. Values must be UTF-8
/// without NUL.
class row_encoder {
 public:
  row_encoder& number(std::int64_t value);
  row_encoder& text(std::string_view value);
  row_encoder& null();
  void end_row();
  const std::string& bytes() const { return bytes_; }
  void reserve(std::size_t bytes) { bytes_.reserve(bytes); }
  /// Keeps its memory. Between rows.
  void clear() { bytes_.clear(); }

 private:
  void begin_field();

  std::string bytes_;
  bool is_first_ = true;
};

/// COPY … FROM STDIN of one table. libpqxx begins and ends it; the rows are encoded here and handed to libpq: its own
/// encoder builds several strings a value, which was a third of the engine's time on a backlog.
///
///     copy_in copy(link, session, "rowcall.update_log", {"seq", "data"});
///     copy.number(1).text("{}").end_row();
///     copy.complete();
///
/// Throws what libpqxx throws.
class copy_in {
 public:
  /// `columns` must be names that need no quotes, or quoted already. `session` is `to`'s.
  copy_in(link& to, pqxx::nontransaction& session, const std::string& table, const std::vector<std::string>& columns);
  copy_in& number(std::int64_t value) { return rows_.number(value), *this; }
  copy_in& text(std::string_view value) { return rows_.text(value), *this; }
  copy_in& null() { return rows_.null(), *this; }
  void end_row();
  /// Without it the statement is ended all the same, and its error is lost.
  void complete();

 private:
  void flush();

  link& to_;
  pqxx::stream_to stream_;
  row_encoder rows_;
};

}  // namespace rowcall::storage::postgres::internal
