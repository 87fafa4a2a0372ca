#include "gateway/gateway.hpp"

#include <spdlog/spdlog.h>
#include <sys/resource.h>

#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <optional>

#include "bus/signal_channel.hpp"
#include "tools/connect/duration.hpp"
#include "tools/rowcall/actions.hpp"
#include "tools/rowcall/composition.hpp"
#include "tools/rowcall/gateway_metrics.hpp"
#include "tools/rowcall/logging.hpp"
#include "tools/rowcall/stop_bound.hpp"
#include "tools/rowcall/stop_signal.hpp"
#include "tools/rowcall/version.hpp"
#include "tools/telemetry/process_metrics.hpp"

/// The composition root of a gateway.
namespace rowcall::tools {
namespace {

/// Signals of the gateways among each other, on NATS.
class nats_signals final : public gateway::signal_bus {
 public:
  explicit nats_signals(bus::signal_channel& channel) : channel_(channel) {}
  void publish(const engine::session_id& session, std::string_view payload) override {
    channel_.publish(session, payload);
  }

 private:
  bus::signal_channel& channel_;
};

/// Where signals go while there is a gateway.
class signal_receiver {
 public:
  void set(gateway::gateway* to) {
    const std::lock_guard lock{mutex_};
    to_ = to;
  }
  void deliver(const engine::session_id& session, std::string_view payload) {
    const std::lock_guard lock{mutex_};
    if (to_ != nullptr) to_->deliver_signal(session, std::string{payload});
  }

 private:
  std::mutex mutex_;
  gateway::gateway* to_ = nullptr;
};

engine::result<gateway::gateway_config> config_of(const global_options& global, const gateway_options& o) {
  gateway::gateway_config c;
  const auto colon = o.listen.rfind(':');
  int port = -1;
  if (colon != std::string::npos && colon + 1 < o.listen.size() && o.listen.size() - colon <= 6 &&
      o.listen.find_first_not_of("0123456789", colon + 1) == std::string::npos)
    port = std::stoi(o.listen.substr(colon + 1));
  if (port < 0 || port > 65'535)
    return engine::fail(engine::errc::invalid_argument,
                        "--listen: '" + o.listen + "' is no ADDRESS:PORT, like 127.0.0.1:8080");
  c.host = o.listen.substr(0, colon);
  if (c.host.size() > 2 && c.host.front() == '[' && c.host.back() == ']') c.host = c.host.substr(1, c.host.size() - 2);
  c.port = static_cast<std::uint16_t>(port);
  c.development = o.development;
  c.cookie_secure = !o.insecure_cookie;
  c.public_origin = o.public_origin;
  c.cors_origins = o.cors_origins;
  c.web_root = o.web_root;
  c.header_bytes_max = o.header_bytes_max;
  c.target_bytes_max = std::min(c.target_bytes_max, o.header_bytes_max);
  c.body_bytes_max = o.body_bytes_max;
  c.data_bytes_max = global.data_bytes_max;
  c.connections_max = o.connections_max;
  c.streams_max = std::min(o.streams_max, o.connections_max);
  c.streams_per_user_max = o.streams_per_user_max;
  c.commands_per_s = o.commands_per_s;
  c.commands_burst = 2 * o.commands_per_s;
  c.reads_per_s = o.reads_per_s;
  c.reads_burst = 2 * o.reads_per_s;
  c.header_timeout = o.header_timeout;
  c.body_timeout = o.body_timeout;
  c.idle_timeout = o.idle_timeout;
  c.write_timeout = o.write_timeout;
  c.heartbeat = o.heartbeat;
  c.poll_interval = o.poll_interval;
  c.reader_threads = o.reader_threads;
  return c;
}

/// A stream is a descriptor: as many as the system allows.
void raise_descriptor_limit(std::size_t wanted) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < wanted + 100)
    spdlog::warn("this process may open {} descriptors, fewer than --connections-max asks for: raise `ulimit -n`",
                 limit.rlim_cur);
}

gateway::metrics_page metrics_page_of(const gateway::gateway_metrics& m) {
  exposition out;
  out.gauge("rowcall_gateway_info", "Always 1; its label tells which gateway this is.", 1, {{"version", version}});
  add_gateway_metrics(out, m);
  add_process_metrics(out);
  return {exposition::content_type, out.text()};
}

/// Shut until the database has been seen, with a schema that fits: the gateway listens before that, and answers as it
/// does when the database goes away later. Thread-safe.
class database_gate {
 public:
  explicit database_gate(milliseconds first_look_max) : first_look_max_(first_look_max) {}
  void set(bool is_open) {
    {
      const std::lock_guard lock{mutex_};
      is_open_ = is_open;
    }
    changed_.notify_all();
  }
  /// The first look at the database is waited for: it takes as long as the connection that is asked for here would.
  engine::result<void> pass() {
    std::unique_lock lock{mutex_};
    if (changed_.wait_for(lock, first_look_max_, [this] { return is_open_.has_value(); }) && *is_open_) return {};
    return engine::fail(engine::errc::unavailable, "the database has not been reached yet");
  }

 private:
  const milliseconds first_look_max_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<bool> is_open_;
};

/// Somebody waits for each of its statements: what takes longer is answered as unavailable.
storage::postgres::store_config gateway_store_config_of(const global_options& global, database_gate& gate) {
  auto c = store_config_of(global.connection, "gateway");
  c.statement_timeout = milliseconds{10'000};
  c.may_connect = [&gate] { return gate.pass(); };
  return c;
}

void print_address(const std::string& address, bool json) {
  if (json)
    std::printf("{\"gateway\":\"%s\"}\n", address.c_str());
  else
    std::printf("gateway: %s\n", address.c_str());
  std::fflush(stdout);
}

}  // namespace

exit_code run(const global_options& global, const gateway_options& options, const engine::module_registry& modules) {
  auto config = config_of(global, options);
  if (!config) return fail_with(config.error());
  if (options.development && !options.token_keys.empty())
    return fail_with({engine::errc::invalid_argument, "give --development or --token-keys, not both"});
  if (!options.development && options.token_keys.empty())
    return fail_with(
        {engine::errc::invalid_argument,
         "no keys for tokens: give --token-keys DIR (see docs/gateway.md), or --development to use the key "
         "that everybody knows"});
  if (auto configured = require_database(global.connection); !configured) return fail_with(configured.error());
  stop_signal stop;
  auto bus = open_bus(global.connection, "gateway");
  if (!bus) return fail_with(bus.error());
  raise_descriptor_limit(config->connections_max);
  std::optional<stop_bound> bound;  // outlives all that may wait for the database at the end

  signal_receiver receiver;
  auto channel = open_signals(global.connection, "gateway",
                              [&receiver](const auto& session, auto payload) { receiver.deliver(session, payload); });
  if (!channel) return fail_with(channel.error());
  nats_signals signals{**channel};

  database_gate gate{global.connection.connect_timeout};
  std::vector<std::unique_ptr<engine::command_store>> stores;
  for (std::size_t i = 0; i < options.submit_connections; ++i)
    stores.push_back(storage::postgres::make_command_store(gateway_store_config_of(global, gate)));
  client::submitter_config submit;
  submit.data_bytes_max = global.data_bytes_max;
  submit.retry_for = milliseconds{5'000};
  client::submitter submitter{std::move(stores), **bus, submit};

  gateway::gateway_ports ports;
  ports.make_update_store = [&] { return storage::postgres::make_update_store(gateway_store_config_of(global, gate)); };
  ports.make_chat_store = [&] { return storage::postgres::make_chat_store(gateway_store_config_of(global, gate)); };
  ports.make_admin_store = [&] { return storage::postgres::make_admin_store(gateway_store_config_of(global, gate)); };
  ports.make_console_store = [&] {
    return storage::postgres::make_console_store(gateway_store_config_of(global, gate));
  };
  ports.modules = &modules;
  ports.submitter = &submitter;
  ports.bus = bus->get();
  ports.signals = &signals;
  ports.log = make_log_sink();
  ports.write_metrics = metrics_page_of;
  ports.load_keys = [&]() -> engine::result<gateway::key_ring> {
    if (options.development) return gateway::key_ring::development();
    return gateway::key_ring::load(options.token_keys);
  };
  gateway::gateway server{*config, std::move(ports)};
  if (auto started = server.start(); !started) {
    gate.set(false);  // nobody waits for a look that will not be
    return fail_with(started.error());
  }
  receiver.set(&server);
  const auto stop_server = [&] {
    bound.emplace(options.stop_timeout + milliseconds{1'000});
    const bool in_time = server.stop(options.stop_timeout);
    receiver.set(nullptr);
    return in_time;
  };
  // Whoever waits for the address finds the gateway at work, unless the database is away.
  auto checked = check_database(global.connection);
  gate.set(checked.has_value());
  bus_watch nats{**bus, "a gateway", "streams look at the database once a second"};
  if (checked || checked.error().code == engine::errc::unavailable) {
    spdlog::info("rowcall {} gateway at {}; database {}; NATS {}", version, server.address(),
                 without_password(global.connection.database_url), without_password(global.connection.nats_url));
    if (options.development)
      spdlog::warn(
          "the development key signs the tokens: everybody can be anybody. Never let strangers reach this gateway");
    print_address(server.address(), global.json);
    if (!checked)
      checked = await_database(global, stop, [&] {
        report_left_out();
        nats.look();
      });
  }
  if (!checked) {
    stop_server();
    return fail_with(checked.error());
  }
  if (!stop.is_stopped()) gate.set(true);
  while (!stop.wait_for(milliseconds{200})) {
    report_left_out();
    nats.look();
  }

  spdlog::info("stopping");
  if (!stop_server()) spdlog::warn("not every connection ended in time");
  spdlog::info("stopped");
  return exit_code::ok;
}

}  // namespace rowcall::tools
