#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "bus/nats_bus.hpp"
#include "engine/ports.hpp"
#include "storage/postgres/stores.hpp"

/// From options to stores and a bus: the one place where a tool meets PostgreSQL and NATS.
namespace rowcall::bus {
class signal_channel;
}

namespace rowcall::tools {

struct connection_options {
  std::string database_url;                          ///< libpq URI or connection string; empty = not configured
  std::string nats_url = "nats://127.0.0.1:4222";    ///< one or more servers, separated by commas
  std::string subject_prefix = "rowcall";            ///< the first token of every NATS subject
  std::chrono::milliseconds connect_timeout{5'000};  ///< bound on making one connection
};

/// The configuration of a store. `role` ends up in application_name: "rowcall <role>".
storage::postgres::store_config store_config_of(const connection_options& options, const std::string& role);

/// Errors: invalid_argument when no database is configured, with what to do.
engine::result<void> require_database(const connection_options& options);

/// The message for a database that does not answer: where it was looked for (without the password), why, what to do.
std::string unreachable_database(const connection_options& options, const std::string& reason);

/// Reaches the database and checks that its schema is the one this binary needs.
/// Errors: invalid_argument (no database configured), unavailable (not reachable; says what to do), schema_mismatch.
engine::result<void> check_database(const connection_options& options);

/// The configuration of a bus. `role` ends up in the connection's name.
bus::nats_config bus_config_of(const connection_options& options, const std::string& role);

/// Connects to NATS in the background: the bus is usable at once and reconnects for ever.
/// `inline_updates_bytes_max`: a notice carries its updates when their data is not larger; nothing: the bus's default.
engine::result<std::unique_ptr<engine::bus>> open_bus(const connection_options& options, const std::string& role,
                                                      std::optional<std::size_t> inline_updates_bytes_max = {});

/// A channel for signals; as open_bus.
engine::result<std::unique_ptr<bus::signal_channel>> open_signals(
    const connection_options& options, const std::string& role,
    std::function<void(const engine::session_id&, std::string_view)> on_signal);

/// Waits until NATS has answered once. False when it did not within `timeout`; what is published then may be lost, and
/// the engine's sweep finds the work.
bool wait_connected(engine::bus& bus, std::chrono::milliseconds timeout);

/// The URL or connection string with the password replaced by `***`, for messages and logs.
std::string without_password(const std::string& url);

}  // namespace rowcall::tools
