#pragma once

#include <vector>

#include <pqxx/pqxx>

#include "engine/ports.hpp"
#include "storage/postgres/internal/rows.hpp"

namespace rowcall::storage::postgres::internal {

/// A node that has been silent for so long is not among those that people are shown.
constexpr std::int64_t node_dead_after_ms = 5'000;

/// The rows of query node_live.
inline std::vector<engine::node_info> nodes(const pqxx::result& rows) {
  std::vector<engine::node_info> out;
  for (const auto& row : rows) {
    auto& n = out.emplace_back();
    n.node = string(row[0]);
    // An array of kinds, whose characters need no escapes.
    std::string kind;
    for (char c : text(row[1])) {
      if (c == ',' || c == '}') {
        if (!kind.empty()) n.kinds.push_back(std::move(kind));
        kind.clear();
      } else if (c != '{' && c != '"') {
        kind += c;
      }
    }
    n.version = string(row[2]);
    n.heartbeat_age = std::chrono::milliseconds{number(row[3])};
    n.uptime = std::chrono::seconds{number(row[4])};
  }
  return out;
}

}  // namespace rowcall::storage::postgres::internal
