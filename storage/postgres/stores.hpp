#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/chat/ports.hpp"
#include "engine/console.hpp"
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
  std::chrono::milliseconds statement_timeout{30'000};  ///< the server's; 0: none
  /// A connection on which no answer comes for this much longer is given up: the server can not be reached.
  std::chrono::milliseconds answer_margin{5'000};
  /// A turn with at least this many rows is appended with COPY, a smaller one with one statement in COMMIT's round trip.
  std::size_t copy_rows_min = 64;
  /// When set: a connection to a database of another incarnation is refused (superseded). For whoever remembers what it
  /// read: the stores of an engine.
  std::string incarnation;
  /// When set: asked before a connection is made, by the thread that needs it; an error is that of the operation. For
  /// whoever starts before the database does: nothing is read or written before its schema is known to fit.
  std::function<engine::result<void>()> may_connect;
};

std::unique_ptr<engine::turn_store> make_turn_store(store_config config, std::string node);
std::unique_ptr<engine::node_store> make_node_store(store_config config);
std::unique_ptr<engine::command_store> make_command_store(store_config config);
std::unique_ptr<engine::update_store> make_update_store(store_config config);
std::unique_ptr<engine::admin_store> make_admin_store(store_config config);
std::unique_ptr<engine::chat::chat_store> make_chat_store(store_config config);
/// Its transactions can not write.
std::unique_ptr<engine::console_store> make_console_store(store_config config);

/// A session that got commands lately.
struct busy_session {
  engine::session_id session;
  std::int64_t recent_commands = 0;  ///< since the sweep's watermark moved (some 10 s), pending ones included
  std::int64_t pending_commands = 0;
  std::chrono::milliseconds oldest_pending_age{0};
};

/// Which sessions are busy, for people. Looks at 20,000 commands at most, so in a large backlog it is a sample. One
/// thread at a time. Blocking.
class session_ranking {
 public:
  virtual ~session_ranking() = default;
  /// The busiest first: by pending commands, then by recent ones.
  virtual engine::result<std::vector<busy_session>> busiest(std::size_t limit) = 0;
};
std::unique_ptr<session_ranking> make_session_ranking(store_config config);

}  // namespace rowcall::storage::postgres
