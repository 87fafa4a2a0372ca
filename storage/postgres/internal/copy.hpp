#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "storage/postgres/internal/link.hpp"

namespace rowcall::storage::postgres::internal {

/// COPY … FROM STDIN of one table, in the text format. libpqxx begins and ends it; the rows are encoded here and handed to
/// libpq: its own encoder builds several strings a value, which was a third of the engine's time on a backlog.
///
///     copy_in copy(link, session, "rowcall.update_log", {"seq", "data"});
///     copy.number(1).text("{}").end_row();
///     copy.complete();
///
/// Throws what libpqxx throws. Values must be UTF-8 without NUL.
class copy_in {
 public:
  /// `columns` must be names that need no quotes, or quoted already. `session` is `to`'s.
  copy_in(link& to, pqxx::nontransaction& session, const std::string& table, const std::vector<std::string>& columns);
  copy_in& number(std::int64_t value);
  copy_in& text(std::string_view value);
  copy_in& null();
  void end_row();
  /// Without it the statement is ended all the same, and its error is lost.
  void complete();

 private:
  void begin_field();
  void flush();

  link& to_;
  pqxx::stream_to stream_;
  std::string rows_;
  bool is_first_ = true;
};

}  // namespace rowcall::storage::postgres::internal
