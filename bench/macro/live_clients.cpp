#include "bench/macro/live_clients.hpp"

#include <atomic>
#include <stdexcept>
#include <utility>

#include "bus/nats_bus.hpp"
#include "tools/loadgen/distributions.hpp"

namespace rowcall::bench {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t in_flight_max = 20'000;
/// Once full, it goes on below this: one wake-up for many commands.
constexpr std::size_t in_flight_low = 16'000;

std::vector<std::string> data_of(std::size_t sessions) {
  std::vector<std::string> data;
  for (std::size_t i = 0; i < sessions; ++i) data.push_back(command_data(i));
  return data;
}

/// Polling is the fallback for lost notices. Once a second for each of 100,000 sessions would be the main load.
std::chrono::milliseconds poll_interval(std::size_t sessions) { return 1s + std::chrono::milliseconds{sessions / 10}; }

}  // namespace

storage::postgres::store_config store_config_of(const settings& s) {
  storage::postgres::store_config c;
  c.url = s.database;
  c.application_name = "rowcall bench";
  return c;
}

std::unique_ptr<engine::bus> connect_bus(const settings& s) {
  bus::nats_config c;
  c.url = s.nats;
  if (!s.subject_prefix.empty()) c.subject_prefix = s.subject_prefix;
  return bus::connect_nats(c).value();
}

std::vector<engine::session_id> echo_sessions(std::size_t count) {
  std::vector<engine::session_id> ids;
  ids.reserve(count);
  for (std::size_t i = 0; i < count; ++i) ids.push_back(engine::session_id::parse(session_name(i)).value());
  return ids;
}

std::vector<std::uint32_t> choose_keys(const std::string& shape, std::size_t sessions, std::size_t commands,
                                       std::uint64_t seed) {
  auto chooser = tools::loadgen::key_chooser::parse(shape, sessions).value();
  tools::loadgen::random_source random(seed);
  std::vector<std::uint32_t> keys;
  keys.reserve(commands);
  for (std::size_t i = 0; i < commands; ++i) keys.push_back(static_cast<std::uint32_t>(chooser.next(random)));
  return keys;
}

live_clients::live_clients(const settings& s, std::vector<engine::session_id> sessions)
    : sessions_(std::move(sessions)), data_(data_of(sessions_.size())), bus_(connect_bus(s)) {
  client::follow_handler handler;
  handler.on_updates = [this](const engine::session_id&, std::span<const engine::update_row> rows) {
    std::lock_guard lock(mutex_);
    followed_ += rows.size();
    if (followed_ >= awaited_) changed_.notify_all();
  };
  client::follower_config config;
  config.poll_interval = poll_interval(sessions_.size());
  follower_ = std::make_unique<client::follower>(storage::postgres::make_update_store(store_config_of(s)), *bus_,
                                                 handler, config);
  std::vector<std::unique_ptr<engine::command_store>> stores;
  stores.push_back(storage::postgres::make_command_store(store_config_of(s)));
  submitter_ = std::make_unique<client::submitter>(std::move(stores), *bus_);
}

live_clients::~live_clients() = default;

void live_clients::follow_all() {
  for (const auto& id : sessions_) follower_->follow(id, {});
  (void)bus_->flush(2s);
}

void live_clients::submit_all(const std::vector<std::uint32_t>& keys) {
  std::mutex mutex;
  std::condition_variable acknowledged;
  std::size_t open = 0;
  std::atomic<bool> is_refused = false;
  for (const auto key : keys) {
    {
      std::unique_lock lock(mutex);
      if (open >= in_flight_max) acknowledged.wait(lock, [&] { return open <= in_flight_low; });
      ++open;
    }
    submitter_->submit_async({sessions_[key], "say", data_[key], {}}, [&](const client::submitter::outcome& o) {
      if (!o || o->kind != engine::submit_receipt::outcome::stored) is_refused = true;
      std::lock_guard lock(mutex);
      if (--open == in_flight_low || open == 0) acknowledged.notify_one();
    });
  }
  std::unique_lock lock(mutex);
  acknowledged.wait(lock, [&] { return open == 0; });
  if (is_refused) throw std::runtime_error("a submit failed");
}

void live_clients::submit_one(std::uint32_t key) {
  if (auto o = submitter_->submit({sessions_[key], "say", data_[key], {}}); !o)
    throw std::runtime_error(o.error().message);
}

void live_clients::wait_followed(std::size_t count) {
  std::unique_lock lock(mutex_);
  awaited_ = count;
  if (!changed_.wait_for(lock, 120s, [&] { return followed_ >= count; }))
    throw std::runtime_error("followed only " + std::to_string(followed_) + " of " + std::to_string(count));
}

std::size_t live_clients::followed() const {
  std::lock_guard lock(mutex_);
  return followed_;
}

}  // namespace rowcall::bench
