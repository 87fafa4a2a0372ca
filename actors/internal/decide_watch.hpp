#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "actors/turn.hpp"

namespace rowcall::actors::internal {

/// Tells a turn that does not come back from its modules. A module runs on its worker's own thread, so the worker can
/// not notice it; somebody else looks, now and then.
///
/// The turns are one worker's, the looks one watcher's. Between two looks at the same command no more time counts than
/// two intervals: a process that was stopped, or a machine that paused, has not worked on it.
class decide_watch {
 public:
  struct finding {
    std::chrono::nanoseconds since{0};  ///< for how long the same command has been looked at
    std::string session;
    engine::command_seq command;  ///< 0: its state is being loaded
    std::string type;
  };

  /// From here until end() the turn's claim must not change.
  void begin(const turn_ptr& t) {
    const std::lock_guard lock{mutex_};
    turn_ = t;
    ++turns_;
  }
  void end() {
    const std::lock_guard lock{mutex_};
    turn_.reset();
  }

  /// What is being decided, when that is the same as at the last look.
  std::optional<finding> look(engine::clock::time_point now, std::chrono::nanoseconds interval) {
    const std::lock_guard lock{mutex_};
    const auto passed = std::min<std::chrono::nanoseconds>(now - std::exchange(looked_at_, now), 2 * interval);
    const auto t = turn_.lock();
    const place at = t ? place{turns_, t->deciding.position.load(std::memory_order_relaxed),
                               t->deciding.command.load(std::memory_order_relaxed)}
                       : place{};
    const bool is_same = t && at == place_;
    place_ = at;
    if (!is_same) {
      since_ = std::chrono::nanoseconds{0};
      return std::nullopt;
    }
    since_ += passed;
    finding f{since_, t->work.sessions.at(at.position).session.str(), {at.command}, {}};
    for (const auto& c : t->claim.sessions.at(at.position).commands)
      if (c.seq == f.command) f.type = c.type;
    return f;
  }

 private:
  struct place {
    std::uint64_t turn = 0;
    std::uint32_t position = 0;
    std::int64_t command = 0;
    friend bool operator==(const place&, const place&) = default;
  };
  std::mutex mutex_;
  std::weak_ptr<turn> turn_;  ///< that is deciding
  std::uint64_t turns_ = 0;
  place place_;  ///< at the last look
  engine::clock::time_point looked_at_{};
  std::chrono::nanoseconds since_{0};
};

}  // namespace rowcall::actors::internal
