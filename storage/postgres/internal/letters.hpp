#pragma once

#include "engine/ports.hpp"
#include "storage/postgres/internal/rows.hpp"

namespace rowcall::storage::postgres::internal {

/// Columns session_id, command_seq, type, data, error, attempts, failed_at, resolution.
inline engine::result<engine::dead_letter> dead_letter(const pqxx::row& row) {
  auto session = engine::session_id::parse(text(row[0]));
  if (!session) return tl::make_unexpected(session.error());
  return engine::dead_letter{*std::move(session),
                             {number(row[1])},
                             string(row[2]),
                             string(row[3]),
                             string(row[4]),
                             static_cast<int>(number(row[5])),
                             time_us(row[6]),
                             string(row[7])};
}

}  // namespace rowcall::storage::postgres::internal
