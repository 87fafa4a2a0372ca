#include "storage/memory/memory_stores.hpp"

#include "storage/memory/internal/database.hpp"

namespace rowcall::storage::memory {
namespace {

using namespace engine;

class memory_turn_store final : public turn_store {
 public:
  memory_turn_store(std::shared_ptr<database> db, std::string node) : db_(std::move(db)), node_(std::move(node)) {}
  /// A closed connection: the server rolls back.
  ~memory_turn_store() override { abandon(); }

  result<turn_claim> claim(const turn_request& request) override {
    ROWCALL_ASSERT(turn_ == 0);
    if (request.sessions.size() == 1 && request.sessions[0].expected && request.sessions[0].cursor)
      return take_for_granted(request.sessions[0]);
    return db_->claim(node_, request, turn_);
  }
  result<db_time> commit(std::span<const session_writes> writes) override {
    if (unverified_) return db_->commit_expected(node_, *std::exchange(unverified_, std::nullopt), writes);
    ROWCALL_ASSERT(turn_ != 0);
    return db_->commit(std::exchange(turn_, 0), writes);
  }
  void abandon() override {
    unverified_.reset();
    if (turn_ != 0) db_->abandon(std::exchange(turn_, 0));
  }

 private:
  turn_claim take_for_granted(const session_request& session) {
    unverified_ = session;
    turn_claim claim;
    claim.sessions.push_back({claim_status::claimed, {}, {*session.expected}});
    claim.is_unverified = true;
    return claim;
  }

  std::shared_ptr<database> db_;
  std::string node_;
  turn_id turn_ = 0;
  std::optional<session_request> unverified_;  ///< the open turn took a wake's word; nothing is locked
};

class memory_node_store final : public node_store {
 public:
  explicit memory_node_store(std::shared_ptr<database> db) : db_(std::move(db)) {}
  ~memory_node_store() override {
    if (!node_.empty()) db_->disconnect(node_);
  }

  result<void> join(const std::string& node, const std::vector<std::string>& kinds) override {
    auto joined = db_->join(node, kinds, node == node_);
    if (joined) node_ = node;
    return joined;
  }
  result<std::vector<node_info>> heartbeat(const std::string& node, const node_rates& rates,
                                           std::chrono::milliseconds dead_after) override {
    return db_->heartbeat(node, rates, dead_after);
  }
  result<void> leave(const std::string& node) override {
    db_->leave(node);
    return {};
  }
  result<void> sweep(const std::vector<std::string>& kinds,
                     const std::function<bool(std::span<const pending_session>)>& found) override {
    // Not under the mutex while the caller looks at a chunk: he may use the database.
    constexpr std::size_t chunk_sessions = 500;
    std::optional<session_id> after;
    for (;;) {
      const auto chunk = db_->pending_after(kinds, after, chunk_sessions);
      if (!found(chunk)) return {};
      if (chunk.size() == chunk_sessions) continue;
      db_->judge_load();
      return {};
    }
  }
  result<void> set_admission(const admission_limits& limits) override {
    db_->set_admission(limits);
    return {};
  }
  result<cleanup_report> cleanup(const cleanup_request& request) override { return db_->cleanup(request); }

 private:
  std::shared_ptr<database> db_;
  std::string node_;  ///< that joined over this connection
};

class memory_command_store final : public command_store {
 public:
  explicit memory_command_store(std::shared_ptr<database> db) : db_(std::move(db)) {}
  result<std::vector<submit_receipt>> submit(std::span<const command_request> batch, const visible_function& visible) override {
    if (!visible || batch.size() != 1 || batch.front().idempotency_key) return db_->submit(batch);
    const auto crashes = db_->crashes();
    std::vector<submit_receipt> receipts{db_->submit_unflushed(batch.front())};
    visible(receipts);
    if (db_->crashes() != crashes) return fail(errc::commit_in_doubt, "the server crashed before the command was durable");
    db_->flush();
    return receipts;
  }

 private:
  std::shared_ptr<database> db_;
};

class memory_update_store final : public update_store {
 public:
  explicit memory_update_store(std::shared_ptr<database> db) : db_(std::move(db)) {}

  result<update_page> updates_after(const session_id& session, update_seq after, std::size_t limit) override {
    const follow_position position{session, after};
    return std::move(db_->updates_after({&position, 1}, limit).front());
  }
  result<std::vector<update_page>> updates_after(std::span<const follow_position> positions,
                                                 std::size_t limit) override {
    return db_->updates_after(positions, limit);
  }
  result<std::optional<snapshot_row>> snapshot(const session_id& session) override { return db_->snapshot(session); }
  result<session_cursor> last(const session_id& session) override { return db_->last(session); }
  result<receipt> receipt_of(const session_id& session, command_seq command) override {
    return db_->receipt_of(session, command);
  }
  result<std::string> incarnation() override { return std::string{"memory"}; }

 private:
  std::shared_ptr<database> db_;
};

class memory_admin_store final : public admin_store {
 public:
  explicit memory_admin_store(std::shared_ptr<database> db) : db_(std::move(db)) {}

  result<status_report> status() override { return db_->status(); }
  result<std::vector<std::string>> kinds() override { return db_->kinds(); }
  result<std::vector<dead_letter>> dead_letters(std::size_t limit, bool with_resolved) override {
    return db_->dead_letters(limit, with_resolved);
  }
  result<dead_letter> dead_letter_of(const session_id& session, command_seq command) override {
    return db_->dead_letter_of(session, command);
  }
  result<command_seq> redrive(const session_id& session, command_seq command) override {
    return db_->redrive(session, command);
  }
  result<void> drop(const session_id& session, command_seq command) override { return db_->drop(session, command); }

 private:
  std::shared_ptr<database> db_;
};

}  // namespace

std::shared_ptr<database> make_database(std::shared_ptr<engine::clock> clock) {
  return std::make_shared<database>(std::move(clock));
}
std::unique_ptr<engine::turn_store> make_turn_store(std::shared_ptr<database> db, std::string node) {
  return std::make_unique<memory_turn_store>(std::move(db), std::move(node));
}
std::unique_ptr<engine::node_store> make_node_store(std::shared_ptr<database> db) {
  return std::make_unique<memory_node_store>(std::move(db));
}
std::unique_ptr<engine::command_store> make_command_store(std::shared_ptr<database> db) {
  return std::make_unique<memory_command_store>(std::move(db));
}
std::unique_ptr<engine::update_store> make_update_store(std::shared_ptr<database> db) {
  return std::make_unique<memory_update_store>(std::move(db));
}
std::unique_ptr<engine::admin_store> make_admin_store(std::shared_ptr<database> db) {
  return std::make_unique<memory_admin_store>(std::move(db));
}

}  // namespace rowcall::storage::memory
