#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tools/loadgen/random_source.hpp"

/// Which faults there are, and which of them a seed draws: pure, no I/O.
namespace rowcall::chaos {

using std::chrono::milliseconds;

enum class fault_kind {
  engine_kill,          ///< SIGKILL of one engine; a supervisor starts it again later
  engine_kill_all,      ///< SIGKILL of all of them at once
  engine_stop,          ///< SIGSTOP, SIGCONT before the transaction timeout
  engine_stop_long,     ///< SIGSTOP for longer than the transaction timeout
  postgres_kill,        ///< SIGKILL of the postmaster, started again at once
  postgres_terminate,   ///< a storm of pg_terminate_backend over everybody's connections
  nats_kill,            ///< SIGKILL of nats-server, started again soon
  nats_absent,          ///< the same, away for seconds
  postgres_delay,       ///< the way to PostgreSQL: every byte comes late
  postgres_cut,         ///< … all connections are reset
  postgres_half_close,  ///< … one direction of all connections ends
  postgres_stall,       ///< … nothing passes, nothing is closed
  nats_delay,           ///< the same on the way to NATS
  nats_cut,
  nats_half_close,
  nats_stall,
  disk_full,              ///< not a byte left on PostgreSQL's file system
  connections_exhausted,  ///< max_connections taken by strangers, the engines' own connections ended
  snapshot_held,          ///< a REPEATABLE READ transaction with an old snapshot stays open
  client_kill,            ///< SIGKILL of a submitting process, nine of ten in the middle of a submit
};
constexpr std::size_t fault_kind_count = 20;

std::string_view to_string(fault_kind kind);
std::optional<fault_kind> fault_kind_from(std::string_view name);
const std::array<fault_kind, fault_kind_count>& all_fault_kinds();

/// What is promised for each kind.
struct recovery_promise {
  /// True: it is measured from the fault's beginning, while it lasts; false: from its end.
  bool is_from_start = false;
  milliseconds bound{1'000};
};
/// `transaction_timeout`, `sweep_interval`: of the engines that run.
recovery_promise promise_of(fault_kind kind, milliseconds transaction_timeout, milliseconds sweep_interval);

/// One fault of an episode. `target` and `strength` mean what the kind makes of them.
struct fault {
  fault_kind kind{};
  milliseconds begins{0};  ///< after the episode's begin
  milliseconds lasts{0};
  std::uint32_t target = 0;    ///< which engine, link or client: modulo how many there are
  std::uint32_t strength = 0;  ///< 0 to 999: how much delay, which direction, how many rounds
  friend bool operator==(const fault&, const fault&) = default;
};

/// One fault alone, whose recovery is measured against its promise, or a few at once.
struct episode {
  milliseconds pause{0};  ///< of peace before it
  std::vector<fault> faults;
  friend bool operator==(const episode&, const episode&) = default;
};

/// The faults of a seed, without an end. The same seed, kinds and timeout give the same faults.
///
/// Kinds are dealt from a shuffled pack that has each of them once, so that no kind is missing in a run.
class schedule {
 public:
  schedule(std::uint64_t seed, std::vector<fault_kind> kinds, milliseconds transaction_timeout);
  episode next();

 private:
  fault_kind deal();
  fault draw(fault_kind kind);

  tools::loadgen::random_source random_;
  std::vector<fault_kind> kinds_, pack_;
  milliseconds transaction_timeout_;
};

/// "engine_kill target 3 strength 17, 250 ms from 40 ms on"
std::string describe(const fault& f);

}  // namespace rowcall::chaos
