#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "storage/memory/memory_stores.hpp"

/// The server's side of the in-memory database, for tests, checkers and simulation: everything that is committed as
/// plain values, and the power that an operator or a timeout has over open turns. All functions are thread-safe.
namespace rowcall::storage::memory {

/// A row of a domain table: column to value (nothing = NULL).
using domain_record = std::map<std::string, std::optional<std::string>>;

struct command_record_dump {
  engine::command_row row;
  std::optional<std::string> idempotency_key;
};

struct session_dump {
  engine::session_id session;
  std::vector<command_record_dump> commands;      ///< in the order of seq
  std::vector<engine::update_row> updates;        ///< in the order of seq (doubled ones last, see set_fence)
  std::vector<engine::snapshot_row> snapshots;    ///< in the order of seq
  std::optional<engine::retry_row> retry;
};

struct shard_dump {
  engine::shard_index shard = 0;
  std::string owner;        ///< empty: nobody's
  std::int64_t epoch = 0;   ///< how often it changed its owner
  bool is_suspect = false;  ///< was once taken from a node that had died
  bool is_locked = false;   ///< by an open turn
};

/// All that is committed, in the order of keys: equal histories give equal dumps.
struct database_dump {
  std::vector<session_dump> sessions;
  std::map<std::string, std::vector<domain_record>> tables;  ///< rows in the order of their primary key
  std::vector<engine::dead_letter> dead_letters;
  std::vector<shard_dump> shards;  ///< those that were ever asked for
};

database_dump dump(database& db);

/// Makes a domain table, as a migration would, besides `chats` (key: chat_id), `members` (chat_id, user_id) and
/// `messages` (chat_id, message_id).
/// A turn that writes into an unknown table fails with `internal`.
void declare_table(database& db, const std::string& name, std::vector<std::string> key_columns);

/// What PostgreSQL does with the connections of a node that was cut off: its open turns are rolled back and their
/// shards are free; their commit() returns connection_lost. Returns how many there were.
std::size_t drop_open_turns(database& db, const std::string& node);
/// As above, of all nodes: the server restarts.
std::size_t drop_open_turns(database& db);
std::size_t open_turns(database& db);

/// The server crashes and comes back: the open turns are rolled back, and what was committed without waiting for the disk,
/// behind the last COMMIT that waited, is gone. Returns how many commands that were.
std::size_t crash(database& db);

/// Without the fence an update whose seq is there already is stored beside it, as in a table without its primary key.
void set_fence(database& db, bool is_on);

/// A turn that stays open for longer is dropped (idle_in_transaction_session_timeout). Measured with the
/// database's clock whenever somebody calls the database. 5 s at first, as on PostgreSQL.
void set_turn_timeout(database& db, std::chrono::milliseconds timeout);

}  // namespace rowcall::storage::memory
