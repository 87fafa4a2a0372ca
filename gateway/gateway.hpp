#pragma once

#include <memory>
#include <string>

#include "gateway/config.hpp"
#include "gateway/ports.hpp"

namespace rowcall::gateway {

/// HTTP and server-sent events for what a browser can not reach. Stateless: any number may run.
///
///   requests ──► one thread of Asio: HTTP, streams, feeds ──► client::submitter            commands
///                      ▲                    ▲      └────────► reader threads, one store each   pages, membership
///                      └── client::follower ┘ updates of every session that is followed
class gateway {
 public:
  gateway(gateway_config config, gateway_ports ports);
  ~gateway();
  gateway(const gateway&) = delete;

  /// Listens and serves. Errors: invalid_argument (configuration, keys), unavailable (address in use).
  engine::result<void> start();
  /// "http://127.0.0.1:41234"
  std::string address() const;
  /// A signal from the bus; thread-safe.
  void deliver_signal(const engine::session_id& session, std::string payload);
  /// No new connections; streams are told, open requests finish, within `timeout`. False when some did not.
  bool stop(milliseconds timeout);

 private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

}  // namespace rowcall::gateway
