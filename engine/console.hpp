#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/ports.hpp"

/// What an operator looks at, read from the database: small, bounded reads that do not disturb those who work.
namespace rowcall::engine {

struct console_node {
  node_info info;
  bool is_alive = false;  ///< false: stopped, or silent for some seconds; told for a minute
  double turns_per_s = 0, commands_per_s = 0;
  node_totals totals;
  std::vector<shard_index> shards;  ///< it served them last
};

/// One look at everything. Counts stop at a bound.
struct console_overview {
  db_time at{};
  std::int64_t xid = 0;  ///< transactions from this one on had not begun
  std::int64_t pending_commands = 0, pending_sessions = 0, retrying = 0, dead = 0;
  bool pending_is_exact = true;  ///< false: the count stopped at its bound
  std::chrono::milliseconds oldest_pending_age{0};
  std::vector<console_node> nodes;
};

/// A session that is hot or stuck.
struct ranked_session {
  session_id session;
  std::int64_t recent_commands = 0;  ///< of the hottest: of those that were looked at
  std::int64_t pending_commands = 0;
  std::chrono::milliseconds oldest_pending_age{0};
  update_seq last;
  int attempts = 0;  ///< above 0: held by a failure
  std::string error;
};
struct session_ranks {
  std::vector<ranked_session> sessions;
  bool is_complete = true;  ///< false: more commands were there than are looked at
};

struct held_command {
  session_id session;
  retry_row retry;   ///< `wait` below 0: it is due
  std::string type;  ///< empty: its row is gone
  db_time submitted_at{};
};

/// A session at a glance.
struct session_head {
  db_time created_at{};
  command_seq first_command, last_command, processed;
  update_seq first_update, last_update;  ///< first above 1: retention removed what was before
  update_seq first_snapshot, last_snapshot;
  std::int64_t dead = 0;
  std::optional<retry_row> retry;
};

/// A row of a log. `data` is left out when it is larger than asked for.
struct logged_row {
  std::int64_t seq = 0;
  std::int64_t command_seq = 0;  ///< of an update
  std::string type, data, key;   ///< key: of a command
  std::int64_t data_bytes = 0;   ///< as stored
  db_time at{};
};

/// Which dead letters.
struct letter_filter {
  bool with_resolved = false;
  std::string session_prefix, type, error_part;  ///< empty: any
};
/// The place between two letters of the list, newest first: below this key.
struct letter_place {
  db_time failed_at{};
  std::string session;
  std::int64_t command = 0;
};
struct listed_letter {
  dead_letter letter;  ///< data: empty when it is large
  command_seq redriven;
};
struct letter_page {
  std::vector<listed_letter> letters;
  std::optional<letter_place>
      next;  ///< where to go on; a page may be empty and have one: the filter fitted none so far
};

/// One thread at a time. Blocking. Never writes.
class console_store {
 public:
  virtual ~console_store() = default;
  virtual result<console_overview> overview() = 0;
  /// The sessions with the most commands of transactions from `since_xid` on.
  virtual result<session_ranks> hottest(std::int64_t since_xid, std::size_t limit) = 0;
  /// The sessions whose next command waits longest, those that a failure holds among them.
  virtual result<session_ranks> stuck(std::size_t limit) = 0;
  /// By session id, from the one after `after` on.
  virtual result<std::vector<held_command>> held(const std::string& after, const std::string& session_prefix,
                                                 std::size_t limit) = 0;
  /// Errors: not_found.
  virtual result<session_head> head_of(const session_id& session) = 0;
  /// Ascending, from the first one that is there; `data_bytes_max` as stored.
  virtual result<std::vector<logged_row>> updates_after(const session_id& session, update_seq after, std::size_t limit,
                                                        std::size_t data_bytes_max) = 0;
  /// Descending.
  virtual result<std::vector<logged_row>> updates_before(const session_id& session, update_seq before,
                                                         std::size_t limit, std::size_t data_bytes_max) = 0;
  virtual result<std::vector<logged_row>> commands_from(const session_id& session, command_seq first, std::size_t limit,
                                                        std::size_t data_bytes_max) = 0;
  /// The last snapshot at or before a seq.
  virtual result<std::optional<snapshot_row>> snapshot_at(const session_id& session, update_seq seq) = 0;
  /// Letters below `below`, newest first. Errors: none but the database's.
  virtual result<letter_page> letters(const letter_filter& filter, const letter_place& below, std::size_t limit) = 0;
  /// Errors: not_found.
  virtual result<listed_letter> letter_of(const session_id& session, command_seq command) = 0;
};

}  // namespace rowcall::engine
