#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>

#include "engine/ports.hpp"

namespace rowcall::actors {

/// Says when memory is worth giving back to the system: when most sessions of a crowd have gone. In a crowd that merely
/// changes the others need it again, and while it is given back everybody who wants some waits. More than once, for as
/// long as they get fewer and a while longer: what the last of them had is freed after their tick.
class crowd {
 public:
  static constexpr std::size_t sessions_min = 10'000;  ///< fewer are no crowd: some 20 MiB
  static constexpr std::size_t share_left = 4;         ///< it has gone when no more than one in so many is left
  static constexpr std::chrono::seconds again_after{4};
  static constexpr int times = 4;

  /// Each tick: `known` sessions are left, and `gone` went in it. True: give memory back now.
  bool is_time_to_trim(std::size_t known, std::size_t gone, engine::clock::time_point now) {
    most_ = std::max(most_, known + gone);
    const bool has_gone = most_ - known >= sessions_min && known <= most_ / share_left;
    const bool has_shrunk = has_gone || (left_ > 0 && known < least_);
    if (has_gone) most_ = known;
    if (has_shrunk) {
      if (left_ == 0) next_ = now;
      left_ = times;
      least_ = known;
    }
    if (left_ == 0 || now < next_) return false;
    --left_;
    next_ = now + again_after;
    return true;
  }

 private:
  std::size_t most_ = 0;   ///< known since the last crowd went
  std::size_t least_ = 0;  ///< known since then, as long as it is watched
  int left_ = 0;
  engine::clock::time_point next_{};
};

}  // namespace rowcall::actors
