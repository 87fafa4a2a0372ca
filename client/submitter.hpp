#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/ports.hpp"

namespace rowcall::client {

struct submitter_config {
  std::size_t queue_commands_max = 100'000;  ///< a full queue answers `busy` at once
  std::size_t group_commands_max = 1'000;    ///< of one transaction
  std::size_t data_bytes_max = engine::command_data_bytes_max_default;
  /// How long a submit is tried again while the database is away (only commands with an idempotency key after a
  /// commit in doubt; others are answered with commit_in_doubt).
  std::chrono::milliseconds retry_for{10'000};
};

/// Submits commands: validates, stores them durably in group commits, and only then publishes the wakes.
///
/// Commands that arrive while a transaction is under way go together into the next one: alone, a command
/// waits for nothing; under load, hundreds share one commit. Thread-safe. Has one thread of its own per store.
class submitter {
 public:
  using outcome = engine::result<engine::submit_receipt>;

  /// `stores`: one connection each; one is enough for most. `bus` must outlive the submitter.
  submitter(std::vector<std::unique_ptr<engine::command_store>> stores, engine::bus& bus, submitter_config config = {});
  ~submitter();  ///< waits for what is queued, at most retry_for
  submitter(const submitter&) = delete;

  /// Blocks until the command is durable; stores it on the calling thread when nothing else is under way. Not from a
  /// `done` (assertion). Order: a thread's submits of one session keep their order.
  outcome submit(engine::command_request request);
  /// One result per request, in order. A batch goes into as few transactions as group_commands_max allows. Once a
  /// command of a session is refused as busy or not stored in time, those of the session after it are not tried (busy):
  /// what is tried again later keeps the order.
  std::vector<outcome> submit(std::vector<engine::command_request> batch);
  /// Returns at once; `done` runs on the submitter's thread (`busy` is answered on the caller's, before this returns),
  /// must be short and must not throw. Commands of one session keep the order of the calls.
  void submit_async(engine::command_request request, std::function<void(outcome)> done);
  /// The same for a batch; `done` is called with the index of each. Order: as a batch of submit().
  void submit_async(std::vector<engine::command_request> batch, std::function<void(std::size_t index, outcome)> done);

 private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

}  // namespace rowcall::client
