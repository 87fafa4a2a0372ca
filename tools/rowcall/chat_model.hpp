#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/ports.hpp"
#include "tools/rowcall/chat_presence.hpp"

/// What a chat client knows and does, without terminal, threads, servers or clock (time comes in): lines that were
/// typed, updates and outcomes go in; lines to show, rooms to load and the next command to submit come out.
///
///   typed line ─► outbox: queued ─► sent ─► stored ─► answered (its update came) or refused
///                            ▲────────┘ failed: the same idempotency key again, so never twice and never lost
namespace rowcall::tools {

/// A line for the terminal. Texts are as they came: the terminal makes them safe.
struct chat_line {
  enum class kind { message, own_message, notice, error };
  kind what = kind::notice;
  std::string room;  ///< short name; empty for what belongs to no room
  std::optional<engine::db_time> at;
  std::string sender;  ///< of messages
  std::string text;
};

/// A session as it was read from the database: the state at a snapshot and the updates after it.
struct chat_image {
  std::optional<engine::snapshot_row> snapshot;
  std::vector<engine::update_row> earlier;  ///< some updates before the snapshot, for the history only
  std::vector<engine::update_row> updates;  ///< all after the snapshot
  engine::update_seq last;                  ///< follow from here
};

struct chat_config {
  engine::session_id user;
  std::string room;            ///< to enter first; empty = the one selected last, or the lobby
  std::size_t history = 50;    ///< messages shown on entering a room
  std::string key_prefix;      ///< unique to this run; makes the idempotency keys
  bool is_interactive = true;  ///< a person types: /quit acts at once, not in its turn
};

class chat_model {
 public:
  using time_point = std::chrono::steady_clock::time_point;

  /// To be told to everybody who is in this room.
  struct told_presence {
    engine::session_id room;
    presence what = presence::here;
  };

  /// What has to be done now; taken (and emptied) with take().
  struct effects {
    std::vector<chat_line> lines;
    std::vector<engine::session_id> load;  ///< read these, and give the image to loaded()
    std::vector<engine::session_id> unfollow;
    std::optional<engine::command_request> submit;  ///< one at a time; then submitted()
    std::vector<told_presence> presences;           ///< may be lost
    bool quit = false;
  };

  explicit chat_model(chat_config config);

  void typed(std::string_view line);
  void loaded(const engine::session_id& session, const chat_image& image);
  void updated(const engine::session_id& session, std::span<const engine::update_row> updates);
  /// The follower had to go on from a snapshot.
  void jumped(const engine::session_id& session, const std::optional<engine::snapshot_row>& snapshot);
  void submitted(const engine::result<engine::submit_receipt>& outcome);
  /// Somebody's presence in a room was heard of.
  void heard(const engine::session_id& room, const presence_signal& signal);
  /// The time now; never goes back. Says in the rooms that the user is here, now and then.
  void tick(time_point now);
  /// Tells the rooms that the user goes.
  void bye();
  /// Time to try again what failed.
  void retry();
  effects take();

  /// Short name of the current room; empty when there is none.
  std::string room() const;
  /// Messages that were typed here and have not come back as updates, oldest first.
  std::vector<std::string> pending() const;
  /// The last of pending(): lines that wait here, not sent, for the room on the way in.
  std::size_t unsent() const { return deferred_.size(); }
  /// Short name of the room on the way in; empty when there is none, or when it is not known yet.
  std::string entering() const { return entering_ ? short_name(entering_->room) : std::string{}; }
  /// Something typed has not had its effect yet.
  bool is_busy() const { return !outbox_.empty() || !deferred_.empty() || is_entering(); }
  /// Lines that wait for something; the reader of a pipe stops at a bound.
  std::size_t backlog() const { return outbox_.size() + deferred_.size(); }
  /// The head of the outbox is to be tried again later.
  bool wants_retry() const { return retry_wanted_; }
  /// Stored, and no answer yet: the engine's turn.
  bool awaits_engine() const;
  /// Unread messages of other rooms, by short name.
  std::map<std::string, std::size_t> unread() const;

 private:
  struct room_state {
    bool is_loaded = false;
    std::string name;
    std::set<std::string, std::less<>> members;
    std::deque<chat_line> lines;  ///< bounded
    std::size_t unread = 0;
    time_point next_answer{};  ///< one is enough for all who ask in a while
  };
  struct sending {
    enum class state { queued, sent, stored };
    state at = state::queued;
    engine::session_id room;
    std::string type, text, data, key;
    std::int64_t seq = 0;
    bool answered = false;
  };
  struct answer {
    bool refused = false;
    std::string reason;
  };
  /// A room on the way in: joined, created when it does not exist, joined again when somebody was faster.
  struct entry {
    engine::session_id room;
    std::string name;
    bool may_create = false;
    bool may_join = false;
  };

  bool is_entering() const { return entering_.has_value() || !user_loaded_; }
  void run(std::string_view line);
  void run_command(std::string_view word, std::string_view rest);
  void run_deferred();
  void enter(entry e);
  void ask_to_join(const entry& e);
  void ask_to_create(const entry& e);
  void entry_refused(const std::string& reason);
  void show_room(const engine::session_id& room);
  void show_lines(const room_state& room, std::size_t messages);
  void post(std::string_view text);
  void queue(const engine::session_id& room, std::string type, std::string text, std::string data);
  void list_rooms();
  void list_members();
  void leave(std::string_view rest);
  void rename(std::string_view rest);
  void show_history(std::string_view rest);
  void help();

  void fold_user(const engine::update_row& u);
  void fold_room(const engine::session_id& id, room_state& room, const engine::update_row& u, bool live);
  void user_state_from(const engine::snapshot_row& snapshot);
  static void room_state_from(room_state& room, const engine::snapshot_row& snapshot);
  void joined(const engine::session_id& room);
  void left(const engine::session_id& room);
  void add_line(const engine::session_id& id, room_state& room, chat_line line, bool live);
  void answered(std::int64_t seq, answer a);
  void own_update(const engine::session_id& room, std::string_view type, std::string_view text);
  void refused(const sending& s, const std::string& reason);
  void tell_rooms(presence what);
  void pump();
  void say(std::string text);
  void complain(std::string text);
  static std::string short_name(const engine::session_id& room) { return std::string{room.name()}; }

  chat_config config_;
  std::string me_;
  bool user_loaded_ = false;
  std::set<engine::session_id> memberships_;
  std::optional<engine::session_id> selected_;  ///< as the user's session says
  std::optional<engine::session_id> current_;
  std::map<engine::session_id, room_state> rooms_;
  time_point now_{};
  time_point next_here_{};
  std::map<std::string, time_point, std::less<>> here_until_;  ///< users; bounded

  std::optional<entry> entering_;
  std::deque<std::string> deferred_;  ///< lines typed while a room is being entered
  std::deque<sending> outbox_;
  std::map<std::int64_t, answer> answers_;  ///< that came before their command's seq was known; bounded
  bool retry_wanted_ = false;
  std::uint64_t keys_ = 0;
  effects effects_;
};

/// The session of a room called `name`: letters and digits in lower case, everything else a dash; "Team lunch" is
/// `chat-team-lunch`. A name without any such character gets a number from its bytes.
engine::session_id room_of(std::string_view name);

}  // namespace rowcall::tools
