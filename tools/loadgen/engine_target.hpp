#pragma once

#include <condition_variable>
#include <memory>
#include <shared_mutex>
#include <unordered_map>
#include <vector>

#include "client/follower.hpp"
#include "client/submitter.hpp"
#include "tools/loadgen/target.hpp"
#include "tools/loadgen/work_queue.hpp"

namespace rowcall::tools::loadgen {

struct engine_target_config {
  std::function<std::unique_ptr<engine::command_store>()> make_command_store;
  std::function<std::unique_ptr<engine::update_store>()> make_update_store;
  /// The first one is the submitters'; the followers share all in turn. At least one; they outlive the target.
  std::vector<engine::bus*> buses;
  std::size_t submitters = 1;  ///< connections
  std::size_t followers = 1;   ///< threads, each with a connection
  std::chrono::milliseconds poll_interval{1'000};  ///< of a follower, should a notice be lost
  std::size_t read_updates = 50;                   ///< of one read
  client::submitter_config submitter;
};

/// Load through the client library, as an application would put it on.
class engine_target final : public target {
 public:
  explicit engine_target(engine_target_config config);
  ~engine_target() override;

  void start(updates on_updates) override;
  void submit(engine::command_request request, submitted done) override;
  void follow(std::span<const position> positions) override;
  void unfollow(std::span<const position> positions) override;
  void reconnect(std::function<std::vector<position>()> where) override;
  void read(engine::session_id session, std::function<void(bool)> done) override;
  engine::result<engine::session_cursor> cursor(const engine::session_id& session) override;
  bool wait_live(std::chrono::milliseconds timeout) override;
  void stop() override;

 private:
  struct live_follower {
    std::unique_ptr<client::follower> follower;
    bool is_used = false;
  };
  void make_followers();                                       // with followers_mutex_ held
  void follow_with_lock(std::span<const position> positions);

  engine_target_config config_;
  updates on_updates_;
  std::unique_ptr<engine::update_store> cursors_, reads_;
  std::unique_ptr<client::submitter> submitter_;

  std::shared_mutex indices_mutex_;
  std::unordered_map<engine::session_id, session_index> indices_;

  std::mutex live_mutex_;
  std::condition_variable live_changed_;
  std::vector<bool> is_live_;

  std::mutex followers_mutex_;
  std::vector<live_follower> followers_;

  std::unique_ptr<work_queue> reader_, reconnector_;
};

}  // namespace rowcall::tools::loadgen
