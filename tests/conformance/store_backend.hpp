#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "engine/ports.hpp"

/// One suite for every implementation of the stores' ports: what engine/ports.hpp and engine/turn.hpp say, as tests.
///
/// A kind of store is added by a store_backend and one line ROWCALL_STORE_CONFORMANCE(name, factory).
namespace rowcall::conformance {

/// Makes the stores of one kind on one empty database, and does to it what no port can.
class store_backend {
 public:
  virtual ~store_backend() = default;
  virtual std::unique_ptr<engine::turn_store> turns(const std::string& node) = 0;
  virtual std::unique_ptr<engine::node_store> nodes() = 0;
  virtual std::unique_ptr<engine::command_store> commands() = 0;
  virtual std::unique_ptr<engine::update_store> updates() = 0;
  virtual std::unique_ptr<engine::admin_store> admin() = 0;

  /// The database's time goes on by at least this much. Some milliseconds: a real database takes them.
  virtual void pass(std::chrono::milliseconds time) = 0;
  /// The node's last heartbeat was an hour ago. No turn is open.
  virtual void make_heartbeat_old(const std::string& node) = 0;
  /// The server ends the connections that have a turn open, as it does for a node that was cut off.
  virtual void drop_open_turns() = 0;
  /// A domain table's rows, sorted; nothing = NULL.
  using row = std::vector<std::optional<std::string>>;
  virtual std::vector<row> table(const std::string& name, const std::vector<std::string>& columns) = 0;
};

using backend_factory = std::unique_ptr<store_backend> (*)();

/// The value, or the test fails with the error (as an exception, also across threads).
template <class T>
T must(engine::result<T> r) {
  if (!r) throw std::runtime_error(std::string{to_string(r.error().code)} + ": " + r.error().message);
  if constexpr (!std::is_void_v<T>) return std::move(*r);
}

/// Looks until it holds; false at the deadline. For what another thread or process brings about.
template <class Condition>
[[nodiscard]] bool eventually(Condition&& holds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{20};
  while (!holds()) {
    if (std::chrono::steady_clock::now() >= end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds{1});
  }
  return true;
}

engine::session_id id(std::string_view text);
engine::command_request request(const engine::session_id& session, std::string data = "{}", std::string type = "say",
                                std::optional<std::string> key = std::nullopt);
/// `{"n":<n>}`
std::string numbered(std::int64_t n);

/// As the engine asks: sessions of the kind echo have no state.
engine::session_request ask(const engine::session_id& session,
                            std::optional<engine::session_cursor> cursor = std::nullopt);
engine::turn_request ask_all(std::vector<engine::session_request> sessions, engine::turn_limits limits = {});
engine::turn_request ask_all(const std::vector<engine::session_id>& sessions, engine::turn_limits limits = {});

/// Decides as a module would that echoes: `updates_each` updates of type "said" for each command, with its data.
engine::session_writes echo(const engine::session_id& session, engine::session_cursor before,
                            const std::vector<engine::command_row>& commands, int updates_each = 1);
/// `count` sessions `<kind>-<i>` of which no two share a shard.
std::vector<engine::session_id> sessions_on_distinct_shards(std::string_view kind, std::size_t count);

/// The same value, whatever the order of members, the spaces and the escapes. Numbers keep all of their digits.
bool means_the_same(std::string_view json_a, std::string_view json_b);
::testing::AssertionResult same_json(const char* text_a, const char* text_b, const std::string& a, const std::string& b);
#define EXPECT_SAME_JSON(a, b) EXPECT_PRED_FORMAT2(::rowcall::conformance::same_json, a, b)

/// Texts that look like the syntax of something between here and the disk.
const std::vector<std::string>& hostile_texts();
/// A JSON object with the text as a key and as a value.
std::string object_with(std::string_view text);

class store_conformance : public ::testing::TestWithParam<backend_factory> {
 protected:
  /// An empty database where the kinds echo, chat and user were served once, and no node is alive.
  void SetUp() override;

  std::unique_ptr<engine::turn_store> turns(const std::string& node) { return backend_->turns(node); }
  /// Stores `count` commands `{"n":first…}`; returns the seq of the last.
  engine::command_seq submit(const engine::session_id& session, int count = 1, int first = 1);
  engine::submit_receipt submit(engine::command_request request);
  /// One turn: claims the session cold, echoes what is pending, commits. Returns the cursor after it.
  engine::session_cursor serve(engine::turn_store& store, const engine::session_id& session, int updates_each = 1);
  /// The session's log is gapless, and answers each of its `count` commands once, in order.
  void expect_each_answered_once(const engine::session_id& session, std::int64_t count);
  std::vector<engine::update_row> log_of(const engine::session_id& session);
  /// Commands that wait, by a claim of `node` that is abandoned.
  std::vector<engine::command_row> pending_of(const engine::session_id& session, const std::string& node = "looker");

  std::unique_ptr<store_backend> backend_;
  std::unique_ptr<engine::node_store> nodes_;
  std::unique_ptr<engine::command_store> commands_;
  std::unique_ptr<engine::update_store> updates_;
  std::unique_ptr<engine::admin_store> admin_;
};

class submit_conformance : public store_conformance {};
class admission_conformance : public store_conformance {};
class claim_conformance : public store_conformance {
 protected:
  /// The usual claim is one of an owner: n1 has all shards.
  std::unique_ptr<engine::turn_store> turns(const std::string& node);
};
class commit_conformance : public store_conformance {};
class hint_conformance : public store_conformance {};
class takeover_conformance : public store_conformance {};
class update_conformance : public store_conformance {};
class node_conformance : public store_conformance {};
class admin_conformance : public store_conformance {};
class concurrency_conformance : public store_conformance {
 protected:
  void serve_all(int nodes, const std::function<std::string(int)>& name, bool knows_cursors);
};

}  // namespace rowcall::conformance

/// Runs everything on one kind of store. At namespace rowcall::conformance.
#define ROWCALL_STORE_CONFORMANCE(name, factory)                                                 \
  INSTANTIATE_TEST_SUITE_P(name, submit_conformance, ::testing::Values(backend_factory{factory}));      \
  INSTANTIATE_TEST_SUITE_P(name, admission_conformance, ::testing::Values(backend_factory{factory}));   \
  INSTANTIATE_TEST_SUITE_P(name, claim_conformance, ::testing::Values(backend_factory{factory}));       \
  INSTANTIATE_TEST_SUITE_P(name, commit_conformance, ::testing::Values(backend_factory{factory}));      \
  INSTANTIATE_TEST_SUITE_P(name, hint_conformance, ::testing::Values(backend_factory{factory}));        \
  INSTANTIATE_TEST_SUITE_P(name, takeover_conformance, ::testing::Values(backend_factory{factory}));    \
  INSTANTIATE_TEST_SUITE_P(name, update_conformance, ::testing::Values(backend_factory{factory}));      \
  INSTANTIATE_TEST_SUITE_P(name, node_conformance, ::testing::Values(backend_factory{factory}));        \
  INSTANTIATE_TEST_SUITE_P(name, admin_conformance, ::testing::Values(backend_factory{factory}));       \
  INSTANTIATE_TEST_SUITE_P(name, concurrency_conformance, ::testing::Values(backend_factory{factory}))
