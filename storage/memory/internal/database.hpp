#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/ports.hpp"
#include "storage/memory/inspect.hpp"

namespace rowcall::storage::memory {

/// An open turn's name; 0 = none.
using turn_id = std::uint64_t;

/// The tables and the transactions of one "server", under one mutex: each public call is one statement that sees
/// what was committed before it. What shows outside is never iterated in the order of a hash.
class database {
 public:
  explicit database(std::shared_ptr<engine::clock> clock) : clock_(std::move(clock)) {}

  // turns
  engine::result<engine::turn_claim> claim(const std::string& node, const engine::turn_request& request, turn_id& opened);
  engine::result<engine::db_time> commit(turn_id id, std::span<const engine::session_writes> writes);
  /// A turn that took a wake's word for the session's command: locks, compares and commits at once.
  engine::result<engine::db_time> commit_expected(const std::string& node, const engine::session_request& session,
                                                  std::span<const engine::session_writes> writes);
  void abandon(turn_id id);

  // nodes
  /// is_again: over the connection that has joined under this name before.
  engine::result<void> join(const std::string& node, const std::vector<std::string>& kinds, bool is_again);
  engine::result<std::vector<engine::node_info>> heartbeat(const std::string& node, const engine::node_rates& rates,
                                                             std::chrono::milliseconds dead_after);
  void leave(const std::string& node);
  /// The connection over which the node joined has ended.
  void disconnect(const std::string& node);
  /// Up to `limit` sessions behind `after` in the order of ids; sets `after` to the last one looked at.
  std::vector<engine::pending_session> pending_after(const std::vector<std::string>& kinds,
                                                     std::optional<engine::session_id>& after, std::size_t limit);
  void set_admission(const engine::admission_limits& limits);
  /// Counts what is pending and opens or closes the way in for all sessions.
  void judge_load();
  engine::cleanup_report cleanup(const engine::cleanup_request& request);

  // clients
  std::vector<engine::submit_receipt> submit(std::span<const engine::command_request> batch);
  /// One command that is durable only with the next commit of anybody; a crash() before takes it away. Between the two
  /// crashes() tells.
  engine::submit_receipt submit_unflushed(const engine::command_request& request);
  void flush();
  std::vector<engine::update_page> updates_after(std::span<const engine::follow_position> positions, std::size_t limit);
  std::optional<engine::snapshot_row> snapshot(const engine::session_id& session);
  engine::session_cursor last(const engine::session_id& session);
  engine::receipt receipt_of(const engine::session_id& session, engine::command_seq command);

  // operation
  engine::status_report status();
  std::vector<std::string> kinds();
  std::vector<engine::dead_letter> dead_letters(std::size_t limit, bool with_resolved);
  engine::result<engine::dead_letter> dead_letter_of(const engine::session_id& session, engine::command_seq command);
  engine::result<engine::command_seq> redrive(const engine::session_id& session, engine::command_seq command);
  engine::result<void> drop(const engine::session_id& session, engine::command_seq command);

  // inspection
  database_dump dump();
  void declare_table(const std::string& name, std::vector<std::string> key_columns);
  std::size_t drop_open_turns(const std::optional<std::string>& node);
  std::size_t open_turns();
  std::size_t crash();
  std::uint64_t crashes();
  void set_fence(bool is_on);
  void set_turn_timeout(std::chrono::milliseconds timeout);

 private:
  struct command_record {
    engine::command_row row;
    std::optional<std::string> key;
  };
  struct snapshot_record {
    engine::snapshot_row row;
    engine::db_time created_at;
  };
  struct retry_record {
    engine::retry_row row;
    engine::db_time due;
  };
  struct session_record {
    std::map<engine::command_seq, command_record> commands;
    std::map<engine::update_seq, engine::update_row> updates;
    std::vector<engine::update_row> doubled;  ///< only without the fence
    std::map<engine::update_seq, snapshot_record> snapshots;
    std::unordered_map<std::string, engine::command_seq> keys;  ///< looked up only
    std::optional<retry_record> retry;

    engine::session_cursor cursor() const;
    engine::command_seq last_command() const;
    bool is_pending() const { return last_command() > cursor().command; }
  };
  struct shard_record {
    std::string owner;  ///< empty: nobody has served it
    std::int64_t epoch = 0;
    std::optional<engine::db_time> suspect;  ///< when it was last taken from a node that had died
    turn_id locked_by = 0;
  };
  struct node_record {
    engine::node_info info;
    engine::db_time joined, seen;
    engine::node_rates rates;
    bool is_connected = true;
    bool has_left = false;
  };
  struct open_turn {
    std::string node;
    engine::db_time now;
    std::vector<engine::shard_index> locked;
    std::map<engine::shard_index, shard_record> takeovers;  ///< written to the shards by COMMIT
  };
  struct table {
    std::vector<std::string> key_columns;
    std::map<std::vector<std::optional<std::string>>, domain_record> rows;
  };
  using letter_key = std::pair<engine::session_id, engine::command_seq>;

  engine::submit_receipt store(const engine::command_request& request, engine::db_time at);
  engine::db_time now() const;
  std::chrono::milliseconds wait_until(engine::db_time due, engine::db_time now) const;
  void drop_expired_turns();
  std::size_t drop_turns(const std::optional<std::string>& node);
  void close(turn_id id);
  const session_record* find(const engine::session_id& id) const;
  /// The one way into a command log. False: the key was there, `seq` is its first command's.
  bool append_command(const engine::session_id& session, const std::string& type, const std::string& data,
                      const std::optional<std::string>& key, engine::db_time at, engine::command_seq& seq);
  bool is_admitted(const engine::session_id& session) const;
  void note_pending(const engine::session_id& id, const session_record& s);
  engine::session_image image_of(const engine::session_request& request, const shard_record& shard,
                                 engine::db_time now) const;
  bool is_as_expected(const engine::session_request& session) const;
  engine::result<void> check(std::span<const engine::session_writes> writes) const;
  engine::result<std::vector<std::optional<std::string>>> key_of(const engine::domain_row& row) const;
  bool has_died(const std::string& node, engine::db_time at) const;
  void put_retry(session_record& s, engine::retry_row row, engine::db_time at) const;

  std::mutex mutex_;
  std::shared_ptr<engine::clock> clock_;
  std::map<engine::shard_index, shard_record> shards_;
  std::map<engine::session_id, session_record> sessions_;
  std::set<engine::session_id> pending_;  ///< exactly the sessions with is_pending()
  std::map<letter_key, engine::dead_letter> letters_;
  std::map<std::string, table> tables_{{"chats", {{"chat_id"}, {}}},
                                       {"members", {{"chat_id", "user_id"}, {}}},
                                       {"messages", {{"chat_id", "message_id"}, {}}}};
  std::set<std::string> kinds_;  ///< ever served
  std::map<std::string, node_record> nodes_;
  std::map<turn_id, open_turn> turns_;
  engine::admission_limits admission_;
  /// Committed, but not on the disk; in the order of commit.
  std::vector<std::pair<engine::session_id, engine::command_seq>> unflushed_;
  std::uint64_t crashes_ = 0;
  bool is_overloaded_ = false, is_fenced_ = true;
  turn_id last_turn_ = 0;
  std::chrono::milliseconds turn_timeout_{5'000};
};

}  // namespace rowcall::storage::memory
