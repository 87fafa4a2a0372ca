#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/ports.hpp"
#include "tests/simulation/faults.hpp"

/// Decorators over the in-memory stores: between them and their node lies a network, and the server has its moods.
namespace rowcall::simulation {

class faulty_turn_store final : public engine::turn_store {
 public:
  using publisher = std::function<void(std::span<const engine::session_writes>)>;
  using connector = std::function<std::unique_ptr<engine::turn_store>()>;
  faulty_turn_store(connector connect, fate& f, std::string node, publisher publish)
      : connect_(std::move(connect)), inner_(connect_()), fate_(f), node_(std::move(node)), publish_(std::move(publish)) {}

  /// The node has died: nothing gets through any more.
  /// The caller decides whether the server hears of it (by destroying the connection).
  std::unique_ptr<engine::turn_store> cut() { return std::move(inner_); }

  engine::result<engine::turn_claim> claim(const engine::turn_request& request) override;
  engine::result<engine::db_time> commit(std::span<const engine::session_writes> writes) override;
  void abandon() override {
    if (inner_) inner_->abandon();
  }

 private:
  tl::unexpected<engine::error> lost(engine::errc code = engine::errc::connection_lost) {
    abandon();
    return engine::fail(code, "simulated");
  }
  /// Without the sessions of the shards that somebody else is said to hold.
  engine::result<engine::turn_claim> claim_granted(const engine::turn_request& request);
  void serve_unlocked(const engine::turn_request& request, engine::turn_claim& claim);

  /// deliberate_bug::believed_wake: opens a turn in which nothing is compared.
  void believe();
  /// deliberate_bug::folded_claim: what the claim's statement sees, whose snapshot is older than its locks.
  static void see(const storage::memory::database_dump& snapshot, const engine::turn_request& request,
                  engine::turn_claim& claim);

  connector connect_;
  std::unique_ptr<engine::turn_store> inner_;
  fate& fate_;
  std::string node_;
  publisher publish_;
  std::optional<engine::turn_request> trusting_;  ///< the open turn's, when it took a wake's word
};

class faulty_node_store final : public engine::node_store {
 public:
  faulty_node_store(std::unique_ptr<engine::node_store> inner, fate& f, std::string node)
      : inner_(std::move(inner)), fate_(f), node_(std::move(node)) {}
  /// See faulty_turn_store.
  std::unique_ptr<engine::node_store> cut() { return std::move(inner_); }

  engine::result<void> join(const std::string& node, const std::vector<std::string>& kinds) override;
  engine::result<std::vector<engine::node_info>> heartbeat(const std::string& node, const engine::node_rates& rates,
                                                           std::chrono::milliseconds dead_after) override;
  engine::result<void> leave(const std::string& node) override;
  engine::result<void> sweep(const std::vector<std::string>& kinds,
                             const std::function<bool(std::span<const engine::pending_session>)>& found) override;
  engine::result<void> set_admission(const engine::admission_limits& limits) override;
  engine::result<engine::cleanup_report> cleanup(const engine::cleanup_request& request) override;

 private:
  bool is_lost(std::string_view call) {
    return !inner_ || fate_.strikes(0.05, std::string("connection lost in ") += call, node_) || !inner_;
  }
  std::unique_ptr<engine::node_store> inner_;
  fate& fate_;
  std::string node_;
};

}  // namespace rowcall::simulation
