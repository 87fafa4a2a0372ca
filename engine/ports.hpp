#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/result.hpp"
#include "engine/turn.hpp"
#include "engine/types.hpp"

/// What the engine and its clients need from outside: stores, a bus, a clock.
/// Every implementation passes tests/conformance.
namespace rowcall::engine {

// ---------------------------------------------------------------- store: the engine's side

/// One connection's worth of turns. Used by one thread at a time. Blocking.
///
///            claim()                 commit() / abandon()
///   idle ─────────────► open turn ─────────────────────────► idle
///
/// After connection_lost or commit_in_doubt it is idle again and reconnects by itself on the next claim.
class turn_store {
 public:
  virtual ~turn_store() = default;
  /// Opens a transaction, locks the shards of the request (FOR NO KEY UPDATE SKIP LOCKED), takes over those of
  /// other owners, and then, in a second statement with a snapshot of its own, fetches the pending commands.
  virtual result<turn_claim> claim(const turn_request& request) = 0;
  /// Appends everything and commits. Sent commands go last. On any error nothing was written, except for
  /// commit_in_doubt. fenced: an update seq was there already, so this turn was stale. serialization_failure after a claim
  /// that was unverified: the command is not what is pending; claim again without it.
  /// Returns the transaction's time: created_at of all that was appended.
  virtual result<db_time> commit(std::span<const session_writes> writes) = 0;
  /// Rolls the open turn back. Nothing to do when none is open.
  virtual void abandon() = 0;
};

struct node_info {
  std::string node;
  std::vector<std::string> kinds;
  std::chrono::milliseconds heartbeat_age{0};  ///< by the database's clock
  std::chrono::seconds uptime{0};
  std::string version;
};

/// What a node has done since its start, for operators.
struct node_totals {
  std::int64_t turns = 0, commands = 0, updates = 0, retries = 0, dead_letters = 0;
  std::int64_t lost_wakes = 0;  ///< sessions whose work a sweep found before a wake was heard
  /// How long commands waited from submit to claim, and how long turns took from claim to COMMIT: counts in buckets with
  /// the upper bounds 2^5 us, 2^6 us, …, and one for what is longer.
  std::vector<std::int64_t> wait_counts, turn_counts;
};

/// What a node tells with its heartbeat, for `status` and the console.
struct node_rates {
  double turns_per_s = 0, commands_per_s = 0;
  node_totals totals = {};
};

/// A session that has pending commands.
struct pending_session {
  session_id session;
  command_seq last;       ///< its last command
  command_seq processed;  ///< its last processed command
};

/// Bounds on pending commands, 0 = none. They hold for all engines and submitters of the database.
struct admission_limits {
  /// Of one session. Looked at with every 64th of its commands, so up to 63 more may be pending.
  std::int64_t session_pending_max = 0;
  /// Of all sessions together, as the sweeps count them: what is submitted until the next sweep comes on top.
  std::int64_t pending_max = 0;
  friend bool operator==(const admission_limits&, const admission_limits&) = default;
};

struct cleanup_request {
  std::chrono::seconds older_than{0};
  std::size_t chunk_rows = 2000;
};
struct cleanup_report {
  std::int64_t commands = 0, updates = 0, snapshots = 0, domain_rows = 0;
  bool more = false;  ///< the chunk was full: call again
};

/// The slow path of a node: its heartbeat, the sweep, retention. One thread at a time. Blocking.
class node_store {
 public:
  virtual ~node_store() = default;
  /// Registers the node (a name unique to this boot) and the kinds it serves. Errors: busy while another connection has
  /// joined under this name, has not left, and its heartbeat is not older than 5 s (from then on a connection alone is
  /// what a machine that vanished has left behind).
  virtual result<void> join(const std::string& node, const std::vector<std::string>& kinds) = 0;
  /// Renews the heartbeat and returns the nodes whose own is younger than `dead_after`, this one included.
  virtual result<std::vector<node_info>> heartbeat(const std::string& node, const node_rates& rates,
                                                     std::chrono::milliseconds dead_after) = 0;
  /// A clean end: the sessions this node owned need no care afterwards.
  virtual result<void> leave(const std::string& node) = 0;
  /// Finds the sessions of `kinds` that have pending commands and are due (not waiting for a retry), in chunks.
  /// The cost follows what was written since the last completed sweep, not the history.
  /// `found` is called once or more; the sweep ends early when it returns false.
  virtual result<void> sweep(const std::vector<std::string>& kinds,
                             const std::function<bool(std::span<const pending_session>)>& found) = 0;
  /// From now on submits beyond the limits are refused as busy (what a turn sends is not). A sweep that ends opens and
  /// closes the way in by what it has counted.
  virtual result<void> set_admission(const admission_limits& limits) = 0;
  /// One chunk of retention: deletes what is processed, older, and below a snapshot; never a session's last update
  /// or last command. Errors: busy while another process does it.
  virtual result<cleanup_report> cleanup(const cleanup_request& request) = 0;
};

// ---------------------------------------------------------------- store: the clients' side

struct submit_receipt {
  enum class outcome {
    stored,        ///< committed now
    duplicate,     ///< the idempotency key was there: `seq` is the first command's
    unknown_kind,  ///< refused: a new session, and no engine has ever registered its kind
    busy,          ///< refused by admission: too many pending commands
  };
  outcome kind = outcome::stored;
  command_seq seq;
  /// The row as the log has it, when the store learned it without a cost; for the wake.
  std::shared_ptr<const command_row> row = nullptr;
  std::chrono::milliseconds retry_after{0};  ///< busy: an estimate of when there is room again
};

/// One thread at a time. Blocking.
class command_store {
 public:
  virtual ~command_store() = default;
  /// Called at most once by a submit, with its receipts, as soon as others can read the commands: their wakes may be published.
  /// That can be before they are durable, so nobody may be told yet that they are stored.
  using visible_function = std::function<void(std::span<const submit_receipt>)>;

  /// Stores the batch in one durable transaction. Commands of one session get their seq in the order given.
  /// Refusals are per command and do not hinder the others. Requests must have passed validate().
  /// commit_in_doubt: an idempotency key makes the resubmit safe.
  virtual result<std::vector<submit_receipt>> submit(std::span<const command_request> batch, const visible_function& visible) = 0;
  result<std::vector<submit_receipt>> submit(std::span<const command_request> batch) { return submit(batch, {}); }
};

struct follow_position {
  session_id session;
  update_seq after;
};

struct update_page {
  std::vector<update_row> updates;  ///< contiguous from after + 1; shorter than the limit = the end of the log
  bool gone = false;                ///< retention removed after + 1: take the snapshot
  bool is_ahead = false;            ///< the log ends before `after`: it is not the one that this position is from
};

struct receipt {
  std::vector<update_row> updates;  ///< all updates of the command, in order; empty while it is pending
};

/// One thread at a time. Blocking. All reads are of committed data.
class update_store {
 public:
  virtual ~update_store() = default;
  virtual result<update_page> updates_after(const session_id& session, update_seq after, std::size_t limit) = 0;
  /// Many followers' catch-up in one statement: parallel to `positions`; `limit` is per session.
  virtual result<std::vector<update_page>> updates_after(std::span<const follow_position> positions, std::size_t limit) = 0;
  /// The last snapshot, or nothing when the session never had one (its log is whole then).
  virtual result<std::optional<snapshot_row>> snapshot(const session_id& session) = 0;
  /// The session's last update seq; 0 when it has none.
  virtual result<session_cursor> last(const session_id& session) = 0;
  virtual result<receipt> receipt_of(const session_id& session, command_seq command) = 0;
  /// Changes when an older state of the database was restored: a seq from before means nothing then.
  virtual result<std::string> incarnation() = 0;
};

// ---------------------------------------------------------------- store: operation

struct dead_letter {
  session_id session;
  command_seq command;
  std::string type;
  std::string data;
  std::string error;
  int attempts = 0;
  db_time failed_at{};
  std::string resolution;  ///< "", "redriven" or "dropped"
};

/// A session that a failing command holds.
struct retrying_session {
  session_id session;
  retry_row retry;  ///< wait: 0 = it is due
};

/// Names that a status tells at most of each sort.
inline constexpr std::size_t status_names_max = 5;

struct status_report {
  std::int64_t sessions = 0, pending_commands = 0, pending_sessions = 0, retrying = 0, dead = 0;
  std::int64_t unserved_commands = 0;  ///< pending, of a kind that no live node serves
  std::vector<std::string> unserved_kinds;          ///< those kinds, sorted
  std::vector<retrying_session> retrying_sessions;  ///< those with the most attempts first
  std::chrono::milliseconds oldest_pending_age{0};
  double turns_per_s = 0, commands_per_s = 0;  ///< as the live nodes last reported them
  std::vector<node_info> nodes;
  int schema_version = 0;
  bool pending_is_exact = true;  ///< false: the count stopped at a bound
};

class admin_store {
 public:
  virtual ~admin_store() = default;
  virtual result<status_report> status() = 0;
  /// Every kind that an engine has ever served, sorted.
  virtual result<std::vector<std::string>> kinds() = 0;
  /// Newest first; resolved ones only when asked for.
  virtual result<std::vector<dead_letter>> dead_letters(std::size_t limit, bool with_resolved) = 0;
  virtual result<dead_letter> dead_letter_of(const session_id& session, command_seq command) = 0;
  /// Submits the command again (as a new one) and links it. Twice gives the same new seq.
  virtual result<command_seq> redrive(const session_id& session, command_seq command) = 0;
  virtual result<void> drop(const session_id& session, command_seq command) = 0;
};

// ---------------------------------------------------------------- bus

/// "There is something new in this session's update log."
struct update_notice {
  session_id session;
  update_seq first, last;
  std::vector<update_row> updates;  ///< all of first..last, or empty when they were too large to send along
};

/// "This session has work." `last` is a hint: the session's last command seq, 0 when the sender does not know it.
struct wake {
  session_id session;
  command_seq last;
  /// A hint as well, from anyone: the command `last`, as its row in the log is said to be. It may save a fetch; what is
  /// decided on it is committed only if the log says the same.
  std::shared_ptr<const command_row> command = nullptr;
};

/// Ends its subscription when destroyed; no callback runs after that.
class subscription {
 public:
  virtual ~subscription() = default;
};

/// Best effort: any message may be lost, doubled or reordered. Thread-safe. Callbacks come on the bus's own
/// threads, must be short and must not throw. Published while disconnected = lost, silently.
class bus {
 public:
  virtual ~bus() = default;
  virtual void publish(std::span<const wake> wakes) = 0;
  virtual void publish(std::span<const update_notice> notices) = 0;
  virtual std::unique_ptr<subscription> on_wakes(std::function<void(wake)> handler) = 0;
  virtual std::unique_ptr<subscription> on_updates(const session_id& session,
                                                   std::function<void(const update_notice&)> handler) = 0;
  /// Called on every (re)connect: whoever subscribes must look at the database then.
  virtual std::unique_ptr<subscription> on_connected(std::function<void()> handler) = 0;
  /// Returns when the server has seen all subscriptions and publications made before. Errors: timed_out, unavailable.
  virtual result<void> flush(std::chrono::milliseconds timeout) = 0;
  virtual bool is_connected() const = 0;
};

// ---------------------------------------------------------------- time

/// Monotonic. Only ever compared with itself.
class clock {
 public:
  using time_point = std::chrono::time_point<clock, std::chrono::nanoseconds>;
  virtual ~clock() = default;
  virtual time_point now() const = 0;
};

// ---------------------------------------------------------------- log

enum class log_level { debug, info, warning, error };

/// What a line is about. Views: valid during the call.
struct log_fields {
  std::string_view event;    ///< a stable name ("turn_aborted"); a flood of lines with the same one is cut short
  std::string_view session;  ///< empty: about no session
  command_seq command;       ///< 0: about no command
  std::string_view detail;   ///< may quote a command's data: only for an operator who asked for it
};

/// Where a component reports to the operator. Thread-safe. The text never carries a command's data.
class log_sink {
 public:
  log_sink() = default;  ///< silent
  /// From void(log_level, text, const log_fields&), or from void(log_level, text) for whom the text is enough.
  template <std::invocable<log_level, std::string_view, const log_fields&> F>
  log_sink(F write) : write_(std::move(write)) {}
  template <std::invocable<log_level, std::string_view> F>
  log_sink(F write)
      : write_([write = std::move(write)](log_level level, std::string_view text, const log_fields&) mutable {
          write(level, text);
        }) {}

  void operator()(log_level level, std::string_view text, const log_fields& about = {}) const {
    if (write_) write_(level, text, about);
  }

 private:
  std::function<void(log_level, std::string_view, const log_fields&)> write_;
};

}  // namespace rowcall::engine
