#pragma once

#include <atomic>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "client/submitter.hpp"
#include "engine/json.hpp"

namespace example {

/// What the bot `name` says to an update of its room, or nothing. The same for the same update, whenever it is asked.
std::optional<std::string> answer_to(const rowcall::engine::update_row& update, std::string_view name,
                                     rowcall::engine::json::parser& parser);

/// The seq up to which a room has been answered, in a file. Nothing while the bot has not been in the room.
class position_file {
 public:
  explicit position_file(std::string path) : path_(std::move(path)) {}
  /// Throws std::runtime_error when the file holds anything else.
  std::optional<rowcall::engine::update_seq> read() const;
  /// Replaces the file as a whole. Throws std::runtime_error.
  void write(rowcall::engine::update_seq seq) const;

 private:
  std::string path_;
};

/// Answers what is said in a room, through the session of a user of its own. Each message is answered exactly once:
///
///   updates ──► answers, each under the key "answer-<room>-<seq>" ──► stored durably ──► position written
///                                                                         ▲                    ▲
///                                    killed before this: nothing is done ─┘                    │
///   killed before this: the answers are submitted again after the restart, as duplicates ──────┘
///
/// Messages from before it joined are not answered. Called by one thread.
class bot {
 public:
  struct identity {
    std::string name;                  ///< its session is `user-<name>`
    rowcall::engine::session_id room;  ///< `chat-…`
  };

  bot(identity who, rowcall::client::submitter& submitter, position_file position);

  const rowcall::engine::session_id& session() const { return session_; }
  /// Where to follow the room from.
  rowcall::engine::update_seq position() const { return position_.value_or(rowcall::engine::update_seq{}); }
  /// Asks to be a member; harmless when it is one.
  rowcall::client::submitter::outcome join();
  /// Answers these updates of the room. Returns when the answers are durable and the position is written; when `stop`
  /// is set while that is not possible, without: the next start makes up for it.
  void answer(std::span<const rowcall::engine::update_row> updates, const std::atomic<bool>& stop);
  /// Retention has removed updates that were not answered: goes on after this snapshot of the room.
  void skip_to(const rowcall::engine::snapshot_row& snapshot);

 private:
  void move_to(rowcall::engine::update_seq seq);
  bool store(std::vector<rowcall::engine::command_request> answers, const std::atomic<bool>& stop);

  const identity who_;
  const rowcall::engine::session_id session_;
  rowcall::client::submitter& submitter_;
  const position_file file_;
  std::optional<rowcall::engine::update_seq> position_;  ///< nothing: not in the room yet
  rowcall::engine::json::parser parser_;
};

}  // namespace example
