#include "bus/internal/nats_connection.hpp"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <random>

namespace rowcall::bus::internal {
namespace {

using engine::errc;
using engine::fail;
using std::chrono::milliseconds;

/// What nats.c may gather while it reconnects, before our own check of the state sees it. Wakes that old are worthless.
constexpr int reconnect_buffer_bytes = 64 * 1024;
constexpr milliseconds write_deadline{2'000};
constexpr milliseconds ping_interval{20'000};
constexpr int pings_unanswered_max = 2;
constexpr milliseconds close_wait_max{5'000};

struct options_deleter {
  void operator()(natsOptions* options) const { natsOptions_Destroy(options); }
};

}  // namespace

/// What nats.c's callbacks point to. Freed only when the closed callback, the last of all, has run.
struct nats_connection::state {
  nats_config config;
  connection_events events;
  natsConnection* handle = nullptr;
  std::atomic<bool> is_connected{false};
  std::mutex mutex;
  std::condition_variable changed;
  bool is_closed = false;
  std::atomic<bool> is_ending{false};  ///< closed by ourselves
  std::minstd_rand random{std::random_device{}()};  // of the reconnect thread alone

  /// Reads the state instead of believing the callback: callbacks come late and several may be under way.
  void refresh(natsConnection* nc) { is_connected = natsConnection_Status(nc) == NATS_CONN_STATUS_CONNECTED; }

  static void connected(natsConnection* nc, void* closure) {
    auto& s = *static_cast<state*>(closure);
    s.refresh(nc);
    s.events.on_connected();
  }
  static void disconnected(natsConnection* nc, void* closure) { static_cast<state*>(closure)->refresh(nc); }
  static void closed(natsConnection*, void* closure) {
    auto& s = *static_cast<state*>(closure);
    s.is_connected = false;
    if (!s.is_ending) s.events.on_closed();
    const std::lock_guard lock{s.mutex};
    s.is_closed = true;
    s.changed.notify_all();
  }
  static void failed(natsConnection*, natsSubscription*, natsStatus status, void* closure) {
    const auto& events = static_cast<state*>(closure)->events;
    if (status == NATS_SLOW_CONSUMER) events.on_overflow();
    if (status == NATS_NOT_PERMITTED) events.on_refused();
  }
  static int64_t reconnect_delay(natsConnection*, int attempts, void* closure) {
    auto& s = *static_cast<state*>(closure);
    const auto doublings = std::clamp(attempts - 1, 0, 16);
    const auto wait = std::min(s.config.reconnect_wait * (std::int64_t{1} << doublings), s.config.reconnect_wait_max);
    return static_cast<int64_t>(std::uniform_real_distribution<>{0.5, 1.0}(s.random) * static_cast<double>(wait.count()));
  }
};

nats_connection::nats_connection(std::unique_ptr<state> s) : state_(std::move(s)) {}

engine::result<std::unique_ptr<nats_connection>> nats_connection::open(const nats_config& config, send_mode mode,
                                                                       connection_events events) {
  auto s = std::make_unique<state>();
  s->config = config;
  s->events = std::move(events);
  natsOptions* created = nullptr;
  if (natsOptions_Create(&created) != NATS_OK) return fail(errc::internal, "nats.c can not start");
  const std::unique_ptr<natsOptions, options_deleter> options{created};
  auto* const o = options.get();
  for (const auto status : {
           natsOptions_SetURL(o, config.url.c_str()),
           natsOptions_SetName(o, config.name.c_str()),
           natsOptions_SetTimeout(o, config.connect_timeout.count()),
           natsOptions_SetAllowReconnect(o, true),
           natsOptions_SetMaxReconnect(o, -1),
           natsOptions_SetCustomReconnectDelay(o, &state::reconnect_delay, s.get()),
           natsOptions_SetReconnectBufSize(o, reconnect_buffer_bytes),
           natsOptions_SetReconnectedCB(o, &state::connected, s.get()),
           natsOptions_SetDisconnectedCB(o, &state::disconnected, s.get()),
           natsOptions_SetClosedCB(o, &state::closed, s.get()),
           natsOptions_SetErrorHandler(o, &state::failed, s.get()),
           natsOptions_UseGlobalMessageDelivery(o, true),
           natsOptions_SetSendAsap(o, mode == send_mode::asap),
           natsOptions_SetWriteDeadline(o, write_deadline.count()),
           natsOptions_SetPingInterval(o, ping_interval.count()),
           natsOptions_SetMaxPingsOut(o, pings_unanswered_max),
       })
    if (status != NATS_OK) return fail(errc::invalid_argument, std::string{"NATS: "} + natsStatus_GetText(status));

  auto connection = std::unique_ptr<nats_connection>{new nats_connection{std::move(s)}};
  auto& held = *connection->state_;
  const auto status = natsConnection_Connect(&held.handle, o);
  if (status == NATS_OK) {
    held.refresh(held.handle);
    return connection;
  }
  if (status == NATS_CONNECTION_AUTH_FAILED || status == NATS_NOT_PERMITTED)
    return fail(errc::unavailable, "NATS refused the credentials");
  if (status == NATS_INVALID_ARG)
    return fail(errc::invalid_argument, std::string{"NATS: "} + natsStatus_GetText(status));
  return std::unique_ptr<nats_connection>{};
}

nats_connection::~nats_connection() {
  if (state_->handle == nullptr) return;
  state_->is_ending = true;
  natsConnection_Close(state_->handle);
  bool is_closed = false;
  {
    std::unique_lock lock{state_->mutex};
    is_closed = state_->changed.wait_for(lock, close_wait_max, [&] { return state_->is_closed; });
  }
  natsConnection_Destroy(state_->handle);
  // A callback may still be on its way then, so its state has to stay.
  if (!is_closed) static_cast<void>(state_.release());
}

bool nats_connection::is_connected() const { return state_->is_connected.load(std::memory_order_relaxed); }

bool nats_connection::publish(const std::string& subject, std::string_view payload) {
  if (!is_connected()) return false;
  return natsConnection_Publish(state_->handle, subject.c_str(), payload.data(), static_cast<int>(payload.size())) == NATS_OK;
}

engine::result<void> nats_connection::flush(std::chrono::milliseconds timeout) {
  if (!is_connected()) return fail(errc::unavailable, "not connected to NATS");
  const auto status = natsConnection_FlushTimeout(state_->handle, std::max<int64_t>(timeout.count(), 1));
  if (status == NATS_OK) return {};
  if (status == NATS_TIMEOUT) return fail(errc::timed_out, "NATS did not answer a flush in time");
  return fail(errc::unavailable, std::string{"NATS flush: "} + natsStatus_GetText(status));
}

natsConnection* nats_connection::handle() const { return state_->handle; }

}  // namespace rowcall::bus::internal
