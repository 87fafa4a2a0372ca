#include "gateway/gateway.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <future>
#include <optional>
#include <random>
#include <thread>

#include "gateway/internal/apis.hpp"
#include "gateway/internal/context.hpp"
#include "gateway/internal/operator_api.hpp"
#include "gateway/internal/router.hpp"
#include "gateway/internal/server.hpp"
#include "gateway/internal/static_files.hpp"
#include "gateway/internal/stream.hpp"

namespace rowcall::gateway {
namespace {

using namespace internal;
using steady = std::chrono::steady_clock;

constexpr milliseconds slow_tick{1'000};
constexpr milliseconds look_timeout{3'000};  // no answer for so long: not ready
constexpr std::size_t operator_queue_max = 64;
constexpr milliseconds drain_look_interval{10};

std::string random_id() {
  std::random_device chance;
  std::string id;
  for (int i = 0; i < 4; ++i) id += std::to_string(chance());
  return id;
}

}  // namespace

struct gateway::impl {
  impl(gateway_config c, gateway_ports p) : config(std::move(c)), ports(std::move(p)) {}

  ~impl() {
    // Readers and the follower first: nothing is posted after them.
    if (shared) {
      run_on_io([this] { server_->close_all(); });
      // The submitter outlives us and calls back; how long that takes is bounded by its own times.
      while (run_on_io([this] { return shared->submissions_open; }) > 0)
        std::this_thread::sleep_for(drain_look_interval);
      shared->readers.reset();
      shared->operators.reset();
      run_on_io([this] { shared->feeds->end_waits(); });
    }
    guard.reset();
    io.stop();
    if (thread.joinable()) thread.join();
    if (shared) {
      shared->feeds.reset();
      shared->http.reset();  // with its timers, before the io_context
    }
    server_.reset();
  }

  /// Runs it on the io thread and waits.
  template <class F>
  auto run_on_io(F f) -> decltype(f()) {
    std::packaged_task<decltype(f())()> task{std::move(f)};
    auto done = task.get_future();
    if (!thread.joinable()) {
      task();
    } else {
      asio::post(io, [&task] { task(); });
    }
    return done.get();
  }

  engine::result<void> start() {
    if (auto valid = validate(config); !valid) return valid;
    auto keys = ports.load_keys();
    if (!keys) return tl::make_unexpected(keys.error());
    const auto on_io = [this](std::function<void()> f) { asio::post(io, std::move(f)); };
    shared.emplace(context{config, ports, on_io, std::make_shared<key_ring>(*std::move(keys))});
    auto& c = *shared;
    c.gateway_id = random_id();
    pages.emplace(config.web_root);
    c.readers = std::make_unique<reader_pool>(ports, config.reader_threads, config.reader_queue_max);
    c.operators = std::make_unique<reader_pool>(ports, 1, operator_queue_max);
    c.feeds = std::make_unique<feed_hub>(config, ports.make_update_store(), *ports.bus, on_io, ports.log);
    c.feeds->tell_others = [&c](const auto& session, const auto& text) { publish_signal(c, session, text); };
    server_ = std::make_shared<server>(
        io, config, [this](const exchange_ptr& e) { route(*shared, *pages, e); }, [this] { tick(); },
        [this](const http_request& request, const engine::error& cause) { log_failure(request, cause); });
    c.http = server_;
    if (auto listening = server_->listen(); !listening) return listening;
    port = server_->port();
    guard.emplace(asio::make_work_guard(io));
    thread = std::thread{[this] { run(); }};
    return {};
  }

  void run() {
    for (;;) {
      try {
        io.run();
        return;
      } catch (const std::exception& e) {  // of one handler: the others go on
        ports.log(engine::log_level::error, std::string{"unexpected error: "} + e.what());
      }
    }
  }

  void log_failure(const http_request& request, const engine::error& cause) const {
    engine::log_fields about{"request_failed", {}, {}, {}};
    if (cause.quotes_data) about.detail = cause.message;
    ports.log(engine::log_level::error,
              request.method + ' ' + request.path + ": " + (cause.quotes_data ? "a row was refused" : cause.message),
              about);
  }

  void tick() {
    auto& c = *shared;
    const auto now = steady::now();
    c.feeds->end_late_waits(now);
    c.feeds->look_for_waits(now);
    if (now < slow_tick_at) return;
    slow_tick_at = now + slow_tick;
    const auto wall = wall_now();
    for (const auto& s : open_streams()) s->tick(now, wall);
    c.feeds->tick(now);
    for (auto* rate : {&c.command_rate, &c.read_rate, &c.signal_rate, &c.login_rate}) rate->tidy(now);
    look_outside();
    sample_console(c, now);
  }

  /// Is the database there? Have the keys changed?
  void look_outside() {
    auto& c = *shared;
    const auto now = steady::now();
    if (std::exchange(is_looking, true)) {
      if (now >= looked_at + look_timeout) tell_database(false);
      return;
    }
    looked_at = now;
    struct seen {
      engine::result<std::string> incarnation;
      engine::result<key_ring> keys;
    };
    const bool posted = c.read(
        [this](reader_stores& stores) {
          return seen{stores.updates->incarnation(), ports.load_keys()};
        },
        [this](seen s) {
          is_looking = false;
          take_incarnation(s.incarnation);
          tell_database(s.incarnation.has_value());
          take_keys(std::move(s.keys));
        });
    if (!posted) is_looking = false;
  }

  /// What was told of another state of the database is void: every stream ends, and the next one says of what it is.
  void take_incarnation(const engine::result<std::string>& incarnation) {
    auto& c = *shared;
    if (!incarnation || c.feeds->holds(*incarnation)) return;
    ports.log(engine::log_level::warning, "the database was restored: streams begin anew");
    c.feeds->restart(*incarnation);
    for (const auto& s : open_streams()) s->end("restored");
  }

  std::vector<std::shared_ptr<stream>> open_streams() {
    std::vector<std::shared_ptr<stream>> open;
    open.reserve(shared->streams.size());
    for (auto* s : shared->streams) open.push_back(s->shared_from_this());
    return open;
  }

  void tell_database(bool is_database_there) {
    auto& c = *shared;
    if (is_database_there != c.is_database_there)
      ports.log(is_database_there ? engine::log_level::info : engine::log_level::warning,
                is_database_there ? "ready" : "not ready: PostgreSQL can not be reached");
    c.is_database_there = is_database_there;
  }

  void take_keys(engine::result<key_ring> keys) {
    auto& c = *shared;
    if (!keys) {
      if (!std::exchange(has_told_keys, true))
        ports.log(engine::log_level::warning, "the keys stay as they are: " + keys.error().message);
      return;
    }
    has_told_keys = false;
    *c.keys = *std::move(keys);
    c.verified.clear();
    // Whoever was let in by a key that was taken away is not any more.
    for (const auto& s : open_streams())
      if (!c.keys->contains(s->key())) s->end("expired");
  }

  void begin_drain() {
    auto& c = *shared;
    c.is_draining = true;
    for (const auto& s : open_streams()) s->end("drain");
    c.feeds->end_waits();
    server_->drain();
  }

  bool stop(milliseconds timeout) {
    if (!thread.joinable()) return true;
    const auto until = steady::now() + timeout;
    run_on_io([this] { begin_drain(); });
    while (run_on_io([this] { return server_->connection_count(); }) > 0) {
      if (steady::now() >= until) return false;
      std::this_thread::sleep_for(drain_look_interval);
    }
    return true;
  }

  // Destroyed from the last to the first: connections end with the io_context and use what is above it.
  const gateway_config config;
  gateway_ports ports;
  std::optional<static_files> pages;
  std::optional<context> shared;
  asio::io_context io{1};
  std::optional<asio::executor_work_guard<asio::io_context::executor_type>> guard;
  std::shared_ptr<server> server_;
  std::uint16_t port = 0;
  steady::time_point slow_tick_at{};
  bool is_looking = false, has_told_keys = false;
  steady::time_point looked_at{};
  std::thread thread;
};

gateway::gateway(gateway_config config, gateway_ports ports)
    : impl_(std::make_unique<impl>(std::move(config), std::move(ports))) {}

gateway::~gateway() = default;

engine::result<void> gateway::start() { return impl_->start(); }

std::string gateway::address() const {
  const auto& host = impl_->config.host;
  return "http://" + (host.find(':') == host.npos ? host : '[' + host + ']') + ':' + std::to_string(impl_->port);
}

void gateway::deliver_signal(const engine::session_id& session, std::string payload) {
  auto* const i = impl_.get();
  asio::post(i->io,
             [i, session, payload = std::move(payload)] { internal::deliver_signal(*i->shared, session, payload); });
}

bool gateway::stop(milliseconds timeout) { return impl_->stop(timeout); }

}  // namespace rowcall::gateway
