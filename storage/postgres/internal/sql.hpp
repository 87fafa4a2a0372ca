#pragma once

#include <span>
#include <string_view>

/// The SQL files of this folder, embedded at build time by embed_sql.cmake.
namespace rowcall::storage::postgres::internal {

struct query_text {
  std::string_view name;  ///< the file's name without .sql; prepared under it
  std::string_view sql;
};
std::span<const query_text> queries();

struct migration_text {
  int version = 0;
  int compatible_from = 0;  ///< the oldest version whose binaries can work with this schema
  std::string_view name;
  std::string_view checksum;  ///< SHA-256 of the up file, hexadecimal
  std::string_view up;
  std::string_view down;
};
/// In ascending order, numbered from 1 without gaps.
std::span<const migration_text> migrations();

}  // namespace rowcall::storage::postgres::internal
