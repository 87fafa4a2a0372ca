#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/result.hpp"
#include "storage/postgres/stores.hpp"

/// What `rowcall doctor` asks PostgreSQL: facts, no judgement. inspect() reads catalogs only, so it works without a
/// schema.
namespace rowcall::storage::postgres {

/// Something that keeps dead rows from being cleaned up, or (a slot) the write-ahead log.
struct horizon_holder {
  std::string kind;  ///< "transaction", "prepared transaction", "replication slot" (an inactive one)
  std::string name;
  std::chrono::seconds age{0};
};

struct schema_object {
  std::string kind;  ///< "table", "view", "index", "constraint", "function" or "trigger"
  std::string name;
  friend auto operator<=>(const schema_object&, const schema_object&) = default;
};

struct inspection {
  int version_num = 0;  ///< 150008
  std::string version;
  std::string encoding;
  bool is_standby = false;
  std::chrono::microseconds round_trip{0};    ///< median of a few
  std::chrono::microseconds clock_ahead{0};   ///< of this machine; negative: the database is behind
  std::chrono::microseconds clock_unsure{0};  ///< the offset is right to within this
  std::string fsync, full_page_writes;
  std::string synchronous_commit;                    ///< what a connection of this role starts with
  std::vector<std::string> asynchronous_committers;  ///< "role reporting in database x"
  bool autovacuum = true, track_counts = true;
  std::vector<std::string> tables_without_autovacuum;
  int connections_max = 0, connections_used = 0;             ///< without those kept for superusers
  int role_connections_max = -1, role_connections_used = 0;  ///< -1: no limit
  std::int64_t xid_age = 0, multixact_age = 0;               ///< of the oldest database
  bool sees_all = false;  ///< false: other roles' transactions are hidden from this one
  std::vector<horizon_holder> holders;
  std::vector<schema_object> invalid, missing;  ///< missing: made by the applied migrations, and not there
};

/// A session whose commands were written or deleted by hand: its last one lies below its cursor, so that the next ones
/// count as processed, or there is a gap above the cursor, and the engine leaves it alone.
struct damaged_session {
  std::string session;
  std::int64_t last_command = 0;             ///< 0: none is left
  std::int64_t processed = 0;                ///< what its last update says; 0: it has none
  std::optional<std::int64_t> next_command;  ///< the first one above that; nothing: `last_command` lies below it
};

/// Looks at 100,000 sessions, returns 5 at most. Needs the schema. Errors: unavailable, and what the server says.
engine::result<std::vector<damaged_session>> find_damaged_sessions(const store_config& config);

/// Rows of the logs that are older than some age and that retention leaves all the same: a session's log is deleted up
/// to its last snapshot, and as a whole where it has none. Without what stays in any case (its last command and update)
/// and what is pending.
struct kept_rows {
  struct part {
    std::int64_t sessions = 0, commands = 0, updates = 0;
    friend bool operator==(const part&, const part&) = default;
  };
  part without_snapshot;  ///< of sessions that have none
  part above_snapshot;    ///< younger than their session's last one
  bool is_exact = true;   ///< false: there are more sessions than were looked at
};

/// Looks at 100,000 sessions. Needs the schema. Errors: unavailable, and what the server says.
engine::result<kept_rows> find_kept_rows(const store_config& config, std::chrono::seconds older_than);

/// Transactions are told from `transaction_age_min` on. Errors: unavailable, and what the server says.
engine::result<inspection> inspect(const store_config& config, std::chrono::seconds transaction_age_min);

}  // namespace rowcall::storage::postgres
