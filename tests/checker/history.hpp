#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

/// What happened, as plain values: what the clients recorded and what the database holds afterwards.
namespace rowcall::checker {

enum class outcome { acknowledged, refused, unknown };

/// One submit as its client saw it. A resubmit under the same idempotency key is the same submit.
struct submit {
  std::string client;
  std::string session;
  std::string type;
  std::string data;  ///< unique among all commands of the session: it tells which row is this submit's
  outcome result = outcome::unknown;
  std::int64_t seq = 0;  ///< as acknowledged; 0 otherwise
};

struct command {
  std::int64_t seq = 0;
  std::string type;
  std::string data;
  std::string status;  ///< as the `commands` view tells it, "missing" when it has no such row; empty: it was not asked
};

struct update {
  std::int64_t seq = 0;
  std::int64_t command_seq = 0;
  std::string type;
  std::string data;
  /// When a follower was told of it, by its clock, for the text of a violation only; nothing in a log, or when it was not
  /// recorded.
  std::optional<std::chrono::system_clock::time_point> seen_at = std::nullopt;
  friend bool operator==(const update& a, const update& b) {
    return a.seq == b.seq && a.command_seq == b.command_seq && a.type == b.type && a.data == b.data;
  }
};

/// A session's logs in the order of seq.
struct session_log {
  std::vector<command> commands;
  std::vector<update> updates;
  std::set<std::int64_t> dead;  ///< commands in the dead letters
};

/// A module's table, and what the logs say must be in it. One text a row.
struct table {
  std::string name;
  std::multiset<std::string> stored, folded;
};

/// What one follower was told of one session, in the order in which it was told.
struct followed {
  std::string follower;
  std::string session;
  std::int64_t after = 0;  ///< where it began
  std::vector<update> seen;
  bool has_left = false;  ///< it ended before the system was at rest: what it saw is the log's beginning
};

/// A command that a processed one sent: it must be in the target's log exactly once.
struct sent {
  std::string source;
  std::string target;
  std::string type;
  std::string data;  ///< unique in the target
};

struct history {
  std::vector<submit> submits;  ///< each client's in the order in which it made them
  std::vector<sent> sends;
  std::vector<followed> followers;
  std::map<std::string, session_log> logs;
  std::vector<table> tables;
};

}  // namespace rowcall::checker
