#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <pqxx/pqxx>

#include "engine/ports.hpp"
#include "storage/postgres/internal/rows.hpp"

namespace rowcall::storage::postgres::internal {

/// A node that has been silent for so long is not among those that people are shown, and its name is free. As in
/// rowcall.node_died.
constexpr std::int64_t node_dead_after_ms = 5'000;

/// An array of kinds, whose characters need no escapes.
inline std::vector<std::string> kinds(std::string_view array) {
  std::vector<std::string> out;
  std::string kind;
  for (char c : array) {
    if (c == ',' || c == '}') {
      if (!kind.empty()) out.push_back(std::move(kind));
      kind.clear();
    } else if (c != '{' && c != '"') {
      kind += c;
    }
  }
  return out;
}

/// The rows of query node_live.
inline std::vector<engine::node_info> nodes(const pqxx::result& rows) {
  std::vector<engine::node_info> out;
  for (const auto& row : rows) {
    auto& n = out.emplace_back();
    n.node = string(row[0]);
    n.kinds = kinds(text(row[1]));
    n.version = string(row[2]);
    n.heartbeat_age = std::chrono::milliseconds{number(row[3])};
    n.uptime = std::chrono::seconds{number(row[4])};
  }
  return out;
}

}  // namespace rowcall::storage::postgres::internal
