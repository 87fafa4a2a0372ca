#pragma once

#include <cstdlib>
#include <string>
#include <string_view>

#include <pqxx/pqxx>

#include "engine/types.hpp"

/// Reading fields without a copy or an exception: the queries' own types make the conversions safe.
namespace rowcall::storage::postgres::internal {

inline std::string_view text(const pqxx::field& f) { return {f.c_str(), f.size()}; }
inline std::string string(const pqxx::field& f) { return std::string{text(f)}; }
/// 0 for NULL, whose text is empty.
inline std::int64_t number(const pqxx::field& f) { return std::strtoll(f.c_str(), nullptr, 10); }
inline engine::db_time time_us(const pqxx::field& f) { return engine::db_time{std::chrono::microseconds{number(f)}}; }

/// Columns seq, command_seq, type, data, at from `first` on.
inline engine::update_row update_row(const pqxx::row& row, pqxx::row_size_type first) {
  return {{number(row[first])}, {number(row[first + 1])}, string(row[first + 2]), string(row[first + 3]), time_us(row[first + 4])};
}

}  // namespace rowcall::storage::postgres::internal
