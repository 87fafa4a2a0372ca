#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string_view>

#include "engine/ports.hpp"
#include "tools/rowcall/options.hpp"
#include "tools/rowcall/stop_signal.hpp"

/// What the long-running commands share.
namespace rowcall::tools {

/// Waits for a database with the right schema: a service may start before its database does. An error is final;
/// `stop` ends the wait with success. `meanwhile` is called before each further try.
engine::result<void> await_database(const global_options& global, stop_signal& stop,
                                    const std::function<void()>& meanwhile = {});

/// Tells the log when NATS goes and when it is back, and, once a minute at most, that it does not let this program do
/// its part.
class bus_watch {
 public:
  /// `bus`: one that open_bus made; must outlive this. `program`: "an engine". `without`: how things go on without
  /// NATS.
  bus_watch(const engine::bus& bus, std::string_view program, std::string_view without)
      : bus_(bus), program_(program), without_(without) {}
  /// To be called now and then, by one thread.
  void look();

 private:
  const engine::bus& bus_;
  const std::string_view program_, without_;
  bool was_connected_ = true;
  std::int64_t refusals_ = 0;
  std::chrono::steady_clock::time_point refusals_told_at_{};
};

}  // namespace rowcall::tools
