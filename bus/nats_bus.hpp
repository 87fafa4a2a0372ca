#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "engine/ports.hpp"

/// The bus on NATS (core, no JetStream). nats.c stays behind this header.
///
/// Subjects: `<prefix>.wake.<session>` and `<prefix>.updates.<session>`; payloads: see docs/protocol.md.
namespace rowcall::bus {

struct nats_config {
  std::string url = "nats://127.0.0.1:4222";
  std::string name = "rowcall";
  std::string subject_prefix = "rowcall";
  std::chrono::milliseconds connect_timeout{2'000};
  std::chrono::milliseconds reconnect_wait{100};       ///< doubled up to reconnect_wait_max, with jitter
  std::chrono::milliseconds reconnect_wait_max{1'000};
  std::size_t inline_updates_bytes_max = 8 * 1024;     ///< a notice with more data than this is sent without updates
  /// This many messages at once are published through the buffered connection (throughput), fewer at once (latency).
  std::size_t burst_messages_min = 32;
};

/// Returns at once, also when the server is away: the bus connects, and reconnects for ever, by itself.
/// Errors: invalid_argument for an unusable configuration, unavailable when the server refused the credentials.
engine::result<std::unique_ptr<engine::bus>> connect_nats(nats_config config);

}  // namespace rowcall::bus
