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
struct registry {
  std::mutex mutex;
  wake_gates wakes;
  std::unordered_map<session_id, std::shared_ptr<update_gates>> updates;
};

class local_bus final : public engine::bus {
 public:
  void publish(std::span<const wake> wakes) override {
    for (const auto& w : wakes) registry_->wakes.for_each([&](auto& gate) { gate.call(w); });
  }

  void publish(std::span<const update_notice> notices) override {
    for (const auto& notice : notices) {
      std::shared_ptr<update_gates> found;
      {
        const std::lock_guard lock{registry_->mutex};
        if (const auto it = registry_->updates.find(notice.session); it != registry_->updates.end()) found = it->second;
      }
      if (!found) continue;
      found->for_each([&](auto& gate) { gate.call(notice); });
    }
  }

  std::unique_ptr<engine::subscription> on_wakes(std::function<void(wake)> handler) override {
    auto gate = std::make_shared<wake_gates::gate>(std::move(handler));
    registry_->wakes.add(gate);
    return std::make_unique<internal::ending_subscription>([registry = registry_, gate] {
      registry->wakes.remove(gate);
      gate->close();
    });
  }

  std::unique_ptr<engine::subscription> on_updates(const session_id& session,
                                                   std::function<void(const update_notice&)> handler) override {
    auto gate = std::make_shared<update_gates::gate>(std::move(handler));
    {
      const std::lock_guard lock{registry_->mutex};
      auto& gates = registry_->updates[session];
      if (!gates) gates = std::make_shared<update_gates>();
      gates->add(gate);
    }
    return std::make_unique<internal::ending_subscription>([registry = registry_, session, gate] {
      {
        const std::lock_guard lock{registry->mutex};
        const auto it = registry->updates.find(session);
        if (it->second->remove(gate)) registry->updates.erase(it);
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
  std::shared_ptr<registry> registry_ = std::make_shared<registry>();
};

}  // namespace

std::unique_ptr<engine::bus> make_local_bus() { return std::make_unique<local_bus>(); }

}  // namespace rowcall::bus
