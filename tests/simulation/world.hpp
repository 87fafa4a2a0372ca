#pragma once

#include <memory>
#include <random>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include <caf/all.hpp>
#include <caf/scheduler/test_coordinator.hpp>

#include "actors/directory_actor.hpp"
#include "actors/node_actor.hpp"
#include "actors/turn_worker.hpp"
#include "storage/memory/inspect.hpp"
#include "tests/checker/checker.hpp"
#include "tests/simulation/faulty_stores.hpp"
#include "tests/simulation/ledger.hpp"

namespace rowcall::simulation {

class virtual_clock final : public engine::clock {
 public:
  time_point now() const override { return now_; }
  void set(time_point t) { now_ = t; }

 private:
  time_point now_{};
};

/// The database server's: it goes on as the nodes' does, and jumps by itself, forwards and back.
class server_clock final : public engine::clock {
 public:
  explicit server_clock(std::shared_ptr<engine::clock> nodes) : nodes_(std::move(nodes)) {}
  time_point now() const override { return nodes_->now() + ahead_; }
  void jump(std::chrono::milliseconds by) { ahead_ += by; }

 private:
  std::shared_ptr<engine::clock> nodes_;
  std::chrono::milliseconds ahead_{0};
};

class world;

/// A node's end of the bus; what is published goes into the world's bag of messages.
class node_bus final : public engine::bus {
 public:
  node_bus(world& w, std::string node) : world_(w), node_(std::move(node)) {}
  void cut() { is_cut_ = true; }
  void publish(std::span<const engine::wake> wakes) override;
  void publish(std::span<const engine::update_notice> notices) override;
  std::unique_ptr<engine::subscription> on_wakes(std::function<void(engine::wake)>) override { return {}; }
  std::unique_ptr<engine::subscription> on_updates(const engine::session_id&,
                                                   std::function<void(const engine::update_notice&)>) override {
    return {};
  }
  std::unique_ptr<engine::subscription> on_connected(std::function<void()>) override { return {}; }
  engine::result<void> flush(std::chrono::milliseconds) override { return {}; }
  bool is_connected() const override { return true; }

 private:
  world& world_;
  std::string node_;
  bool is_cut_ = false;
};

/// One boot of one node.
struct node_boot {
  std::string name;
  bool is_dead = false, is_stopped = false;
  int boot = 1;
  actors::metrics counters;
  std::atomic<bool> is_joined = false;
  std::shared_ptr<actors::wake_inbox> inbox = std::make_shared<actors::wake_inbox>();
  std::unique_ptr<node_bus> bus;
  std::vector<std::shared_ptr<faulty_turn_store>> turn_stores;
  std::shared_ptr<faulty_node_store> node_store, upkeep_store;
  actors::directory_actor directory;
  actors::node_actor node;
  actors::upkeep_actor upkeep;
  std::vector<actors::turn_worker_actor> workers;
};

/// Submits one batch after the other; what is in doubt is tried again only under idempotency keys.
struct sim_client {
  std::string name;
  std::vector<engine::command_request> batch;  ///< to be resubmitted; empty when nothing is in doubt
  std::vector<std::size_t> records;            ///< of the batch, in world::submits
  bool is_waiting = false;                     ///< for the disk, while others go on
};

struct sim_follower {
  std::string name;
  std::vector<engine::update_seq> positions;  ///< by session
  std::vector<std::size_t> records;           ///< by session, in world::followed
};

class world final : public fate {
 public:
  static constexpr std::size_t sessions_count = 6, followers_count = 2;
  static constexpr std::int64_t commands_max = 80;  ///< of all clients
  static constexpr int pause_depth_max = 4;  ///< others that go on while one waits, while one waits ...
  static constexpr std::uint64_t store_calls_max = 20'000;  ///< of a run, which makes some hundreds

  explicit world(const options& o);
  ~world();
  report run();

  bool strikes(double probability, std::string_view fault, const std::string& whom) override;
  void count(std::string_view what) override { ++faults_by_name_[std::string(what)]; }
  bool pause(const std::string& node) override;
  void note(std::string line) override;
  bool spend() override { return ++store_calls_ <= store_calls_max; }
  void trusts() override { ++turns_trusting_; }
  deliberate_bug bug() const override { return options_.bug; }
  void commit_later(std::unique_ptr<engine::turn_store> connection, std::vector<engine::session_writes> writes) override;
  storage::memory::database_dump look() override { return storage::memory::dump(*db_); }
  void publish(const std::string& from, std::span<const engine::wake> wakes);
  void publish(const std::string& from, std::span<const engine::update_notice> notices);

 private:
  struct delivery {
    std::variant<engine::wake, engine::update_notice> message;
    std::size_t to = 0;  ///< the node, or the follower
    engine::clock::time_point sent{};
  };

  std::size_t below(std::size_t n) { return static_cast<std::size_t>(random_() % n); }
  bool happens(double probability) { return static_cast<double>(random_() >> 11) * 0x1.0p-53 < probability; }

  void boot(std::size_t index);
  template <class Handle>
  void adopt(const Handle& handle, node_boot& n, const std::string& what);
  void kill(std::size_t index, bool may_vanish);
  void stop(std::size_t index);
  void resume(node_boot& n);
  void revive();
  void die();
  void strike();
  void hit(const std::string& fault);
  void jump_server_clock();
  void step();
  bool run_job();
  void pass_time();
  void finish_commit();
  void deliver();
  void act(sim_client& c);
  void submit(sim_client& c);
  void send_wakes(const sim_client& c, std::span<const engine::submit_receipt> receipts);
  void wait_for_flush(sim_client& c);
  void catch_up(sim_follower& f, std::size_t session);
  void hear(sim_follower& f, const engine::update_notice& n);
  void see(sim_follower& f, std::size_t session, const engine::update_row& u);
  void rejoin(sim_follower& f, std::size_t session, engine::update_seq after);
  void put(delivery d);
  void count_wake(const delivery& d);
  bool is_at_rest();
  void end();
  void judge(report& r);

  options options_;
  std::mt19937_64 random_;
  std::mt19937_64 jumps_;  ///< of the server's clock
  bool is_calm_;
  bool is_slow_;  ///< clients leave the nodes time to finish what they have
  int deadly_left_ = 0;  ///< commands that end the process of whoever tries them, still to be submitted
  bool faults_on_ = false, clients_on_ = false, is_bus_down_ = false, is_over_ = false;
  int depth_ = 0;
  std::uint64_t steps_ = 0, faults_ = 0, store_calls_ = 0, turns_trusting_ = 0, deaths_by_command_ = 0;
  std::map<std::string, std::uint64_t> faults_by_name_;
  std::uint64_t hash_ = 14695981039346656037ull;
  std::string trace_;
  std::vector<std::string> violations_;

  std::shared_ptr<virtual_clock> clock_ = std::make_shared<virtual_clock>();
  std::shared_ptr<server_clock> server_clock_ = std::make_shared<server_clock>(clock_);
  std::shared_ptr<storage::memory::database> db_;
  std::unique_ptr<engine::command_store> commands_;
  std::shared_ptr<engine::update_store> updates_;
  std::unique_ptr<engine::admin_store> admin_;
  engine::module_registry modules_;
  caf::actor_system_config config_;
  std::unique_ptr<caf::actor_system> system_;
  caf::scheduler::test_coordinator* jobs_ = nullptr;
  std::unordered_map<caf::resumable*, std::pair<node_boot*, std::string>> owners_;  ///< looked up only
  std::set<std::string> alive_;  ///< actors, by node and name

  std::vector<std::unique_ptr<node_boot>> boots_;  ///< all that ever were
  std::vector<node_boot*> nodes_;
  node_boot* running_ = nullptr;  ///< whose job is being run; the innermost one
  std::vector<std::unique_ptr<engine::turn_store>> orphans_;  ///< connections whose other end vanished
  std::vector<std::unique_ptr<engine::node_store>> node_orphans_;
  struct late_commit {
    std::unique_ptr<engine::turn_store> connection;
    std::vector<engine::session_writes> writes;
  };
  std::vector<late_commit> late_commits_;  ///< that the server is still at
  std::vector<engine::session_id> sessions_;
  std::vector<sim_client> clients_;
  std::vector<sim_follower> followers_;
  std::vector<delivery> bag_;
  std::map<std::pair<std::size_t, std::string>, engine::command_seq> woken_;  ///< by node and session: the highest so far
  std::int64_t last_n_ = 0;
  checker::history history_;
  std::map<std::string, std::string> forwards_;  ///< a forward's data to its target
};

}  // namespace rowcall::simulation
