#include "tools/connect/connect.hpp"

#include <algorithm>
#include <cctype>
#include <condition_variable>
#include <mutex>

#include "bus/signal_channel.hpp"
#include "storage/postgres/migrator.hpp"

namespace rowcall::tools {

std::string without_password(const std::string& url) {
  std::string text = url;
  // scheme://user:password@host, in each of several servers (NATS takes a list).
  for (auto scheme = text.find("://"); scheme != std::string::npos; scheme = text.find("://", scheme + 3)) {
    const auto begin = scheme + 3;
    const auto end = std::min(text.find_first_of("/?,", begin), text.size());
    const auto at = text.rfind('@', end);
    if (at == std::string::npos || at < begin || at >= end) continue;
    const auto colon = text.find(':', begin);
    if (colon < at) text.replace(colon + 1, at - colon - 1, "***");
  }
  // password=… as a URI parameter or in a keyword/value string, maybe in single quotes.
  const std::string word = "password";
  for (auto at = text.find(word); at != std::string::npos; at = text.find(word, at + word.size())) {
    auto begin = at + word.size();
    while (begin < text.size() && text[begin] == ' ') ++begin;
    if (begin >= text.size() || text[begin] != '=') continue;
    ++begin;
    while (begin < text.size() && text[begin] == ' ') ++begin;
    auto end = begin;
    if (end < text.size() && text[end] == '\'') {
      ++end;
      while (end < text.size() && text[end] != '\'') end += text[end] == '\\' ? 2 : 1;
      end = std::min(end + 1, text.size());
    } else {
      while (end < text.size() && text[end] != '&' && !std::isspace(static_cast<unsigned char>(text[end]))) ++end;
    }
    text.replace(begin, end - begin, "***");
  }
  return text;
}

storage::postgres::store_config store_config_of(const connection_options& options, const std::string& role) {
  storage::postgres::store_config config;
  config.url = options.database_url;
  config.application_name = "rowcall " + role;
  config.connect_timeout = options.connect_timeout;
  return config;
}

engine::result<void> require_database(const connection_options& options) {
  if (!options.database_url.empty()) return {};
  return engine::fail(engine::errc::invalid_argument,
                      "no database is configured: give --database URL or set ROWCALL_DATABASE_URL "
                      "(`./run services` starts one and writes .run/env)");
}

std::string unreachable_database(const connection_options& options, const std::string& reason) {
  return "cannot reach the database at " + without_password(options.database_url) + ": " + reason +
         "\nCheck --database / ROWCALL_DATABASE_URL, or start a private one with `./run services`.";
}

engine::result<void> check_database(const connection_options& options) {
  if (auto configured = require_database(options); !configured) return configured;
  auto checked = storage::postgres::migrator{store_config_of(options, "check")}.check();
  if (checked) return {};
  auto error = checked.error();
  switch (error.code) {
    case engine::errc::connection_lost:
    case engine::errc::unavailable:
    case engine::errc::timed_out:
      return engine::fail(engine::errc::unavailable, unreachable_database(options, error.message));
    case engine::errc::schema_mismatch:
      if (error.message.find("migrate") == std::string::npos && error.message.find("newer") == std::string::npos)
        error.message += "\nBring it up to date with `rowcall migrate up`.";
      return tl::make_unexpected(std::move(error));
    default:
      return tl::make_unexpected(std::move(error));
  }
}

bus::nats_config bus_config_of(const connection_options& options, const std::string& role) {
  bus::nats_config config;
  config.url = options.nats_url;
  config.name = "rowcall " + role;
  config.subject_prefix = options.subject_prefix;
  config.connect_timeout = std::min(options.connect_timeout, config.connect_timeout);
  return config;
}

namespace {

engine::error unusable_nats(const connection_options& options, engine::error error) {
  error.message = "cannot use NATS at " + without_password(options.nats_url) + ": " + error.message +
                  "\nCheck --nats / ROWCALL_NATS_URL.";
  return error;
}

}  // namespace

engine::result<std::unique_ptr<engine::bus>> open_bus(const connection_options& options, const std::string& role,
                                                      std::optional<std::size_t> inline_updates_bytes_max) {
  auto config = bus_config_of(options, role);
  if (inline_updates_bytes_max) config.inline_updates_bytes_max = *inline_updates_bytes_max;
  auto opened = bus::connect_nats(std::move(config));
  if (!opened) return tl::make_unexpected(unusable_nats(options, opened.error()));
  return opened;
}

engine::result<std::unique_ptr<bus::signal_channel>> open_signals(
    const connection_options& options, const std::string& role,
    std::function<void(const engine::session_id&, std::string_view)> on_signal) {
  auto opened = bus::signal_channel::open(bus_config_of(options, role + " signals"), std::move(on_signal));
  if (!opened) return tl::make_unexpected(unusable_nats(options, opened.error()));
  return opened;
}

bool wait_connected(engine::bus& bus, std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  std::mutex mutex;
  std::condition_variable changed;
  const auto listening = bus.on_connected([&] {
    const std::lock_guard lock{mutex};
    changed.notify_all();
  });
  {
    std::unique_lock lock{mutex};
    // The callback may have come before the subscription: look again every few milliseconds.
    while (!bus.is_connected() && std::chrono::steady_clock::now() < deadline)
      changed.wait_for(lock, std::chrono::milliseconds{10});
  }
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
  return bus.is_connected() && bus.flush(std::max(left, std::chrono::milliseconds{1})).has_value();
}

}  // namespace rowcall::tools
