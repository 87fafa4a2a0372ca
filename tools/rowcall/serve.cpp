#include <malloc.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <optional>
#include <thread>

#include "actors/engine_node.hpp"
#include "storage/postgres/incarnation.hpp"
#include "tools/connect/duration.hpp"
#include "tools/rowcall/actions.hpp"
#include "tools/rowcall/composition.hpp"
#include "tools/rowcall/engine_telemetry.hpp"
#include "tools/rowcall/format.hpp"
#include "tools/rowcall/logging.hpp"
#include "tools/rowcall/service_notice.hpp"
#include "tools/rowcall/stop_bound.hpp"
#include "tools/rowcall/stop_signal.hpp"
#include "tools/rowcall/version.hpp"

/// The composition root of an engine: options to configuration, adapters to ports, start, signal, stop.
namespace rowcall::tools {
namespace {

actors::node_config node_config_of(const serve_options& o) {
  actors::node_config c;
  c.node = o.node.empty() ? actors::make_node_name() : o.node;
  c.turn_workers = o.workers;
  c.backlog_workers = o.backlog_workers;
  c.directory.overlap_after = o.turn_overlap_after;
  c.actor_threads = o.scheduler_threads > 0 ? o.scheduler_threads
                                            : std::clamp(static_cast<int>(std::thread::hardware_concurrency()), 1, 64);
  c.limits = {o.turn_sessions_max, o.turn_commands_per_session_max, o.turn_commands_max, o.turn_bytes_max};
  c.directory.passivate_after = o.passivate_after;
  c.session.retry = {o.retry_attempts_max, o.retry_base, o.retry_wait_max};
  c.session.snapshot_interval_updates = o.snapshot_interval_updates;
  c.sweep_interval = o.sweep_interval;
  c.heartbeat_interval = o.heartbeat_interval;
  c.dead_after = o.dead_after;
  c.decide_timeout = std::min(o.decide_timeout, o.transaction_timeout / 5);
  c.admission = {o.session_pending_max, o.pending_max};
  c.retention = std::chrono::duration_cast<std::chrono::seconds>(o.retention);
  c.retention_interval = o.retention_interval;
  return c;
}

/// Of all stores of this engine: what its actors remember is of this incarnation of the database.
storage::postgres::store_config engine_store_config_of(const global_options& global, const std::string& incarnation) {
  auto c = store_config_of(global.connection, "serve");
  c.incarnation = incarnation;
  return c;
}

storage::postgres::store_config turn_store_config_of(const global_options& global, const std::string& incarnation,
                                                     const serve_options& o) {
  auto c = engine_store_config_of(global, incarnation);
  c.transaction_timeout = o.transaction_timeout;
  c.statement_timeout = o.statement_timeout;
  return c;
}

/// Until a signal: tells when the engine becomes ready, and when and why it stops being so.
void report_until_stopped(const actors::engine_node& node, const engine::bus& bus, stop_signal& stop) {
  bus_watch nats{bus, "an engine", "work is found by the sweep"};
  bool was_ready = false;
  while (!stop.wait_for(milliseconds{200})) {
    report_left_out();
    nats.look();
    const auto why_not = node.why_not_ready();
    if (why_not.empty() == was_ready) continue;
    was_ready = why_not.empty();
    if (was_ready) {
      spdlog::info("ready");
      tell_service_manager("READY=1\nSTATUS=serving");
    } else {
      spdlog::warn("not ready: {}", why_not);
      tell_service_manager("STATUS=" + why_not);
    }
  }
}

/// A database with the right schema, and which one it is. It may go away again between the two: an engine that was told to run
/// waits for it. Errors are final; after a stop the text says nothing.
engine::result<std::string> await_incarnation(const global_options& global, stop_signal& stop) {
  constexpr milliseconds wait{100};
  for (;;) {
    if (auto checked = await_database(global, stop); !checked) return tl::make_unexpected(checked.error());
    if (stop.is_stopped()) return std::string{};
    auto read = storage::postgres::read_incarnation(store_config_of(global.connection, "serve"));
    if (read || !engine::is_transient(read.error().code)) return read;
    warn_waiting("waiting_for_database", "waiting for PostgreSQL: " + read.error().message);
    if (stop.wait_for(wait)) return std::string{};
  }
}

/// The node's name for this engine alone: two that share one would take each other for themselves and be fenced all the
/// time. What holds it may be about to end, or be a connection that a machine which vanished has left behind: the store
/// lets that one pass after 5 s, so whoever still has it later is alive. False: stopped before. Errors are final.
engine::result<bool> take_name(engine::node_store& nodes, const std::string& name,
                               const std::vector<std::string>& kinds, stop_signal& stop) {
  using std::chrono::steady_clock;
  constexpr milliseconds wait{100}, patience{6'000};
  std::optional<steady_clock::time_point> taken_since;
  for (;;) {
    auto joined = nodes.join(name, kinds);
    if (joined) return true;
    if (!engine::is_transient(joined.error().code)) return tl::make_unexpected(joined.error());
    if (joined.error().code != engine::errc::busy) {
      taken_since.reset();
      warn_waiting("waiting_for_database", "waiting for PostgreSQL: " + joined.error().message);
    } else {
      if (!taken_since) taken_since = steady_clock::now();
      if (steady_clock::now() - *taken_since > patience) {
        joined.error().message += ". Give this one another --node, or none: then it makes one up";
        return tl::make_unexpected(joined.error());
      }
      warn_waiting("waiting_for_name", joined.error().message + ". Waiting for its end.");
      tell_service_manager("STATUS=another engine has this one's name");
    }
    if (stop.wait_for(wait)) return false;
  }
}

/// glibc's malloc_trim gives back what is free at the end of the first heap only, and each thread would get one of its
/// own: after a crowd they kept up to 50 MiB. The thresholds keep what one turn frees for the next one. Before any
/// thread is started.
void share_one_heap() {
  if (std::getenv("MALLOC_ARENA_MAX") || std::getenv("GLIBC_TUNABLES")) return;  // somebody knows better
  constexpr int mib = 1 << 20;
  mallopt(M_ARENA_MAX, 1);
  mallopt(M_TRIM_THRESHOLD, 8 * mib);
  mallopt(M_MMAP_THRESHOLD, 4 * mib);
}

}  // namespace

exit_code run(const global_options& global, const serve_options& options, engine::module_registry modules) {
  share_one_heap();
  const auto config = node_config_of(options);
  if (auto valid = actors::validate(config); !valid) return fail_with(valid.error());
  if (auto configured = require_database(global.connection); !configured) return fail_with(configured.error());
  stop_signal stop;
  auto telemetry = engine_telemetry::start(global, options);
  if (!telemetry) return fail_with(telemetry.error());
  if (*telemetry) spdlog::info("metrics on http://{}/metrics", (*telemetry)->address());
  const auto incarnation = await_incarnation(global, stop);
  if (!incarnation) return fail_with(incarnation.error());
  if (stop.is_stopped()) return exit_code::ok;
  auto bus = open_bus(global.connection, "serve", options.inline_updates_bytes_max);
  if (!bus) return fail_with(bus.error());
  auto nodes = storage::postgres::make_node_store(engine_store_config_of(global, *incarnation));
  const auto has_name = take_name(*nodes, config.node, modules.kinds(), stop);
  if (!has_name) return fail_with(has_name.error());
  if (!*has_name) return exit_code::ok;

  std::atomic<bool> has_died{false};
  actors::node_ports ports;
  ports.make_turn_store = [&] {
    return storage::postgres::make_turn_store(turn_store_config_of(global, *incarnation, options), config.node);
  };
  ports.nodes = std::move(nodes);
  ports.upkeep = storage::postgres::make_node_store(engine_store_config_of(global, *incarnation));
  ports.bus = bus->get();
  ports.modules = &modules;
  ports.clock = actors::make_steady_clock();
  ports.log = make_log_sink();
  ports.on_fatal = [&](std::string_view what) {
    spdlog::error("fatal: {}", what);
    has_died = true;
    if (*telemetry) (*telemetry)->died(what);
    kill(getpid(), SIGTERM);  // the main thread waits for signals only
  };
  ports.on_hang = [](std::string_view what) {
    report_left_out(true);
    spdlog::critical("{}; ending the process, so that the attempt counts", what);
    spdlog::default_logger()->flush();
    // Not abort(): while a core is written, the connections, and with them the shards, stay this node's.
    _exit(static_cast<int>(exit_code::hung));
  };
  actors::engine_node node{config, std::move(ports)};

  spdlog::info("rowcall {} node {}: kinds {}; {} turn workers; database {}; NATS {}", version, config.node,
               joined(modules.kinds(), " "),
               config.turn_workers, without_password(global.connection.database_url),
               without_password(global.connection.nats_url));
  node.start();
  if (*telemetry) (*telemetry)->attach(node, **bus);
  report_until_stopped(node, **bus, stop);

  spdlog::info("stopping");
  if (*telemetry) (*telemetry)->stopping();
  tell_service_manager("STOPPING=1");
  const stop_bound bound{options.stop_timeout + milliseconds{1'000}};
  const bool in_time = node.stop(options.stop_timeout);
  if (*telemetry) (*telemetry)->detach();
  if (!in_time) spdlog::warn("not everything ended in time; the database recovers what was open");
  report_left_out(true);
  const auto& m = node.counters();
  spdlog::info("stopped: {} commands and {} updates in {} turns", m.commands.load(), m.updates.load(), m.turns.load());
  return has_died ? exit_code::failed : exit_code::ok;
}

}  // namespace rowcall::tools
