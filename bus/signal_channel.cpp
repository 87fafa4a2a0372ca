#include "bus/signal_channel.hpp"

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

#include "bus/internal/nats_connection.hpp"

namespace rowcall::bus {
namespace {

constexpr int signals_pending_max = 8'192;
constexpr int signals_pending_bytes_max = 4 * 1024 * 1024;
constexpr std::size_t signal_bytes_max = 16 * 1024;

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

namespace {

/// One connection with its subscription. nats.c reconnects it by itself, until it gives up.
class signal_link {
 public:
  static std::unique_ptr<signal_link> open(const nats_config& config, const std::string& prefix,
                                           const signal_channel::handler& on_signal, std::function<void()> on_closed) {
    auto opened = internal::nats_connection::open(config, internal::send_mode::asap, {[] {}, [] {}, std::move(on_closed)});
    if (!opened || !*opened) return nullptr;
    auto link = std::make_unique<signal_link>();
    link->connection_ = *std::move(opened);
    auto shared = std::make_shared<listener::state>();
    auto closure = std::make_unique<listener>(listener{on_signal, prefix, shared});
    if (natsConnection_Subscribe(&link->subscription_, link->connection_->handle(), (prefix + '*').c_str(),
                                 &listener::message, closure.get()) != NATS_OK)
      return nullptr;
    auto* const held = closure.release();
    natsSubscription_SetPendingLimits(link->subscription_, signals_pending_max, signals_pending_bytes_max);
    if (natsSubscription_SetOnCompleteCB(link->subscription_, &listener::complete, held) == NATS_OK)
      link->listening_ = std::move(shared);
    return link;
  }

  ~signal_link() {
    if (subscription_ != nullptr) natsSubscription_Unsubscribe(subscription_);
    connection_.reset();
    if (listening_) {
      std::unique_lock lock{listening_->mutex};
      listening_->changed.wait_for(lock, internal::callbacks_wait_max, [&] { return listening_->is_complete; });
    }
    natsSubscription_Destroy(subscription_);
  }

  void publish(const std::string& subject, std::string_view payload) { connection_->publish(subject, payload); }

 private:
  std::unique_ptr<internal::nats_connection> connection_;
  natsSubscription* subscription_ = nullptr;
  std::shared_ptr<listener::state> listening_;  ///< null: nobody will say when the last callback is over
};

}  // namespace

struct signal_channel::impl {
  nats_config config;
  std::string prefix;
  handler on_signal;
  std::mutex mutex;
  std::condition_variable changed;
  bool is_stopping = false, is_lost = true;
  std::unique_ptr<signal_link> link;  ///< under the mutex
  std::thread opener;                 ///< opens what could not be opened at the start, or was given up

  std::unique_ptr<signal_link> open_link() {
    return signal_link::open(config, prefix, on_signal, [this] {
      const std::lock_guard lock{mutex};
      is_lost = true;
      changed.notify_one();
    });
  }

  void keep_open() {
    std::unique_lock lock{mutex};
    while (!is_stopping) {
      if (!is_lost) {
        changed.wait(lock);
        continue;
      }
      is_lost = false;
      auto given_up = std::move(link);
      lock.unlock();
      given_up.reset();  // its end waits for callbacks, and one of them wants the mutex
      auto opened = open_link();
      lock.lock();
      if (opened) {
        link = std::move(opened);
      } else {
        is_lost = true;
        changed.wait_for(lock, config.reconnect_wait_max, [this] { return is_stopping; });
      }
    }
  }
};

signal_channel::signal_channel(std::unique_ptr<impl> i) : impl_(std::move(i)) {}

engine::result<std::unique_ptr<signal_channel>> signal_channel::open(nats_config config, handler on_signal) {
  auto i = std::make_unique<impl>();
  i->prefix = config.subject_prefix + ".signals.";
  i->config = std::move(config);
  i->on_signal = std::move(on_signal);
  i->link = i->open_link();
  i->is_lost = i->link == nullptr;
  i->opener = std::thread{[state = i.get()] { state->keep_open(); }};
  return std::unique_ptr<signal_channel>{new signal_channel{std::move(i)}};
}

signal_channel::~signal_channel() {
  {
    const std::lock_guard lock{impl_->mutex};
    impl_->is_stopping = true;
    impl_->changed.notify_one();
  }
  impl_->opener.join();
  impl_->link.reset();
}

void signal_channel::publish(const engine::session_id& session, std::string_view payload) {
  const std::lock_guard lock{impl_->mutex};
  if (impl_->link) impl_->link->publish(impl_->prefix + session.str(), payload);
}

}  // namespace rowcall::bus
