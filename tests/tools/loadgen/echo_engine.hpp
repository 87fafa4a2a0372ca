#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <set>
#include <thread>

#include "engine/ports.hpp"

namespace rowcall::tools::loadgen::testing {

/// The least engine there can be, on any store and bus: one thread that answers each command of a woken session with one
/// update. For tests of what stands in front of an engine.
class echo_engine {
 public:
  echo_engine(std::unique_ptr<engine::turn_store> store, engine::bus& bus)
      : store_(std::move(store)), bus_(bus), thread_([this] { run(); }) {
    wakes_ = bus.on_wakes([this](const engine::wake& w) {
      const std::lock_guard lock(mutex_);
      ready_.insert(w.session);
      changed_.notify_one();
    });
  }

  ~echo_engine() {
    wakes_.reset();
    {
      const std::lock_guard lock(mutex_);
      is_stopping_ = true;
      changed_.notify_one();
    }
    thread_.join();
  }

 private:
  void run() {
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [this] { return is_stopping_ || !ready_.empty(); });
      if (is_stopping_) return;
      const auto taken = std::exchange(ready_, {});
      lock.unlock();
      std::set<engine::session_id> again = turn(taken);
      lock.lock();
      ready_.merge(again);
    }
  }

  std::set<engine::session_id> turn(const std::set<engine::session_id>& sessions) {
    engine::turn_request request;
    for (const auto& id : sessions)
      request.sessions.push_back({id, engine::shard_of(id, engine::shard_count_default), std::nullopt, false});
    const auto claim = store_->claim(request);
    if (!claim) return sessions;
    std::set<engine::session_id> again;
    std::vector<engine::session_writes> all;
    std::vector<engine::update_notice> notices;
    for (std::size_t i = 0; i < claim->sessions.size(); ++i) {
      const auto& c = claim->sessions[i];
      const auto& id = request.sessions[i].session;
      if (c.status != engine::claim_status::claimed || c.has_more) again.insert(id);
      if (!c.image || c.commands.empty()) continue;
      engine::session_writes w;
      w.session = id;
      w.before = w.after = c.image->cursor;
      for (const auto& command : c.commands) {
        w.after = {w.after.update.next(), command.seq};
        w.updates.push_back({w.after.update, command.seq, "echo", command.data, claim->now});
      }
      notices.push_back({id, w.before.update.next(), w.after.update, w.updates});
      all.push_back(std::move(w));
    }
    if (all.empty()) {
      store_->abandon();
      return again;
    }
    if (!store_->commit(all)) return sessions;
    bus_.publish(notices);
    return again;
  }

  std::unique_ptr<engine::turn_store> store_;
  engine::bus& bus_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::set<engine::session_id> ready_;
  bool is_stopping_ = false;
  std::thread thread_;
  std::unique_ptr<engine::subscription> wakes_;
};

}  // namespace rowcall::tools::loadgen::testing
