#pragma once

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include "actors/metrics.hpp"
#include "engine/ports.hpp"

namespace rowcall::actors::internal {

/// What an actor knows of the connection that its store has, and how long to leave it alone after an error.
class store_contact {
 public:
  store_contact() = default;
  store_contact(metrics* counters, engine::log_sink log, std::chrono::milliseconds wait_max)
      : counters_(counters), log_(std::move(log)), wait_max_(wait_max) {}

  void failed(std::string_view what, const engine::error& why) {
    wait_ = std::min(std::max(wait_ * 2, std::chrono::milliseconds{50}), wait_max_);
    counters_->is_store_connected = false;
    if (engine::is_transient(why.code)) {
      ++counters_->store_failures;
      is_away_ = true;
    }
    auto event = std::string(what) + "_failed";
    std::replace(event.begin(), event.end(), ' ', '_');
    // Why a process ends must not be among the lines that the limit leaves out.
    if (why.code == engine::errc::superseded) event = "superseded";
    log_(why.code == engine::errc::superseded ? engine::log_level::error : engine::log_level::warning,
         std::string(what) + " failed (" + std::string(engine::to_string(why.code)) + "): " + why.message,
         {event, {}, {}, {}});
  }

  /// The store has answered. True when it had failed before that.
  bool answered() {
    counters_->is_store_connected = true;
    if (std::exchange(is_away_, false)) ++counters_->store_reconnects;
    return std::exchange(wait_, std::chrono::milliseconds{0}).count() != 0;
  }
  std::chrono::milliseconds wait() const { return wait_; }

 private:
  metrics* counters_ = nullptr;
  engine::log_sink log_;
  std::chrono::milliseconds wait_max_{1'000};
  std::chrono::milliseconds wait_{0};  ///< after an error; doubled up to the maximum
  bool is_away_ = false;
};

}  // namespace rowcall::actors::internal
