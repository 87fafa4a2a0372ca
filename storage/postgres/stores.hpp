#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "engine/chat/ports.hpp"
#include "engine/ports.hpp"

/// The stores on PostgreSQL 15 or newer. Each holds one connection of its own, made on first use and made anew after
/// it was lost; each is used by one thread at a time. libpqxx stays behind this header.
namespace rowcall::storage::postgres {

struct store_config {
  std::string url;  ///< libpq connection string or URI
  std::string application_name = "rowcall";
  std::chrono::milliseconds connect_timeout{5'000};
  /// The bound on how long a stopped node can keep its shards: idle_in_transaction_session_timeout of turns.
  std::chrono::milliseconds transaction_timeout{5'000};
  std::chrono::milliseconds statement_timeout{30'000};
  /// A turn with at least this many rows is appended with COPY, a smaller one with one statement in COMMIT's round trip.
  std::size_t copy_rows_min = 64;
};

std::unique_ptr<engine::turn_store> make_turn_store(store_config config, std::string node);
std::unique_ptr<engine::node_store> make_node_store(store_config config);
std::unique_ptr<engine::command_store> make_command_store(store_config config);
std::unique_ptr<engine::update_store> make_update_store(store_config config);
std::unique_ptr<engine::admin_store> make_admin_store(store_config config);
std::unique_ptr<engine::chat::chat_store> make_chat_store(store_config config);

}  // namespace rowcall::storage::postgres
