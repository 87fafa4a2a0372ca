#include "actors/engine_node.hpp"

#include <unistd.h>

#include <algorithm>
#include <random>

#include <caf/all.hpp>

#include "actors/directory_actor.hpp"
#include "actors/internal/decide_watch.hpp"
#include "actors/internal/inline_executor.hpp"
#include "actors/node_actor.hpp"
#include "actors/turn_worker.hpp"
#include "actors/upkeep_actor.hpp"

namespace rowcall::actors {
namespace {

using std::chrono::milliseconds;

class steady_clock final : public engine::clock {
 public:
  time_point now() const override {
    return time_point{
        std::chrono::duration_cast<time_point::duration>(std::chrono::steady_clock::now().time_since_epoch())};
  }
};

/// A heartbeat may wait this long for its answer before the node says that it is not ready.
constexpr milliseconds silence_min{3'000};

/// The scheduler's defaults poll (a quarter of a core at 100 messages/s) and let a busy actor starve the rest.
void configure(caf::actor_system_config& cfg, int threads) {
  cfg.set("scheduler.policy", caf::atom("sharing"));
  cfg.set("scheduler.max-threads", static_cast<std::size_t>(threads));
  cfg.set("scheduler.max-throughput", static_cast<std::size_t>(50));
}

}  // namespace

engine::result<void> validate(const node_config& c) {
  auto wrong = [](std::string_view text) { return engine::fail(engine::errc::invalid_argument, std::string(text)); };
  if (c.turn_workers < 1 || c.turn_workers > 64) return wrong("turn workers must be 1 to 64");
  if (c.backlog_workers < 0 || c.backlog_workers > 64) return wrong("backlog workers must be 0 to 64");
  if (c.actor_threads < 1 || c.actor_threads > 64) return wrong("actor threads must be 1 to 64");
  if (c.limits.sessions_max < 1 || c.limits.commands_max < 1 || c.limits.commands_per_session_max < 1)
    return wrong("the limits of a turn must be at least 1");
  if (c.sweep_interval < milliseconds{10}) return wrong("the sweep interval must be at least 10 ms");
  if (c.heartbeat_interval < milliseconds{10}) return wrong("the heartbeat interval must be at least 10 ms");
  if (c.dead_after < 2 * c.heartbeat_interval) return wrong("dead-after must be at least two heartbeat intervals");
  if (c.decide_timeout < milliseconds{0}) return wrong("decide-timeout must be 0 (none) or more");
  if (c.admission.session_pending_max < 0 || c.admission.pending_max < 0)
    return wrong("the limits of pending commands must be 0 (none) or more");
  if (c.session.retry.attempts_max < 1) return wrong("the maximum of attempts must be at least 1");
  if (c.session.snapshot_interval_updates < 1) return wrong("the snapshot interval must be at least 1 update");
  return {};
}

std::string make_node_name() {
  char host[65] = {};
  if (gethostname(host, sizeof host - 1) != 0) host[0] = '?';
  std::random_device random;
  char suffix[32];
  std::snprintf(suffix, sizeof suffix, "-%ld-%08x", static_cast<long>(getpid()), static_cast<unsigned>(random()));
  return std::string(host) + suffix;
}

std::shared_ptr<engine::clock> make_steady_clock() { return std::make_shared<steady_clock>(); }

struct engine_node::impl {
  node_config config;
  node_ports ports;
  metrics counters;
  std::atomic<bool> is_joined = false, is_stopping = false;
  std::shared_ptr<wake_inbox> inbox = std::make_shared<wake_inbox>();

  caf::actor_system_config system_config;
  std::unique_ptr<caf::actor_system> system;
  directory_actor directory;
  node_actor node_handle;
  upkeep_actor upkeep_handle;
  std::vector<std::shared_ptr<internal::decide_watch>> watches;
  std::vector<turn_worker_actor> workers;
  std::vector<std::unique_ptr<engine::subscription>> subscriptions;
  bool is_stopped = false;

  impl(node_config c, node_ports p) : config(std::move(c)), ports(std::move(p)) {
    if (config.node.empty()) config.node = make_node_name();
    config.directory.workers = static_cast<std::size_t>(config.turn_workers);
    config.directory.workers_for_backlog = static_cast<std::size_t>(config.backlog_workers);
    config.directory.limits = config.limits;
    config.session.node = config.node;
    configure(system_config, config.actor_threads);
  }

  /// An actor that ends by itself has a defect: the process ends, and the database recovers the work.
  template <class Handle>
  void watch(const Handle& handle, std::string name) {
    caf::actor_cast<caf::abstract_actor*>(handle)->attach_functor(
        [fatal = ports.on_fatal, name = std::move(name)](const caf::error& reason) {
          if (reason && reason != caf::exit_reason::user_shutdown && fatal)
            fatal("the actor " + name + " has ended; the process ends too, to be started anew");
        });
  }

  void start() {
    system = std::make_unique<caf::actor_system>(system_config);
    auto session = std::make_shared<const engine::session_config>(config.session);

    directory_actor_config d;
    d.directory = config.directory;
    d.session = session;
    d.modules = ports.modules;
    d.inbox = inbox;
    d.clock = ports.clock;
    d.bus = ports.bus;
    d.counters = &counters;
    directory = system->spawn(session_directory, d);
    watch(directory, "directory");

    for (int i = 0; i < config.turn_workers + config.backlog_workers; ++i) {
      turn_worker_config w;
      w.number = static_cast<std::size_t>(i);
      w.limits = config.limits;
      w.modules = ports.modules;
      w.reconnect_wait = config.reconnect_wait;
      w.reconnect_wait_max = config.reconnect_wait_max;
      w.watch = watches.emplace_back(std::make_shared<internal::decide_watch>());
      w.bus = ports.bus;
      w.clock = ports.clock;
      w.counters = &counters;
      w.log = ports.log;
      std::shared_ptr<engine::turn_store> store = ports.make_turn_store();
      workers.push_back(system->spawn<caf::detached>(turn_worker, w, store, caf::actor_cast<turn_listener>(directory)));
      watch(workers.back(), "turn worker");
    }
    caf::anon_send(directory, workers_ready{workers});

    upkeep_actor_config u;
    u.kinds = ports.modules->kinds();
    u.sweep_interval = config.sweep_interval;
    u.reconnect_wait_max = config.reconnect_wait_max;
    u.retention = config.retention;
    u.retention_interval = config.retention_interval;
    u.retention_chunk_rows = config.retention_chunk_rows;
    u.sessions_ready_max = config.directory.sessions_ready_max;
    u.clock = ports.clock;
    u.counters = &counters;
    u.is_joined = &is_joined;
    u.is_stopping = &is_stopping;
    u.log = ports.log;
    std::shared_ptr<engine::node_store> upkeep_store = std::move(ports.upkeep);
    upkeep_handle = system->spawn<caf::detached>(upkeep, u, upkeep_store, directory);
    watch(upkeep_handle, "upkeep");

    node_actor_config n;
    n.node = config.node;
    n.kinds = ports.modules->kinds();
    n.shard_count = config.directory.shard_count;
    n.heartbeat_interval = config.heartbeat_interval;
    n.dead_after = config.dead_after;
    n.reconnect_wait_max = config.reconnect_wait_max;
    n.admission = config.admission;
    n.watches = watches;
    n.decide_timeout = config.decide_timeout;
    n.on_hang = ports.on_hang;
    n.clock = ports.clock;
    n.counters = &counters;
    n.is_joined = &is_joined;
    n.log = ports.log;
    std::shared_ptr<engine::node_store> nodes = std::move(ports.nodes);
    node_handle = system->spawn<caf::detached>(node, n, nodes, directory, upkeep_handle);
    watch(node_handle, "node");

    subscriptions.push_back(ports.bus->on_wakes([this](engine::wake w) {
      switch (inbox->put(std::move(w))) {
        case wake_inbox::put_result::first: {
          // Here and now, on the bus's thread, unless the directory is busy elsewhere: a hop to a scheduler's thread
          // less.
          internal::inline_executor executor(*system);
          executor.send(directory, wakes_arrived{});
          executor.run_first();
          // The actor left a reference to its system with this thread, which outlives it: the system's end would wait for ever.
          caf::logger::set_current_actor_system(nullptr);
          break;
        }
        case wake_inbox::put_result::added:
          break;
        case wake_inbox::put_result::dropped:
          ++counters.wakes_dropped;
          break;
      }
    }));
    subscriptions.push_back(ports.bus->on_connected([this] { caf::anon_send(upkeep_handle, sweep_request{}); }));
    caf::anon_send(upkeep_handle, upkeep_tick{});
    caf::anon_send(node_handle, node_tick{});
  }

  bool stop(milliseconds timeout) {
    if (is_stopped) return true;
    is_stopped = true;
    is_stopping = true;
    if (!system) return true;
    subscriptions.clear();  // no bus thread reaches an actor after this
    bool in_time = true;
    {
      const auto deadline = std::chrono::steady_clock::now() + timeout;
      auto left = [&] {
        return std::max(milliseconds{1},
                        std::chrono::duration_cast<milliseconds>(deadline - std::chrono::steady_clock::now()));
      };
      caf::scoped_actor self{*system};
      self->request(directory, left(), drain_request{})
          .receive([](bool) {}, [&](const caf::error&) { in_time = false; });
      // What a node that has left was serving needs no care. Who did not drain can not say so: its module may hang.
      if (in_time)
        self->request(node_handle, std::max(left(), milliseconds{200}), leave_request{})
            .receive([&](bool left_cleanly) { in_time = in_time && left_cleanly; },
                     [&](const caf::error&) { in_time = false; });
    }
    (void)ports.bus->flush(std::max(milliseconds{1}, std::min(timeout, milliseconds{500})));
    for (auto& w : workers) caf::anon_send_exit(w, caf::exit_reason::user_shutdown);
    caf::anon_send_exit(node_handle, caf::exit_reason::user_shutdown);
    caf::anon_send_exit(upkeep_handle, caf::exit_reason::user_shutdown);
    caf::anon_send_exit(directory, caf::exit_reason::user_shutdown);
    workers.clear();
    node_handle = node_actor{};
    upkeep_handle = upkeep_actor{};
    directory = directory_actor{};
    system.reset();  // waits for all actors
    return in_time;
  }
};

engine_node::engine_node(node_config config, node_ports ports)
    : impl_(std::make_unique<impl>(std::move(config), std::move(ports))) {}
engine_node::~engine_node() { impl_->stop(milliseconds{0}); }
void engine_node::start() { impl_->start(); }
bool engine_node::stop(milliseconds timeout) { return impl_->stop(timeout); }
bool engine_node::is_ready() const { return why_not_ready().empty(); }
std::string engine_node::why_not_ready() const {
  const auto& i = *impl_;
  if (!i.is_joined) return "PostgreSQL has not been reached yet";
  if (!i.counters.is_store_connected) return "PostgreSQL can not be reached";
  // Not the same as a lost connection: a server that is stopped, or a network that swallows, keeps it open.
  const std::chrono::nanoseconds since{i.ports.clock->now().time_since_epoch().count() -
                                       i.counters.store_answered_at_ns};
  if (since > std::max<std::chrono::nanoseconds>(silence_min, 4 * i.config.dead_after))
    return "PostgreSQL has not answered for " + std::to_string(since / milliseconds{1}) + " ms";
  if (i.counters.workers_overdue > 0)
    return "a module does not come back from a command: the log says which (decide_overdue)";
  return {};
}
const metrics& engine_node::counters() const { return impl_->counters; }
const std::string& engine_node::name() const { return impl_->config.node; }

}  // namespace rowcall::actors
