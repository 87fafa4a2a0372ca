#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <nats/nats.h>

#include "bus/nats_bus.hpp"

namespace rowcall::bus::internal {

/// How long an end waits for callbacks of nats.c that are under way.
constexpr std::chrono::milliseconds callbacks_wait_max{5'000};

enum class send_mode {
  asap,      ///< every message is written to the socket by the publishing thread: 0.1 ms to the other side
  buffered,  ///< messages are gathered and written by nats.c's flusher within about 1 ms: twice the throughput
};

/// Called on nats.c's threads: must be short and must not throw.
struct connection_events {
  std::function<void()> on_connected;  ///< every reconnect
  std::function<void()> on_overflow;   ///< a subscription's pending messages reached their bound: some were dropped
  std::function<void()> on_refused;    ///< the user may not publish or subscribe what was asked for
  std::function<void()> on_closed;     ///< nats.c has given up: another connection has to be opened
};

/// One connection that reconnects, with growing and jittered waits, for as long as nats.c does. Thread-safe.
class nats_connection {
 public:
  /// Tries once, for connect_timeout at most. Nothing when nobody answers: nats.c's own retrying of a first connect ends for
  /// good as soon as somebody accepts the connection and hangs up (a proxy whose server is away), so it is not used.
  /// Errors: invalid_argument (URL), unavailable (credentials refused).
  static engine::result<std::unique_ptr<nats_connection>> open(const nats_config& config, send_mode mode,
                                                               connection_events events);
  /// Closes it; no event is called afterwards and nats.c's threads of this connection are gone.
  ~nats_connection();
  nats_connection(const nats_connection&) = delete;
  nats_connection& operator=(const nats_connection&) = delete;

  bool is_connected() const;
  /// False when the message was not handed to nats.c; also while disconnected: nothing old is replayed later.
  bool publish(const std::string& subject, std::string_view payload);
  /// A round trip to the server. Errors: timed_out, unavailable.
  engine::result<void> flush(std::chrono::milliseconds timeout);
  natsConnection* handle() const;

 private:
  struct state;
  explicit nats_connection(std::unique_ptr<state> s);
  std::unique_ptr<state> state_;
};

}  // namespace rowcall::bus::internal
