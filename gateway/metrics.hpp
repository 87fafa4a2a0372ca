#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

namespace rowcall::gateway {

/// Of HTTP, since the start.
struct http_counters {
  std::uint64_t connections_accepted = 0, connections_refused = 0, requests = 0, slow_readers_dropped = 0;
  std::uint64_t answers_1xx_2xx = 0, answers_3xx = 0, answers_4xx = 0, answers_5xx = 0;
};

/// Of what was asked for, since the start.
struct api_counters {
  std::uint64_t commands = 0, commands_refused = 0, updates_streamed = 0, signals = 0, streams_opened = 0,
                tokens_refused = 0, rate_limited = 0, streams_left = 0;
};

/// What a gateway tells of itself, at one moment.
struct gateway_metrics {
  http_counters http;
  api_counters api;
  std::size_t connections = 0, streams = 0;  ///< open now
  std::size_t feeds = 0;                     ///< sessions that are followed
  std::size_t reads_waiting = 0;             ///< for a reader thread
  bool is_ready = false, is_database_there = false, is_bus_connected = false;
};

/// The answer of /metrics. The gateway counts; how that is written is up to whoever runs it.
struct metrics_page {
  std::string content_type, text;
};
using metrics_writer = std::function<metrics_page(const gateway_metrics&)>;

}  // namespace rowcall::gateway
