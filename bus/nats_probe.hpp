#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "bus/nats_bus.hpp"

/// What `rowcall doctor` asks a NATS server: facts, no judgement.
namespace rowcall::bus {

struct nats_facts {
  std::string server;   ///< host:port that answered
  std::string version;  ///< "2.9.10"
  std::int64_t payload_bytes_max = 0;
  bool requires_credentials = false;
  bool requires_tls = false;
  bool has_jetstream = false;
  std::chrono::microseconds round_trip{0};  ///< median PING to PONG
  /// What these credentials may do. Tried with the session `doctor-<random>`, which nobody serves.
  bool may_wake = false, may_hear_wakes = false, may_notify = false, may_hear_updates = false;
  bool delivers = false;  ///< a notice published was received; only meaningful with may_notify and may_hear_updates
};

/// Connects, asks, and is gone: connect_timeout at most for each of a few steps.
/// Errors: unavailable (nobody answers, or the credentials are refused), invalid_argument (URL).
engine::result<nats_facts> probe_nats(const nats_config& config);

/// The largest notice that this configuration publishes, roughly.
std::int64_t notice_bytes_max(const nats_config& config);

}  // namespace rowcall::bus
