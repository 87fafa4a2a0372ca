#include <gtest/gtest.h>

#include "storage/memory/inspect.hpp"
#include "storage/memory/memory_stores.hpp"

/// What only the in-memory stores have: the server's side. What they share with PostgreSQL: tests/conformance.
namespace rowcall::storage::memory {
namespace {

using namespace engine;
using std::chrono::milliseconds;

class hand_clock final : public engine::clock {
 public:
  time_point now() const override { return now_; }
  void pass(milliseconds time) { now_ += time; }

 private:
  time_point now_{};
};

class memory_stores : public ::testing::Test {
 protected:
  memory_stores() {
    const auto nodes = make_node_store(db_);
    EXPECT_TRUE(nodes->join("n0", {"echo", "chat"}));
    EXPECT_TRUE(nodes->leave("n0"));
    const std::vector batch{command_request{session_, "say", R"({"n":1})", "key"}, {session_, "say", R"({"n":2})", {}}};
    EXPECT_TRUE(make_command_store(db_)->submit(batch));
  }
  turn_request request() const {
    return {{{session_, shard_of(session_, shard_count_default), std::nullopt, true}}, {}};
  }
  session_writes first_update() const { return {session_, {}, {{1}, {1}}, {{{1}, {1}, "said", R"({"n":1})"}}}; }
  claim_status look() {
    const auto store = make_turn_store(db_, "looker");
    return store->claim(request())->sessions.at(0).status;
  }

  std::shared_ptr<hand_clock> clock_ = std::make_shared<hand_clock>();
  std::shared_ptr<database> db_ = make_database(clock_);
  session_id session_ = *session_id::parse("chat-a");
};

TEST_F(memory_stores, open_turns_of_one_node_can_be_dropped) {
  const auto a = make_turn_store(db_, "n1"), b = make_turn_store(db_, "n2");
  ASSERT_TRUE(a->claim(request()));
  ASSERT_TRUE(b->claim({}));
  EXPECT_EQ(open_turns(*db_), 2u);
  EXPECT_EQ(drop_open_turns(*db_, "n1"), 1u);
  EXPECT_EQ(open_turns(*db_), 1u);
  EXPECT_EQ(look(), claim_status::claimed);
  const auto writes = first_update();
  const auto committed = a->commit({&writes, 1});
  ASSERT_FALSE(committed);
  EXPECT_EQ(committed.error().code, errc::connection_lost);
  EXPECT_TRUE(b->commit({}));
  EXPECT_TRUE(dump(*db_).sessions.at(0).updates.empty());
}

TEST_F(memory_stores, a_turn_that_stays_open_too_long_is_dropped) {
  set_turn_timeout(*db_, milliseconds{100});
  const auto a = make_turn_store(db_, "n1");
  ASSERT_TRUE(a->claim(request()));
  clock_->pass(milliseconds{100});
  EXPECT_EQ(look(), claim_status::skipped);
  clock_->pass(milliseconds{1});
  EXPECT_EQ(look(), claim_status::claimed);
  const auto committed = a->commit({});
  ASSERT_FALSE(committed);
  EXPECT_EQ(committed.error().code, errc::connection_lost);
  EXPECT_TRUE(a->claim(request()));
}

TEST_F(memory_stores, the_timeout_holds_without_anybody_looking) {
  const auto a = make_turn_store(db_, "n1");
  ASSERT_TRUE(a->claim(request()));
  clock_->pass(milliseconds{5'001});
  EXPECT_FALSE(a->commit({}));
}

TEST_F(memory_stores, the_dump_shows_all_that_is_committed) {
  declare_table(*db_, "counters", {"name"});
  const auto a = make_turn_store(db_, "n1");
  ASSERT_TRUE(a->claim(request()));
  auto writes = first_update();
  writes.rows.push_back({"counters", {"name", "value"}, {"b", "1"}});
  writes.rows.push_back({"counters", {"name", "value"}, {"a", std::nullopt}});
  writes.snapshot = snapshot_row{{1}, {1}, "{}"};
  writes.retry = session_writes::retry_change::put;
  writes.retry_put = retry_row{{2}, 1, "failed", "", milliseconds{50}};
  writes.dead_letters.push_back({{{1}, "say", "{}"}, "bad", 1});
  ASSERT_TRUE(a->commit({&writes, 1}));
  clock_->pass(milliseconds{20});

  const auto d = dump(*db_);
  ASSERT_EQ(d.sessions.size(), 1u);
  const auto& s = d.sessions[0];
  EXPECT_EQ(s.session, session_);
  ASSERT_EQ(s.commands.size(), 2u);
  EXPECT_EQ(s.commands[0].idempotency_key, "key");
  EXPECT_EQ(s.commands[1].row.data, R"({"n":2})");
  ASSERT_EQ(s.updates.size(), 1u);
  ASSERT_EQ(s.snapshots.size(), 1u);
  ASSERT_TRUE(s.retry);
  EXPECT_EQ(s.retry->wait, milliseconds{30});
  EXPECT_EQ(d.dead_letters.size(), 1u);
  const std::vector<domain_record> rows{{{"name", "a"}, {"value", std::nullopt}}, {{"name", "b"}, {"value", "1"}}};
  EXPECT_EQ(d.tables.at("counters"), rows);
  ASSERT_EQ(d.shards.size(), 1u);
  EXPECT_EQ(d.shards[0].owner, "n1");
  EXPECT_EQ(d.shards[0].epoch, 1);
  EXPECT_FALSE(d.shards[0].is_suspect);
  EXPECT_FALSE(d.shards[0].is_locked);
}

TEST_F(memory_stores, a_commit_without_a_turn_ends_the_program) {
  const auto a = make_turn_store(db_, "n1");
  EXPECT_DEATH((void)a->commit({}), "assertion failed");
}

}  // namespace
}  // namespace rowcall::storage::memory
