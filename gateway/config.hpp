#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/types.hpp"

namespace rowcall::gateway {

using std::chrono::milliseconds;

/// Bounds and times of a gateway. Each limit answers with a status of its own, see docs/gateway.md.
struct gateway_config {
  std::string host = "127.0.0.1";
  std::uint16_t port = 8080;  ///< 0: any that is free
  bool development = false;   ///< the key that everybody knows, and a login without a password
  bool cookie_secure = true;  ///< the cookie only goes over TLS (always false in development)
  std::string public_origin;  ///< "https://chat.example.org" behind a proxy; empty: what the Host header says
  std::vector<std::string> cors_origins;  ///< other origins whose pages may use the API (with a Bearer token)
  std::string web_root;                   ///< directory of the pages; empty: what was built in

  std::size_t header_bytes_max = 16 * 1024;                             ///< request line and fields: 431
  std::size_t target_bytes_max = 12 * 1024;                             ///< path and query: 414
  std::size_t body_bytes_max = 1024 * 1024;                             ///< 413
  std::size_t data_bytes_max = engine::command_data_bytes_max_default;  ///< of one command: 422
  std::size_t batch_commands_max = 100;                                 ///< commands of one request: 422
  std::size_t signal_bytes_max = 1024;                                  ///< body of a signal: 413
  std::size_t page_updates_max = 1'000;   ///< of one page; a larger limit is taken as this
  std::size_t connections_max = 16'000;   ///< 503
  std::size_t streams_max = 12'000;       ///< open streams: 503
  std::size_t streams_per_user_max = 20;  ///< 429
  std::size_t stream_sessions_max = 200;  ///< sessions of one stream: 400
  double commands_per_s = 200;            ///< of one user, with commands_burst: 429
  double commands_burst = 400;
  double reads_per_s = 200;  ///< pages, snapshots and streams of one user: 429
  double reads_burst = 400;
  double signals_per_s = 10;  ///< of one user: 429
  double signals_burst = 20;
  double logins_per_s = 10;  ///< of one address: logins and refused tokens: 429
  double logins_burst = 100;

  milliseconds header_timeout{10'000};  ///< from a request's first byte to the end of its fields: 408
  milliseconds body_timeout{30'000};    ///< 408
  milliseconds idle_timeout{75'000};    ///< a kept connection without a request is closed
  milliseconds write_timeout{10'000};   ///< a reader that takes nothing for this long is dropped
  milliseconds wait_max{30'000};        ///< of ?wait=
  milliseconds heartbeat{20'000};       ///< of streams
  milliseconds poll_interval{10'000};    ///< how long a lost notice can delay a stream
  milliseconds feed_idle{30'000};       ///< a session that nobody follows is forgotten after this

  std::size_t reader_threads = 4;        ///< each with a connection to the database
  std::size_t reader_queue_max = 4'096;  ///< reads that wait for one: 503
  std::size_t ring_updates = 256;        ///< recent updates kept per followed session
  std::size_t ring_bytes = 256 * 1024;
  std::size_t chunk_bytes = 64 * 1024;  ///< of one write to a stream
};

/// Errors: invalid_argument, with the field that is out of range.
engine::result<void> validate(const gateway_config& config);

}  // namespace rowcall::gateway
