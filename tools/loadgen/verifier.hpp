#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/turn.hpp"
#include "engine/types.hpp"

namespace rowcall::tools::loadgen {

/// A session of the run, numbered from 0.
using session_index = std::uint32_t;

/// What was wrong with the update streams. All zero is the promise kept.
struct findings {
  std::uint64_t lost = 0;        ///< commands that were acknowledged and whose receipt was never seen
  std::uint64_t duplicated = 0;  ///< updates seen twice, commands answered twice, or two commands given one seq
  std::uint64_t reordered = 0;   ///< updates seen after a later one, or answers out of the order of the commands
  std::uint64_t gaps = 0;        ///< update seqs that were skipped and never came, commands that got no answer in between
  std::vector<std::string> examples;  ///< the first few, for a person

  bool clean() const { return lost == 0 && duplicated == 0 && reordered == 0 && gaps == 0; }
};

/// Watches the update streams of all sessions, trusting nobody: not the engine, not the follower.
///
/// Memory: about 100 bytes a session, and two bits for each command of the last stretch that is not wholly
/// acknowledged and answered yet. Other submitters' commands in the same sessions are checked too; only this run's
/// acknowledged ones can be lost. One thread at a time.
class verifier {
 public:
  /// `one_update_a_command`: a second update for a command is then a duplicate (echo); otherwise a command's updates
  /// have to be next to each other.
  explicit verifier(bool one_update_a_command) : one_update_a_command_(one_update_a_command) {}

  /// The session will be seen from behind `at` on. Indices are dense: the n-th call opens session n.
  session_index open(std::string name, engine::session_cursor at);

  enum class acknowledgement {
    awaited,       ///< its receipt has to come
    seen_already,  ///< its receipt overtook the acknowledgement
    wrong,         ///< counted as duplicated
  };
  /// The command was acknowledged with this seq.
  acknowledgement acknowledged(session_index session, engine::command_seq seq);

  enum class sight {
    receipt,  ///< the first update of a command
    further,  ///< another update of the same command
    wrong,    ///< counted as duplicated
  };
  sight seen(session_index session, engine::update_seq seq, engine::command_seq command);

  /// Acknowledged commands whose receipt has not been seen yet.
  std::uint64_t outstanding() const { return outstanding_; }
  std::uint64_t outstanding(session_index session) const { return sessions_[session].outstanding; }
  /// All that is known now; what is outstanding counts as lost: call it when nothing more can come.
  findings result() const;
  /// The same without the outstanding ones.
  findings so_far() const;

  /// Of those, the ones with a seq above `processed`.
  std::uint64_t outstanding_above(session_index session, engine::command_seq processed) const;
  /// The session ends: nothing is outstanding, and nothing is looked at any more. Frees what it can.
  void close(session_index session);

  engine::update_seq position(session_index session) const;
  const std::string& name(session_index session) const { return sessions_[session].name; }
  std::size_t sessions() const { return sessions_.size(); }
  /// Heap bytes in use, nearly.
  std::size_t memory_bytes() const;

 private:
  /// 64 commands.
  struct word {
    std::uint64_t acknowledged = 0, seen = 0;
  };
  struct range {
    std::int64_t first, last;
  };
  struct track {
    std::string name;
    std::int64_t update_next = 1;      ///< what the stream has to show next
    std::int64_t command_base = 0;     ///< the first word's first command is command_base + 1
    std::int64_t command_last = 0;     ///< the highest command seen
    std::uint64_t outstanding = 0;
    std::vector<word> words;
    std::vector<range> missing;        ///< update seqs skipped so far, ascending
  };
  static constexpr std::int64_t jump_max = std::int64_t{1} << 24;  ///< a seq further ahead is nonsense, not stored
  static constexpr std::size_t ranges_max = 4096;                  ///< of skipped updates that are kept open, a session
  static constexpr std::size_t examples_max = 20;

  word* word_of(track& t, std::int64_t command, std::uint64_t& bit);
  void retire(track& t);
  bool take_missing(track& t, std::int64_t seq);
  void note(const track& t, std::string_view what, std::int64_t seq);

  bool one_update_a_command_;
  std::vector<track> sessions_;
  std::uint64_t outstanding_ = 0;
  findings found_;
};

}  // namespace rowcall::tools::loadgen
