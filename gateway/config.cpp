#include "gateway/config.hpp"

#include "engine/json.hpp"

namespace rowcall::gateway {

engine::result<void> validate(const gateway_config& c) {
  const auto check = [](bool is_fine, const char* text) -> engine::result<void> {
    if (is_fine) return {};
    return engine::fail(engine::errc::invalid_argument, text);
  };
  for (const auto& checked : {
           check(c.header_bytes_max >= 1'024 && c.header_bytes_max <= 1024 * 1024,
                 "the header's limit is 1 KiB to 1 MiB"),
           check(c.target_bytes_max <= c.header_bytes_max, "a target can not be longer than the header"),
           check(c.body_bytes_max >= 1 && c.body_bytes_max <= engine::json::parser::text_bytes_max,
                 "the body's limit is 1 byte to 16 MiB"),
           check(c.reader_threads >= 1 && c.reader_threads <= 64, "there are 1 to 64 reader threads"),
           check(c.streams_max <= c.connections_max, "there can not be more streams than connections"),
           check(c.stream_sessions_max >= 1 && c.batch_commands_max >= 1 && c.page_updates_max >= 1 &&
                     c.ring_updates >= 1,
                 "a limit is at least 1"),
           check(c.heartbeat >= milliseconds{1'000}, "the heartbeat is at least one second"),
       })
    if (!checked) return checked;
  return {};
}

}  // namespace rowcall::gateway
