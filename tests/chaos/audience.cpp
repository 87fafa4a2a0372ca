#include "tests/chaos/audience.hpp"

#include "bus/nats_bus.hpp"
#include "storage/postgres/stores.hpp"
#include "tests/chaos/workload.hpp"

namespace rowcall::chaos {

audience::audience(std::string database, const std::string& nats, const std::string& prefix, std::uint64_t seed)
    : database_(std::move(database)) {
  bus::nats_config config;
  config.url = nats;
  config.name = "rowcall followers";
  config.subject_prefix = prefix;
  bus_ = bus::connect_nats(config).value();
  steady_.name = "steady";
  restless_.name = "restless";
  join(steady_);
  join(restless_);
  thread_ = std::thread{[this, seed] { come_and_go(seed); }};
}

audience::~audience() {
  {
    const std::lock_guard lock{mutex_};
    is_stopping_ = true;
    changed_.notify_all();
  }
  thread_.join();
  steady_.follower.reset();
  restless_.follower.reset();
}

void audience::join(listener& l) {
  client::follow_handler handler;
  handler.on_updates = [&l](const engine::session_id& session, std::span<const engine::update_row> rows) {
    const auto now = std::chrono::system_clock::now();
    const std::lock_guard lock{l.mutex};
    auto& all = l.seen[session.str()];
    for (const auto& r : rows) all.push_back({r.seq.value, r.command.value, r.type, canonical(r.data), now});
  };
  handler.on_gone = [&l](const engine::session_id&, const std::optional<engine::snapshot_row>&) {
    const std::lock_guard lock{l.mutex};
    l.has_lost = true;
  };
  storage::postgres::store_config store;
  store.url = database_;
  store.application_name = "rowcall followers";
  store.connect_timeout = std::chrono::seconds{2};
  l.follower = std::make_unique<client::follower>(storage::postgres::make_update_store(store), *bus_, handler);
  for (const auto& name : sessions::all()) {
    const std::lock_guard lock{l.mutex};
    l.follower->follow(engine::session_id::parse(name).value(), {static_cast<std::int64_t>(l.seen[name].size())});
  }
}

void audience::come_and_go(std::uint64_t seed) {
  auto random = tools::loadgen::random_source::named(seed, "restless");
  std::unique_lock lock{mutex_};
  for (;;) {
    if (changed_.wait_for(lock, std::chrono::milliseconds{1'000 + random.below(4'000)}, [&] { return is_stopping_; }))
      return;
    restless_.follower.reset();  // waits for what it is about to tell
    join(restless_);
  }
}

std::vector<std::map<std::string, std::size_t>> audience::counts() const {
  std::vector<std::map<std::string, std::size_t>> all;
  for (const auto* l : {&steady_, &restless_}) {
    const std::lock_guard lock{l->mutex};
    auto& counts = all.emplace_back();
    for (const auto& [session, seen] : l->seen) counts[session] = seen.size();
  }
  return all;
}

std::vector<checker::followed> audience::seen() const {
  std::vector<checker::followed> all;
  for (const auto* l : {&steady_, &restless_}) {
    const std::lock_guard lock{l->mutex};
    for (const auto& [session, seen] : l->seen)
      all.push_back({l->name + (l->has_lost ? " (told gone)" : ""), session, 0, seen});
  }
  return all;
}

}  // namespace rowcall::chaos
