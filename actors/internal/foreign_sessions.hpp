#pragma once

#include <cstdint>
#include <map>
#include <utility>

#include "engine/types.hpp"

namespace rowcall::actors::internal {

/// Pending sessions that another node should serve, as the sweeps see them. Nothing depends on the nodes agreeing: what
/// its own node leaves lying is served here in the end.
class foreign_sessions {
 public:
  /// `sweeps_max`: sweeps that find a session without progress until it is left lying. `sessions_max`: that are
  /// remembered. `unseen_sweeps_max`: after so many that did not find it, a session makes room for others; a sweep
  /// looks at some of many only.
  explicit foreign_sessions(int sweeps_max = 5, std::size_t sessions_max = 100'000,
                            std::uint64_t unseen_sweeps_max = 20)
      : sweeps_max_(sweeps_max), sessions_max_(sessions_max), unseen_sweeps_max_(unseen_sweeps_max) {}

  /// Sweep number `sweep` has found it, processed up to `processed`. True when it is left lying; it is forgotten then.
  bool is_left_lying(const engine::session_id& session, engine::command_seq processed, std::uint64_t sweep) {
    if (sessions_.size() >= sessions_max_ && !sessions_.contains(session)) {
      make_room(sweep);
      if (sessions_.size() >= sessions_max_) return false;
    }
    auto& seen = sessions_[session];
    if (seen.last_sweep == sweep) return false;
    seen.sweeps = seen.processed == processed ? seen.sweeps + 1 : 1;
    seen.processed = processed;
    seen.last_sweep = sweep;
    if (seen.sweeps < sweeps_max_) return false;
    sessions_.erase(session);
    return true;
  }
  void clear() { sessions_.clear(); }

 private:
  struct sighting {
    engine::command_seq processed;
    int sweeps = 0;
    std::uint64_t last_sweep = 0;
  };

  /// Once a sweep at most. Most sessions were caught in flight, and are never seen again.
  void make_room(std::uint64_t sweep) {
    if (std::exchange(made_room_in_, sweep) == sweep) return;
    std::erase_if(sessions_, [&](const auto& s) { return s.second.last_sweep + unseen_sweeps_max_ < sweep; });
  }

  const int sweeps_max_;
  const std::size_t sessions_max_;
  const std::uint64_t unseen_sweeps_max_;
  std::uint64_t made_room_in_ = 0;
  std::map<engine::session_id, sighting> sessions_;
};

}  // namespace rowcall::actors::internal
