#pragma once

#include <algorithm>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "engine/ports.hpp"

namespace rowcall::bus::internal {

/// A handler that can be shut: after close() has returned it is not running and never will again. A handler may close
/// its own gate; that close does not wait for itself. Thread-safe. Calls of several threads run side by side.
template <class... Args>
class callback_gate {
 public:
  explicit callback_gate(std::function<void(Args...)> handler) : handler_(std::move(handler)) {}

  /// Returns false when the gate is closed.
  template <class... Given>
  bool call(Given&&... given) {
    const auto self = std::this_thread::get_id();
    {
      const std::lock_guard lock{mutex_};
      if (closed_) return false;
      callers_.push_back(self);
    }
    const caller_exit at_exit{*this, self};
    handler_(std::forward<Given>(given)...);
    return true;
  }

  void close() {
    const auto self = std::this_thread::get_id();
    std::unique_lock lock{mutex_};
    closed_ = true;
    left_.wait(lock, [&] { return std::all_of(callers_.begin(), callers_.end(), [&](auto id) { return id == self; }); });
  }

 private:
  struct caller_exit {
    callback_gate& gate;
    std::thread::id self;
    ~caller_exit() {
      const std::lock_guard lock{gate.mutex_};
      gate.callers_.erase(std::find(gate.callers_.begin(), gate.callers_.end(), self));
      if (gate.closed_) gate.left_.notify_all();
    }
  };

  const std::function<void(Args...)> handler_;
  std::mutex mutex_;
  std::condition_variable left_;
  std::vector<std::thread::id> callers_;
  bool closed_ = false;
};

/// Several gates behind one source of messages. A delivery works on the list as it was when it began, so handlers may
/// come and go meanwhile, from within a callback as well.
template <class... Args>
class callback_list {
 public:
  using gate = callback_gate<Args...>;
  using gates = std::vector<std::shared_ptr<gate>>;

  void add(std::shared_ptr<gate> g) {
    const std::lock_guard lock{mutex_};
    auto next = std::make_shared<gates>(*gates_);
    next->push_back(std::move(g));
    gates_ = std::move(next);
  }

  /// Returns true when the list is empty now.
  bool remove(const std::shared_ptr<gate>& g) {
    const std::lock_guard lock{mutex_};
    auto next = std::make_shared<gates>(*gates_);
    std::erase(*next, g);
    gates_ = std::move(next);
    return gates_->empty();
  }

  template <class Visitor>
  void for_each(Visitor&& visit) const {
    std::shared_ptr<const gates> now;
    {
      const std::lock_guard lock{mutex_};
      now = gates_;
    }
    for (const auto& g : *now) visit(*g);
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const gates> gates_ = std::make_shared<gates>();
};

/// Runs an action once, when destroyed.
class ending_subscription final : public engine::subscription {
 public:
  explicit ending_subscription(std::function<void()> end) : end_(std::move(end)) {}
  ending_subscription(const ending_subscription&) = delete;
  ending_subscription& operator=(const ending_subscription&) = delete;
  ~ending_subscription() override { end_(); }

 private:
  std::function<void()> end_;
};

}  // namespace rowcall::bus::internal
