#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/types.hpp"

namespace rowcall::tools {

/// Counts what is wrong with a stream of updates over many sessions. Pure.
///
/// The stream of session `s` must hold the updates 1, 2, 3, … and each of the commands 1 … n must be answered by
/// exactly one of them, in order: the shape of a module that answers each command with one update.
class stream_check {
 public:
  explicit stream_check(std::size_t sessions);

  /// The next updates of a session, as they came.
  void take(std::size_t session, std::span<const engine::update_row> updates);

  struct counts {
    std::uint64_t updates = 0;
    std::uint64_t lost = 0;        ///< commands without an answer
    std::uint64_t duplicated = 0;  ///< updates or answers that came again
    std::uint64_t reordered = 0;   ///< updates or answers that came after a later one
    std::uint64_t gaps = 0;        ///< update numbers that were left out
    bool is_clean() const { return lost == 0 && duplicated == 0 && reordered == 0 && gaps == 0; }
  };
  /// `commands[s]`: how many commands of session s were acknowledged. To be asked at the end.
  counts result(std::span<const std::uint32_t> commands) const;

 private:
  struct stream {
    std::int64_t update_max = 0;          ///< highest update seq that came
    std::int64_t command_max = 0;         ///< highest command seq that was answered
    std::vector<bool> updates_seen;       ///< by update seq - 1
    std::vector<bool> commands_answered;  ///< by command seq - 1
  };
  static bool mark(std::vector<bool>& seen, std::int64_t seq);

  std::vector<stream> streams_;
  counts counts_;
};

}  // namespace rowcall::tools
