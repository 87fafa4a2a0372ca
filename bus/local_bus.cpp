#include "bus/local_bus.hpp"

#include <mutex>
#include <unordered_map>

#include "bus/internal/callback_gate.hpp"

namespace rowcall::bus {
namespace {

using engine::session_id;
using engine::update_notice;
using engine::wake;

using wake_gates = internal::callback_list<wake>;
using update_gates = internal::callback_list<const update_notice&>;

/// Outlives the bus as long as a subscription does.
struct handlers {
  std::mutex mutex;
  wake_gates wakes;
  std::unordered_map<session_id, std::shared_ptr<update_gates>> updates;
};

class local_bus final : public engine::bus {
 public:
  void publish(std::span<const wake> wakes) override {
    for (const auto& w : wakes) handlers_->wakes.for_each([&](auto& gate) { gate.call(w); });
  }

  void publish(std::span<const update_notice> notices) override {
    for (const auto& notice : notices) {
      std::shared_ptr<update_gates> found;
      {
        const std::lock_guard lock{handlers_->mutex};
        if (const auto it = handlers_->updates.find(notice.session); it != handlers_->updates.end()) found = it->second;
      }
      if (!found) continue;
      found->for_each([&](auto& gate) { gate.call(notice); });
    }
  }

  std::unique_ptr<engine::subscription> on_wakes(std::function<void(wake)> handler) override {
    auto gate = std::make_shared<wake_gates::gate>(std::move(handler));
    handlers_->wakes.add(gate);
    return std::make_unique<internal::ending_subscription>([shared = handlers_, gate] {
      shared->wakes.remove(gate);
      gate->close();
    });
  }

  std::unique_ptr<engine::subscription> on_updates(const session_id& session,
                                                   std::function<void(const update_notice&)> handler) override {
    auto gate = std::make_shared<update_gates::gate>(std::move(handler));
    {
      const std::lock_guard lock{handlers_->mutex};
      auto& gates = handlers_->updates[session];
      if (!gates) gates = std::make_shared<update_gates>();
      gates->add(gate);
    }
    return std::make_unique<internal::ending_subscription>([shared = handlers_, session, gate] {
      {
        const std::lock_guard lock{shared->mutex};
        const auto it = shared->updates.find(session);
        if (it->second->remove(gate)) shared->updates.erase(it);
      }
      gate->close();
    });
  }

  /// Connected from the beginning and for ever: there is nothing to tell.
  std::unique_ptr<engine::subscription> on_connected(std::function<void()>) override {
    return std::make_unique<internal::ending_subscription>([] {});
  }

  engine::result<void> flush(std::chrono::milliseconds) override { return {}; }
  bool is_connected() const override { return true; }

 private:
  std::shared_ptr<handlers> handlers_ = std::make_shared<handlers>();
};

}  // namespace

std::unique_ptr<engine::bus> make_local_bus() { return std::make_unique<local_bus>(); }

}  // namespace rowcall::bus
