#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "client/submitter.hpp"
#include "engine/chat/ports.hpp"
#include "engine/console.hpp"
#include "engine/module.hpp"
#include "engine/ports.hpp"
#include "gateway/metrics.hpp"
#include "gateway/token.hpp"

namespace rowcall::gateway {

/// Ephemeral messages about a session, to all gateways. Best effort.
class signal_bus {
 public:
  virtual ~signal_bus() = default;
  virtual void publish(const engine::session_id& session, std::string_view payload) = 0;
};

struct gateway_ports {
  std::function<std::unique_ptr<engine::update_store>()> make_update_store;
  std::function<std::unique_ptr<engine::chat::chat_store>()> make_chat_store;
  std::function<std::unique_ptr<engine::admin_store>()> make_admin_store;
  std::function<std::unique_ptr<engine::console_store>()> make_console_store;
  /// For the console's states of sessions; kinds that are not here have none.
  const engine::module_registry* modules = nullptr;
  client::submitter* submitter = nullptr;
  engine::bus* bus = nullptr;
  signal_bus* signals = nullptr;
  engine::log_sink log;
  /// Of /metrics; called on the io thread.
  metrics_writer write_metrics;
  /// The keys as they are now; asked for every second. An error keeps those that are there.
  std::function<engine::result<key_ring>()> load_keys;
};

}  // namespace rowcall::gateway
