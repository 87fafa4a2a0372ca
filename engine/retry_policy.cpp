#include "engine/retry_policy.hpp"

#include <algorithm>
#include <string>

namespace rowcall::engine {

std::chrono::milliseconds retry_policy::wait_after(int attempts, const session_id& session, command_seq command) const {
  ROWCALL_ASSERT(attempts >= 1);
  auto wait = std::min(base, wait_max);
  for (int i = 1; i < attempts && wait < wait_max; ++i) wait = std::min(wait * 2, wait_max);

  // The jitter is a hash of what is being retried, so sessions that failed together do not come back together and the
  // same history always gives the same waits. FNV-1a mixes its high bits poorly: finish with a multiply-xorshift
  // (splitmix64, https://prng.di.unimi.it/splitmix64.c).
  std::uint64_t h = fnv1a_64(session.str() + '/' + std::to_string(command.value) + '/' + std::to_string(attempts));
  h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9ull;
  h = (h ^ (h >> 27)) * 0x94d049bb133111ebull;
  h ^= h >> 31;
  const double factor = 0.5 + 0.5 * static_cast<double>(h >> 11) * 0x1.0p-53;
  return std::chrono::milliseconds{static_cast<std::int64_t>(static_cast<double>(wait.count()) * factor)};
}

}  // namespace rowcall::engine
