#pragma once

#include <chrono>
#include <cstdint>
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
  std::chrono::milliseconds reconnect_wait_max{500};
  std::size_t inline_updates_bytes_max = 8 * 1024;     ///< a notice with more data than this is sent without updates
  std::size_t inline_command_bytes_max = 2 * 1024;     ///< a wake does not bring a command with more data than this; 0 = never
  /// This many messages at once are published through the buffered connection (throughput), fewer at once (latency).
  std::size_t burst_messages_min = 32;
};

/// Tries once, connect_timeout at most (a server that is down refuses at once), and returns also when the server is away:
/// the bus connects, and reconnects for ever, by itself. Every on_connected handler is called on the bus's own thread: on
/// each connect, after messages had to be dropped because their handlers were too slow, and once when it registers while
/// connected. When nats.c gives a connection up (refused credentials on two reconnects in a row), a new one is opened.
/// Errors: invalid_argument for an unusable configuration, unavailable when the server refused the credentials.
engine::result<std::unique_ptr<engine::bus>> connect_nats(nats_config config);

/// What went by since the start. For metrics.
struct nats_counters {
  std::int64_t messages_ignored = 0;      ///< received with a subject or payload that can not be read
  std::int64_t publications_dropped = 0;  ///< not sent: disconnected
  std::int64_t overflows = 0;             ///< times a subscription's bound was reached: on_connected handlers were called
  std::int64_t connects = 0;              ///< first connect and reconnects
  std::int64_t handler_failures = 0;      ///< exceptions out of handlers (there should be none)
  std::int64_t permissions_refused = 0;   ///< what the server did not let this user publish or subscribe to
};
/// `bus` must be one that connect_nats made (assertion). Thread-safe.
nats_counters counters_of(const engine::bus& bus);

}  // namespace rowcall::bus
