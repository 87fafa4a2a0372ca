#include "tools/rowcall/composition.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "tools/rowcall/logging.hpp"
#include "tools/rowcall/service_notice.hpp"

namespace rowcall::tools {

engine::result<void> await_database(const global_options& global, stop_signal& stop,
                                    const std::function<void()>& meanwhile) {
  constexpr milliseconds wait_max{500};  // as the engine waits for one that it had
  for (milliseconds wait{50};; wait = std::min(wait * 2, wait_max)) {
    auto checked = check_database(global.connection);
    if (checked || checked.error().code != engine::errc::unavailable) return checked;
    warn_waiting("waiting_for_database", "waiting for PostgreSQL: " + checked.error().message);
    tell_service_manager("STATUS=waiting for the database");
    if (meanwhile) meanwhile();
    if (stop.wait_for(wait)) return {};
  }
}

void bus_watch::look() {
  constexpr std::chrono::minutes refusals_told_every{1};
  if (const bool connected = bus_.is_connected(); connected != was_connected_) {
    was_connected_ = connected;
    if (connected)
      spdlog::info("NATS is connected");
    else
      spdlog::warn("NATS is not connected: {} until it is back", without_);
  }
  const auto now = std::chrono::steady_clock::now();
  if (const auto count = bus::counters_of(bus_).permissions_refused;
      count > refusals_ && (refusals_ == 0 || now >= refusals_told_at_ + refusals_told_every)) {
    refusals_ = count;
    refusals_told_at_ = now;
    spdlog::warn(
        "NATS does not let this user publish or subscribe to what {} needs (nats-server's log names it): wakes or "
        "notices do not arrive, which makes everything slow",
        program_);
  }
}

}  // namespace rowcall::tools
