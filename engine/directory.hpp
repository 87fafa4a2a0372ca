#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/ports.hpp"
#include "engine/turn.hpp"
#include "engine/types.hpp"

/// Which sessions are known, which are ready, and who is in a turn. Pure; the directory actor drives it.
namespace rowcall::engine {

struct directory_config {
  int shard_count = shard_count_default;
  std::size_t workers = 2;  ///< turns at a time
  /// So many more in a backlog, whose turns are long and wait for the disk when they commit: the cores have room. Turns of what
  /// has just arrived only get smaller by it.
  std::size_t workers_for_backlog = 1;
  /// While a turn is open, what becomes ready waits for its end, and then makes one large turn instead of several small
  /// ones; but no longer than this. Nobody waits for a turn in isolation or with a session whose last turn left commands
  /// behind. After turns that took longer than this, and in a backlog, all workers have turns at once. 0: no waiting.
  std::chrono::milliseconds overlap_after{10};
  turn_limits limits;
  /// Known but idle sessions beyond this many are passivated, the longest idle first.
  std::size_t sessions_known_max = 100'000;
  /// With this many ready, a wake for one more is refused; the sweep brings it later. Bounds the memory.
  std::size_t sessions_ready_max = 200'000;
  std::chrono::milliseconds passivate_after{30'000};
  /// How long a shard that another node holds is left alone; doubled each time up to the maximum.
  std::chrono::milliseconds skipped_wait{10};
  std::chrono::milliseconds skipped_wait_max{160};
};

///             wake                       take()
///   idle ───────────────► ready ───────────────────────► in_turn
///    ▲  ▲                   ▲  ▲    wake: dirty flag         │
///    │  └── passivated      │  └── more pending, or dirty ◄──┤ finish()
///    │      (forgotten)     │                                │
///    │                    held ◄── retry later ──────────────┤
///    └──────────────────────────── nothing pending ──────────┘
class directory {
 public:
  using slot = std::uint32_t;  ///< a small number that stands for a known session; reused after passivation
  using time_point = clock::time_point;

  explicit directory(directory_config config);

  enum class wake_result {
    made_ready,  ///< it was idle or unknown
    coalesced,   ///< it is ready, held or in a turn already (then its dirty flag or hint is kept)
    processed,   ///< the hint says that the work is done already
    refused,     ///< too many are ready: sweep later
  };
  /// The session has work. `hint` is its last command's seq, 0 when unknown.
  wake_result wake(const session_id& session, command_seq hint, time_point now);

  struct taken {
    slot index = 0;
    session_id session;
    shard_index shard = 0;
    std::optional<session_cursor> cursor;
  };
  struct assignment {
    std::vector<taken> sessions;
    bool isolated = false;  ///< one session, one command: its last turn could not be committed, or ended with its node
  };

  /// The next turn: ready sessions in the order of their wakes, of shards that are in no other turn. Empty when there
  /// are none. Their shards stay reserved until finish().
  assignment take(time_point now);
  /// How many turns may be open at this moment. While one is waited for (overlap_after) take() gives nothing.
  std::size_t turns_max() const { return config_.workers + (is_backlogged_ ? config_.workers_for_backlog : 0); }
  std::size_t open_turn_count() const { return open_turns_; }

  struct finished {
    enum class status {
      done,         ///< committed, or nothing to do: `cursor` is the new one (unknown = the actor is cold)
      skipped,      ///< another node holds the shard
      not_reached,  ///< the turn was full before this session
      aborted,      ///< nothing was written; the actor was told to forget
      isolate,      ///< aborted by something that will not go away by itself: try it alone
    };
    slot index = 0;
    status kind = status::done;
    std::optional<session_cursor> cursor;
    bool has_more = false;
    std::optional<std::chrono::milliseconds> retry_in;
    bool isolate_next = false;  ///< done, but what is left needs a turn of its own
  };
  /// Ends a turn. `shards_lost`: shards found to have been another node's: every cursor known of theirs is void,
  /// except those that this report brings.
  void finish(std::span<const finished> sessions, std::span<const shard_index> shards_lost, time_point now);

  /// Sessions to let go now: idle for longer than passivate_after, or beyond sessions_known_max. Their slots are free
  /// after the call; the caller ends their actors.
  std::vector<slot> passivate(time_point now);
  /// Gives back the memory of slots above the highest one in use, when most are free. True when it did.
  bool shrink();

  /// When take() may give something without a wake (a held or skipped session is due).
  std::optional<time_point> next_due() const;

  /// One more than the highest slot in use or kept for reuse.
  std::size_t slot_count() const { return entries_.size(); }
  std::size_t known_count() const { return by_id_.size(); }
  std::size_t ready_count() const { return ready_count_; }
  std::size_t in_turn_count() const { return in_turn_count_; }
  std::size_t held_count() const { return held_count_; }

 private:
  enum class state : std::uint8_t { idle, ready, in_turn, held };
  struct entry {
    session_id session;
    shard_index shard = 0;
    state where = state::idle;
    bool is_used = false;
    bool dirty = false;    ///< woken during its turn, without a usable hint
    bool isolate = false;
    bool has_more = false;  ///< its last turn left commands behind
    command_seq wanted;    ///< the highest hint heard during its turn
    std::optional<session_cursor> cursor;
    std::uint64_t arrival = 0;
    time_point since{};    ///< idle: since when; held: until when
    slot previous = none, next = none;  ///< the list of idle sessions, the longest idle first
  };
  struct shard_state {
    std::deque<slot> ready;
    bool in_turn = false;
    time_point not_before{};
    std::chrono::milliseconds wait{0};
  };
  static constexpr slot none = ~slot{0};
  static constexpr std::size_t slots_kept = 4'096;

  bool is_open(const shard_state& shard, time_point now) const;
  bool is_parallel() const { return is_backlogged_ || are_turns_long_ || config_.overlap_after.count() == 0; }
  bool is_early(time_point now) const;
  /// Whether others wait for a turn of these. The same from take() to finish().
  template <class Sessions>
  bool is_awaited(const Sessions& sessions) const;
  slot slot_of(const session_id& session);
  void make_ready(slot s, bool front);
  void make_idle(slot s, time_point now);
  void unlink_idle(slot s);
  void release_held(time_point now);

  directory_config config_;
  std::deque<entry> entries_;
  std::vector<slot> free_;
  std::unordered_map<std::string_view, slot> by_id_;  ///< keys point into entries_
  std::vector<shard_state> shards_;
  std::vector<std::pair<time_point, slot>> held_;  ///< a heap, the earliest on top
  slot idle_first_ = none, idle_last_ = none;
  std::size_t idle_count_ = 0, ready_count_ = 0, in_turn_count_ = 0, held_count_ = 0;
  static constexpr std::size_t turns_of_backlog = 16;
  bool is_backlogged_ = false;           ///< what is ready makes so many turns or more like the one that ended last
  std::size_t open_turns_ = 0;
  std::size_t awaited_turns_ = 0;       ///< of the open ones: those that others wait for
  time_point taken_at_{};               ///< when the last one of those was taken
  bool are_turns_long_ = false;         ///< when one of those ended last, none had been taken for overlap_after or longer
  bool is_isolated_turn_open_ = false;  ///< there is never more than one
  std::uint64_t arrivals_ = 0;
};

/// Which live node should serve a shard's sessions of one kind: rendezvous hashing (Thaler and Ravishankar, 1998).
/// Nothing depends on the nodes agreeing about it. `nodes` holds those alive that serve the kind; empty gives "".
std::string_view preferred_node(std::span<const std::string> nodes, shard_index shard);

}  // namespace rowcall::engine
