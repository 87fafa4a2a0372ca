#pragma once

#include <chrono>
#include <cstdint>

#include "engine/types.hpp"

namespace rowcall::engine {

/// Exponential backoff with jitter: wait = base * 2^(attempts-1), at most `wait_max`, times a factor in
/// [0.5, 1.0] drawn from the seed ("equal jitter").
struct retry_policy {
  int attempts_max = 10;  ///< of a failing command, before `hold` becomes `park`
  std::chrono::milliseconds base{100};
  std::chrono::milliseconds wait_max{60'000};

  /// `attempts` >= 1 is the number of attempts made so far. Pure: the same arguments give the same wait.
  std::chrono::milliseconds wait_after(int attempts, const session_id& session, command_seq command) const;
};

}  // namespace rowcall::engine
