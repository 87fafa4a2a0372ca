#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "bus/nats_bus.hpp"

namespace rowcall::bus {

/// Ephemeral messages about sessions (somebody types, somebody is here): `<prefix>.signals.<session>`. Nothing depends
/// on their arrival. A connection of its own, so that they never stand before wakes and notices. Thread-safe.
class signal_channel {
 public:
  using handler = std::function<void(const engine::session_id&, std::string_view payload)>;

  /// `on_signal` comes on nats.c's threads for what anybody sends, this channel's own messages included; must be short
  /// and must not throw. The server may be away: the channel connects, and connects again, by itself.
  static engine::result<std::unique_ptr<signal_channel>> open(nats_config config, handler on_signal);
  ~signal_channel();  ///< no handler runs after it
  signal_channel(const signal_channel&) = delete;

  /// Lost silently while disconnected.
  void publish(const engine::session_id& session, std::string_view payload);

 private:
  struct impl;
  explicit signal_channel(std::unique_ptr<impl> i);
  std::unique_ptr<impl> impl_;
};

}  // namespace rowcall::bus
