#include "bus/nats_bus.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <random>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "bus/internal/callback_gate.hpp"
#include "bus/internal/nats_connection.hpp"
#include "bus/payload.hpp"

namespace rowcall::bus {
namespace {

using engine::errc;
using engine::fail;
using engine::session_id;
using engine::update_notice;
using engine::wake;
using internal::nats_connection;
using std::chrono::milliseconds;

using wake_gates = internal::callback_list<wake>;
using update_gates = internal::callback_list<const update_notice&>;
using connected_gates = internal::callback_list<>;

constexpr int delivery_threads = 4;
constexpr int wakes_pending_max = 65'536;
constexpr int wakes_pending_bytes_max = 8 * 1024 * 1024;
constexpr int notices_pending_max = 4'096;  // of one session
constexpr int notices_pending_bytes_max = 8 * 1024 * 1024;
constexpr milliseconds overflow_interval_min{100};
constexpr milliseconds connected_flush_timeout{1'000};
constexpr std::size_t completed_kept_max = 64;
/// Keeps a notice below the server's max_payload (1 MiB by default), whatever the configuration says.
constexpr std::size_t inline_updates_bytes_limit = 512 * 1024;
/// What a wake may bring at most: what decode_wake still reads.
constexpr std::size_t inline_command_bytes_limit = 8 * 1024;

/// Messages that were read. nats.c hands each to a thread of its own to be freed, which costs a thread's wake-up: less
/// when many are given up at once. Thread-safe.
class read_messages {
 public:
  ~read_messages() { destroy(held_, count_); }
  void give_up(natsMsg* message) {
    messages full;
    std::size_t count = 0;
    {
      const std::lock_guard lock{mutex_};
      held_[count_++] = message;
      bytes_ += static_cast<std::size_t>(natsMsg_GetDataLength(message));
      if (count_ < held_.size() && bytes_ < bytes_max) return;
      full = held_;
      std::swap(count, count_);
      bytes_ = 0;
    }
    destroy(full, count);
  }

 private:
  static constexpr std::size_t messages_max = 64, bytes_max = 64 * 1024;
  using messages = std::array<natsMsg*, messages_max>;
  static void destroy(const messages& all, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) natsMsg_Destroy(all[i]);
  }
  std::mutex mutex_;
  messages held_{};
  std::size_t count_ = 0, bytes_ = 0;
};

struct atomic_counters {
  std::atomic<std::int64_t> messages_ignored{0}, publications_dropped{0}, overflows{0}, connects{0},
      handler_failures{0}, permissions_refused{0};
};

/// One subscription on the server and the handlers behind it.
struct topic {
  explicit topic(std::optional<session_id> s) : session(std::move(s)) {}
  const std::optional<session_id> session;  ///< nothing: the wildcard for wakes
  wake_gates wakes;
  update_gates updates;
  natsSubscription* subscription = nullptr;
  /// nats.c still delivers what had piled up, and on the thread that serves other topics too: dropped unread.
  std::atomic<bool> is_ended{false};

  bool tells_completion = false;  ///< delivery::complete will be called

  /// Our reference is given up only well after the completion: nats.c's delivery thread reads the subscription once more
  /// behind the last message, and with ours gone it may read freed memory (seen as a crash, about once in a hundred thousand
  /// unsubscribes under load).
  void end() {
    is_ended = true;
    if (tells_completion)
      natsSubscription_Unsubscribe(subscription);
    else
      natsSubscription_Destroy(subscription);
  }
};

/// What callbacks and subscriptions share with the bus; outlives it as long as one of them is left.
struct registry {
  std::string wake_prefix, updates_prefix;
  atomic_counters counters;

  std::mutex mutex;
  bool is_closed = false;
  std::shared_ptr<topic> wakes;
  std::unordered_map<session_id, std::shared_ptr<topic>> updates;

  std::mutex deliveries_mutex;
  std::condition_variable deliveries_changed;
  std::size_t deliveries_open = 0;  ///< subscriptions of which nats.c may still call back
  std::deque<natsSubscription*> completed;  ///< not called back any more, the oldest first; destroyed with a delay

  connected_gates connected;
  read_messages read;

  template <class Gates, class... Args>
  void call(const Gates& gates, const Args&... args) {
    gates.for_each([&](auto& gate) { call_one(gate, args...); });
  }
  template <class Gate, class... Args>
  void call_one(Gate& gate, const Args&... args) {
    // An exception that left a nats.c callback would end the process; the contract says that there is none.
    try {
      gate.call(args...);
    } catch (...) {
      ++counters.handler_failures;
    }
  }
};

/// The closure of one nats.c subscription; deleted by its completion callback, the last one to use it.
struct delivery {
  std::shared_ptr<registry> shared;
  std::shared_ptr<topic> to;
  natsSubscription* subscription = nullptr;  ///< its own: the topic may have that of a later connection

  static void message(natsConnection*, natsSubscription*, natsMsg* msg, void* closure) {
    auto& d = *static_cast<delivery*>(closure);
    try {
      d.receive(natsMsg_GetSubject(msg), {natsMsg_GetData(msg), static_cast<std::size_t>(natsMsg_GetDataLength(msg))});
    } catch (...) {  // out of memory: a message may be lost at any time
      ++d.shared->counters.messages_ignored;
    }
    d.shared->read.give_up(msg);
  }

  void receive(std::string_view subject, std::string_view payload) {
    if (to->is_ended) return;
    thread_local engine::json::parser parser;
    if (to->session) {
      auto notice = decode_updates(*to->session, payload, parser);
      if (notice)
        shared->call(to->updates, *notice);
      else
        ++shared->counters.messages_ignored;
      return;
    }
    auto session = session_id::parse(subject.substr(std::min(subject.size(), shared->wake_prefix.size())));
    if (session)
      shared->call(to->wakes, decode_wake(*std::move(session), payload, parser));
    else
      ++shared->counters.messages_ignored;
  }

  static void complete(void* closure) {
    const std::unique_ptr<delivery> d{static_cast<delivery*>(closure)};
    const auto shared = d->shared;
    natsSubscription* oldest = nullptr;
    {
      const std::lock_guard lock{shared->deliveries_mutex};
      shared->completed.push_back(d->subscription);
      if (shared->completed.size() > completed_kept_max) {
        oldest = shared->completed.front();
        shared->completed.pop_front();
      }
      --shared->deliveries_open;
      shared->deliveries_changed.notify_all();
    }
    natsSubscription_Destroy(oldest);
  }
};

class nats_bus final : public engine::bus {
 public:
  explicit nats_bus(nats_config config) : config_(std::move(config)) {
    shared_->wake_prefix = config_.subject_prefix + ".wake.";
    shared_->updates_prefix = config_.subject_prefix + ".updates.";
    config_.inline_updates_bytes_max = std::min(config_.inline_updates_bytes_max, inline_updates_bytes_limit);
    config_.inline_command_bytes_max = std::min(config_.inline_command_bytes_max, inline_command_bytes_limit);
  }

  engine::result<void> start() {
    auto opened = open_latency();
    if (!opened) return tl::make_unexpected(std::move(opened.error()));
    if (*opened) {
      ++shared_->counters.connects;
      opened_.push_back(*std::move(opened));
      latency_ = opened_.back().get();
    } else {
      is_lost_ = true;
    }
    dispatcher_ = std::thread{[this] { dispatch(); }};
    return {};
  }

  ~nats_bus() override {
    if (dispatcher_.joinable()) {
      signal(is_stopping_);
      dispatcher_.join();
    }
    std::vector<std::shared_ptr<topic>> topics;
    {
      const std::lock_guard lock{shared_->mutex};
      shared_->is_closed = true;
      if (shared_->wakes) topics.push_back(std::move(shared_->wakes));
      for (auto& [session, t] : shared_->updates) topics.push_back(std::move(t));
      shared_->updates.clear();
    }
    for (const auto& t : topics) t->end();
    burst_.reset();
    latency_ = nullptr;
    opened_.clear();
    std::unique_lock lock{shared_->deliveries_mutex};
    shared_->deliveries_changed.wait_for(lock, internal::callbacks_wait_max, [&] { return shared_->deliveries_open == 0; });
    for (auto* s : std::exchange(shared_->completed, {})) natsSubscription_Destroy(s);
  }

  void publish(std::span<const wake> wakes) override {
    if (wakes.empty() || !may_publish(wakes.size())) return;
    auto& connection = connection_for(wakes.size());
    auto subject = shared_->wake_prefix;
    for (const auto& w : wakes) {
      subject.resize(shared_->wake_prefix.size());
      subject += w.session.str();
      if (!connection.publish(subject, encode(w, config_.inline_command_bytes_max))) ++shared_->counters.publications_dropped;
    }
  }

  void publish(std::span<const update_notice> notices) override {
    if (notices.empty() || !may_publish(notices.size())) return;
    auto& connection = connection_for(notices.size());
    auto subject = shared_->updates_prefix;
    for (const auto& notice : notices) {
      subject.resize(shared_->updates_prefix.size());
      subject += notice.session.str();
      if (!connection.publish(subject, encode(notice, config_.inline_updates_bytes_max)))
        ++shared_->counters.publications_dropped;
    }
  }

  std::unique_ptr<engine::subscription> on_wakes(std::function<void(wake)> handler) override {
    auto gate = std::make_shared<wake_gates::gate>(std::move(handler));
    {
      const std::lock_guard lock{shared_->mutex};
      if (!shared_->wakes) {
        shared_->wakes = std::make_shared<topic>(std::nullopt);
        subscribe(shared_->wakes);
      }
      shared_->wakes->wakes.add(gate);
    }
    return std::make_unique<internal::ending_subscription>([shared = shared_, gate] {
      std::shared_ptr<topic> unused;
      {
        const std::lock_guard lock{shared->mutex};
        if (shared->wakes && shared->wakes->wakes.remove(gate)) unused = std::move(shared->wakes);
      }
      if (unused) unused->end();
      gate->close();
    });
  }

  std::unique_ptr<engine::subscription> on_updates(const session_id& session,
                                                   std::function<void(const update_notice&)> handler) override {
    auto gate = std::make_shared<update_gates::gate>(std::move(handler));
    {
      const std::lock_guard lock{shared_->mutex};
      auto& t = shared_->updates[session];
      if (!t) {
        t = std::make_shared<topic>(session);
        subscribe(t);
      }
      t->updates.add(gate);
    }
    return std::make_unique<internal::ending_subscription>([shared = shared_, session, gate] {
      std::shared_ptr<topic> unused;
      {
        const std::lock_guard lock{shared->mutex};
        if (const auto it = shared->updates.find(session); it != shared->updates.end() && it->second->updates.remove(gate)) {
          unused = std::move(it->second);
          shared->updates.erase(it);
        }
      }
      if (unused) unused->end();
      gate->close();
    });
  }

  std::unique_ptr<engine::subscription> on_connected(std::function<void()> handler) override {
    auto gate = std::make_shared<connected_gates::gate>(std::move(handler));
    shared_->connected.add(gate);
    if (is_connected()) {
      const std::lock_guard lock{mutex_};
      newcomers_.push_back(gate);
      changed_.notify_one();
    }
    return std::make_unique<internal::ending_subscription>([shared = shared_, gate] {
      shared->connected.remove(gate);
      gate->close();
    });
  }

  engine::result<void> flush(milliseconds timeout) override {
    const auto deadline = std::chrono::steady_clock::now() + timeout;
    auto* const latency = latency_.load(std::memory_order_acquire);
    if (latency == nullptr) return fail(errc::unavailable, "not connected to NATS");
    if (auto flushed = latency->flush(timeout); !flushed) return flushed;
    auto* const burst = burst_ready_.load(std::memory_order_acquire);
    if (burst == nullptr || !burst->is_connected()) return {};
    return burst->flush(std::chrono::duration_cast<milliseconds>(deadline - std::chrono::steady_clock::now()));
  }

  bool is_connected() const override {
    auto* const latency = latency_.load(std::memory_order_acquire);
    return latency != nullptr && latency->is_connected();
  }

  nats_counters counters() const {
    const auto& c = shared_->counters;
    return {c.messages_ignored, c.publications_dropped, c.overflows,
            c.connects,         c.handler_failures,     c.permissions_refused};
  }

 private:
  bool may_publish(std::size_t messages) {
    if (is_connected()) return true;
    shared_->counters.publications_dropped += static_cast<std::int64_t>(messages);
    return false;
  }

  /// The buffered connection is made by the first burst, in the background; until it is there, all go the same way.
  nats_connection& connection_for(std::size_t messages) {
    auto& latency = *latency_.load(std::memory_order_acquire);  // connected, or was a moment ago: it stays
    if (messages < config_.burst_messages_min) return latency;
    auto* const burst = burst_ready_.load(std::memory_order_acquire);
    if (burst != nullptr) return burst->is_connected() ? *burst : latency;
    if (!is_burst_wanted_.exchange(true)) signal(is_burst_signal_);
    return latency;
  }

  engine::result<std::unique_ptr<nats_connection>> open_latency() {
    return nats_connection::open(
        config_, internal::send_mode::asap,
        {[this] { signal(is_connected_signal_); }, [this] { overflowed(); }, refused(), [this] { signal(is_lost_); }});
  }

  /// Under the registry's mutex. As long as there is no connection the next one subscribes.
  void subscribe(const std::shared_ptr<topic>& t) {
    auto* const latency = latency_.load(std::memory_order_acquire);
    if (latency == nullptr) return;
    if (t->session)
      subscribe(*latency, t, shared_->updates_prefix + t->session->str(), notices_pending_max, notices_pending_bytes_max);
    else
      subscribe(*latency, t, shared_->wake_prefix + "*", wakes_pending_max, wakes_pending_bytes_max);
  }

  /// Without a subscription (out of memory) the readers' polling is what is left.
  void subscribe(nats_connection& connection, const std::shared_ptr<topic>& t, const std::string& subject, int pending_max,
                 int pending_bytes_max) {
    auto closure = std::make_unique<delivery>(delivery{shared_, t});
    t->tells_completion = false;
    if (natsConnection_Subscribe(&t->subscription, connection.handle(), subject.c_str(), &delivery::message, closure.get()) !=
        NATS_OK) {
      t->subscription = nullptr;
      ++shared_->counters.messages_ignored;
      return;
    }
    closure->subscription = t->subscription;
    auto* const held = closure.release();
    {
      const std::lock_guard lock{shared_->deliveries_mutex};
      ++shared_->deliveries_open;
    }
    natsSubscription_SetPendingLimits(t->subscription, pending_max, pending_bytes_max);
    t->tells_completion = true;
    if (natsSubscription_SetOnCompleteCB(t->subscription, &delivery::complete, held) != NATS_OK) {
      // Closed meanwhile: nobody will say when its last callback is over, so the closure has to stay.
      t->tells_completion = false;
      const std::lock_guard lock{shared_->deliveries_mutex};
      --shared_->deliveries_open;
    }
  }

  void signal(bool& flag) {
    const std::lock_guard lock{mutex_};
    flag = true;
    changed_.notify_one();
  }

  /// Outlives the bus: a connection that does not end in time calls back later.
  std::function<void()> refused() const {
    return [shared = shared_] { ++shared->counters.permissions_refused; };
  }

  void overflowed() {
    ++shared_->counters.overflows;
    signal(is_overflow_signal_);
  }

  /// The bus's own thread: handlers of on_connected may take their time and may use the bus, which nats.c's threads
  /// could not bear.
  void dispatch() {
    using steady = std::chrono::steady_clock;
    auto overflow_told_at = steady::now() - overflow_interval_min;
    auto reopen_at = steady::now();
    milliseconds reopen_wait{0};
    std::minstd_rand random{std::random_device{}()};
    std::unique_lock lock{mutex_};
    while (!is_stopping_) {
      if (is_lost_ && steady::now() >= reopen_at) {
        is_lost_ = false;
        lock.unlock();
        const bool is_open = reopen();
        lock.lock();
        reopen_wait = is_open ? milliseconds{0} : std::clamp(reopen_wait * 2, config_.reconnect_wait, config_.reconnect_wait_max);
        reopen_at = steady::now() + std::chrono::duration_cast<milliseconds>(
                                        reopen_wait * std::uniform_real_distribution<>{0.5, 1.0}(random));
        is_lost_ = is_lost_ || !is_open;
      } else if (is_burst_signal_) {
        is_burst_signal_ = false;
        lock.unlock();
        open_burst();
        lock.lock();
      } else if (is_connected_signal_) {
        is_connected_signal_ = false;
        newcomers_.clear();
        lock.unlock();
        ++shared_->counters.connects;
        tell_connected();
        lock.lock();
      } else if (!newcomers_.empty()) {
        const auto gates = std::exchange(newcomers_, {});
        lock.unlock();
        for (const auto& gate : gates) shared_->call_one(*gate);
        lock.lock();
      } else if (is_overflow_signal_ && steady::now() >= overflow_told_at + overflow_interval_min) {
        // Messages were dropped: for whoever listens this is what a reconnect is. Bounded in rate, since looking at
        // everything is the very load that makes a consumer slow.
        is_overflow_signal_ = false;
        lock.unlock();
        overflow_told_at = steady::now();
        tell_connected();
        lock.lock();
      } else if (is_overflow_signal_) {
        changed_.wait_until(lock, overflow_told_at + overflow_interval_min);
      } else if (is_lost_) {
        changed_.wait_until(lock, reopen_at);
      } else {
        changed_.wait(lock);
      }
    }
  }

  /// Another connection, with all subscriptions, for the one that could not be made at the start or that nats.c has closed.
  /// The closed one stays until the end: somebody may be publishing through it at the moment. False: once more, later.
  bool reopen() {
    auto opened = open_latency();
    if (!opened || !*opened) return false;
    {
      const std::lock_guard lock{shared_->mutex};
      opened_.push_back(*std::move(opened));
      latency_.store(opened_.back().get(), std::memory_order_release);
      if (shared_->wakes) subscribe(shared_->wakes);
      for (auto& [session, t] : shared_->updates) subscribe(t);
    }
    signal(is_connected_signal_);
    return true;
  }

  void tell_connected() {
    // The server has to know the subscriptions before anybody looks at the database, or what is committed between the
    // two is seen by neither. Without an answer the next reconnect, or polling, makes up for it.
    static_cast<void>(latency_.load()->flush(connected_flush_timeout));
    shared_->call(shared_->connected);
  }

  void open_burst() {
    auto opened = nats_connection::open(config_, internal::send_mode::buffered, {[] {}, [] {}, refused(), [] {}});
    if (opened && *opened) {
      burst_ = *std::move(opened);
      burst_ready_.store(burst_.get(), std::memory_order_release);
    } else {
      is_burst_wanted_ = false;  // the next burst tries again
    }
  }

  nats_config config_;
  std::shared_ptr<registry> shared_ = std::make_shared<registry>();
  std::vector<std::unique_ptr<nats_connection>> opened_;  ///< the last one is in use; before it, those that nats.c has closed
  std::atomic<nats_connection*> latency_{nullptr};        ///< the one in use
  std::unique_ptr<nats_connection> burst_;
  std::atomic<nats_connection*> burst_ready_{nullptr};
  std::atomic<bool> is_burst_wanted_{false};

  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_stopping_ = false, is_connected_signal_ = false, is_overflow_signal_ = false, is_burst_signal_ = false;
  bool is_lost_ = false;  ///< there is no connection that nats.c would bring back
  std::vector<std::shared_ptr<connected_gates::gate>> newcomers_;
  std::thread dispatcher_;
};

bool is_valid_prefix(std::string_view prefix) {
  constexpr std::size_t prefix_bytes_max = 64;
  if (prefix.empty() || prefix.size() > prefix_bytes_max || prefix.front() == '.' || prefix.back() == '.') return false;
  if (prefix.find("..") != std::string_view::npos) return false;
  return std::all_of(prefix.begin(), prefix.end(), [](unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
  });
}

/// One address or several with commas between. nats.c takes nearly anything for a host name and would try for ever.
/// A word without a scheme and without a port may be a host, but hardly is: it is not taken for one.
bool is_valid_url(std::string_view urls) {
  while (true) {
    const auto comma = urls.find(',');
    auto url = urls.substr(0, comma);
    bool has_scheme = false;
    for (const std::string_view scheme : {"nats://", "tls://"})
      if (!has_scheme && url.starts_with(scheme)) url.remove_prefix(scheme.size()), has_scheme = true;
    if (!has_scheme && url.find(':') == std::string_view::npos) return false;
    const bool is_plain = std::all_of(url.begin(), url.end(), [](unsigned char c) { return c > ' ' && c != 0x7f && c != '/'; });
    if (url.empty() || !is_plain) return false;
    if (comma == std::string_view::npos) return true;
    urls.remove_prefix(comma + 1);
  }
}

}  // namespace

engine::result<std::unique_ptr<engine::bus>> connect_nats(nats_config config) {
  if (!is_valid_url(config.url))
    return fail(errc::invalid_argument, "this is no NATS URL; an example: nats://127.0.0.1:4222");
  if (!is_valid_prefix(config.subject_prefix))
    return fail(errc::invalid_argument, "a subject prefix is 1 to 64 of A-Z a-z 0-9 _ - in tokens joined by single dots");
  if (config.connect_timeout <= milliseconds{0} || config.reconnect_wait <= milliseconds{0} ||
      config.reconnect_wait_max < config.reconnect_wait)
    return fail(errc::invalid_argument, "NATS timeouts must be positive, and reconnect_wait at most reconnect_wait_max");
  // One pool for the process, instead of a thread for each subscription. Order within a subscription is kept.
  static std::once_flag pool_sized;
  std::call_once(pool_sized, [] { nats_SetMessageDeliveryPoolSize(delivery_threads); });
  auto bus = std::make_unique<nats_bus>(std::move(config));
  if (auto started = bus->start(); !started) return tl::make_unexpected(std::move(started.error()));
  return bus;
}

nats_counters counters_of(const engine::bus& bus) {
  const auto* const nats = dynamic_cast<const nats_bus*>(&bus);
  ROWCALL_ASSERT(nats != nullptr);
  return nats->counters();
}

}  // namespace rowcall::bus
