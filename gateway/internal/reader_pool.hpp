#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "gateway/ports.hpp"

namespace rowcall::gateway::internal {

/// What a read may use. Of one reader thread.
struct reader_stores {
  std::unique_ptr<engine::update_store> updates;
  std::unique_ptr<engine::chat::chat_store> chats;
  std::unique_ptr<engine::admin_store> admin;
  std::unique_ptr<engine::console_store> console;
};

/// Threads that may block on the database, so that the io thread never does.
class reader_pool {
 public:
  using job = std::function<void(reader_stores&)>;

  reader_pool(const gateway_ports& ports, std::size_t threads, std::size_t queue_max);
  ~reader_pool();  ///< waits for the reads that are under way; drops those that wait
  reader_pool(const reader_pool&) = delete;

  /// False when too many wait. Thread-safe.
  bool post(job j);
  std::size_t waiting() const;

 private:
  void run(reader_stores stores);

  const std::size_t queue_max_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<job> queue_;
  bool is_stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace rowcall::gateway::internal
