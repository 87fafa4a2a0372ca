#include "bus/signal_channel.hpp"

#include <condition_variable>
#include <mutex>
#include <string>

#include "bus/internal/nats_connection.hpp"

namespace rowcall::bus {
namespace {

constexpr int signals_pending_max = 8'192;
constexpr int signals_pending_bytes_max = 4 * 1024 * 1024;
constexpr std::size_t signal_bytes_max = 16 * 1024;
constexpr std::chrono::milliseconds callbacks_wait_max{5'000};

/// The closure of the subscription; deleted by its completion callback, the last one to use it.
struct listener {
  struct state {
    std::mutex mutex;
    std::condition_variable changed;
    bool is_complete = false;
  };
  signal_channel::handler handle;
  std::string prefix;
  std::shared_ptr<state> shared;

  static void message(natsConnection*, natsSubscription*, natsMsg* msg, void* closure) {
    const std::unique_ptr<natsMsg, void (*)(natsMsg*)> owned{msg, natsMsg_Destroy};
    const auto& self = *static_cast<listener*>(closure);
    try {
      const std::string_view subject = natsMsg_GetSubject(msg);
      const auto size = static_cast<std::size_t>(natsMsg_GetDataLength(msg));
      if (subject.size() <= self.prefix.size() || size > signal_bytes_max) return;
      const auto session = engine::session_id::parse(subject.substr(self.prefix.size()));
      if (session) self.handle(*session, {natsMsg_GetData(msg), size});
    } catch (...) {  // out of memory: a signal may be lost at any time
    }
  }

  static void complete(void* closure) {
    const std::unique_ptr<listener> self{static_cast<listener*>(closure)};
    const auto shared = self->shared;
    const std::lock_guard lock{shared->mutex};
    shared->is_complete = true;
    shared->changed.notify_all();
  }
};

}  // namespace

struct signal_channel::impl {
  std::string prefix;
  std::unique_ptr<internal::nats_connection> connection;
  natsSubscription* subscription = nullptr;
  std::shared_ptr<listener::state> listening;  ///< null: nobody will say when the last callback is over
};

signal_channel::signal_channel(std::unique_ptr<impl> i) : impl_(std::move(i)) {}

engine::result<std::unique_ptr<signal_channel>> signal_channel::open(nats_config config, handler on_signal) {
  auto i = std::make_unique<impl>();
  i->prefix = config.subject_prefix + ".signals.";
  auto opened = internal::nats_connection::open(config, internal::send_mode::asap, {[] {}, [] {}});
  if (!opened) return tl::make_unexpected(opened.error());
  i->connection = *std::move(opened);
  auto shared = std::make_shared<listener::state>();
  auto closure = std::make_unique<listener>(listener{std::move(on_signal), i->prefix, shared});
  if (natsConnection_Subscribe(&i->subscription, i->connection->handle(), (i->prefix + '*').c_str(), &listener::message,
                               closure.get()) != NATS_OK)
    return engine::fail(engine::errc::unavailable, "NATS: can not subscribe to signals");
  auto* const held = closure.release();
  natsSubscription_SetPendingLimits(i->subscription, signals_pending_max, signals_pending_bytes_max);
  if (natsSubscription_SetOnCompleteCB(i->subscription, &listener::complete, held) == NATS_OK)
    i->listening = std::move(shared);
  return std::unique_ptr<signal_channel>{new signal_channel{std::move(i)}};
}

signal_channel::~signal_channel() {
  natsSubscription_Unsubscribe(impl_->subscription);
  impl_->connection.reset();
  if (impl_->listening) {
    std::unique_lock lock{impl_->listening->mutex};
    impl_->listening->changed.wait_for(lock, callbacks_wait_max, [&] { return impl_->listening->is_complete; });
  }
  natsSubscription_Destroy(impl_->subscription);
}

void signal_channel::publish(const engine::session_id& session, std::string_view payload) {
  impl_->connection->publish(impl_->prefix + session.str(), payload);
}

}  // namespace rowcall::bus
