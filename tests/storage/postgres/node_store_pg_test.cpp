#include <set>

#include "tests/storage/postgres/postgres_test.hpp"
#include "tests/support/eventually.hpp"

namespace rowcall::storage::postgres {
namespace {

class sweep_test : public postgres_test {
 protected:
  std::set<std::string> sweep(node_store& store) {
    std::set<std::string> out;
    must(store.sweep({"echo"}, [&](std::span<const pending_session> found) {
      for (const auto& p : found) out.insert(p.session.str());
      return true;
    }));
    return out;
  }
  void submit(const std::string& session) { sql_.query("SELECT rowcall.submit('" + session + "', 'say', '{}')"); }
  void process(const std::string& session) {
    sql_.query("INSERT INTO rowcall.update_log (session_id, seq, command_seq, type, data)"
               " SELECT '" + session + "', max(seq), max(seq), 'said', '{}' FROM rowcall.command_log WHERE session_id = '" + session + "'");
  }
  using names = std::set<std::string>;
};

TEST_F(sweep_test, finds_again_what_is_still_pending_and_only_that) {
  auto store = make_node_store(config());
  for (const auto* s : {"echo-a", "echo-b", "chat-c"}) submit(s);
  EXPECT_EQ(sweep(*store), (names{"echo-a", "echo-b"}));
  process("echo-a");
  EXPECT_EQ(sweep(*store), (names{"echo-b"}));
  process("echo-b");
  EXPECT_EQ(sweep(*store), (names{}));
  submit("echo-a");
  EXPECT_EQ(sweep(*store), (names{"echo-a"}));
}

TEST_F(sweep_test, a_submit_that_was_open_during_a_sweep_is_found_by_a_later_one) {
  auto store = make_node_store(config());
  support::sql_connection open(database_.url());
  open.query("BEGIN");
  open.query("SELECT rowcall.submit('echo-late', 'say', '{}')");
  submit("echo-a");  // a younger transaction, committed first
  EXPECT_EQ(sweep(*store), (names{"echo-a"}));
  process("echo-a");
  EXPECT_EQ(sweep(*store), (names{}));
  submit("echo-b");
  EXPECT_EQ(sweep(*store), (names{"echo-b"}));
  open.query("COMMIT");
  EXPECT_EQ(sweep(*store), (names{"echo-b", "echo-late"}));
}

TEST_F(sweep_test, after_a_lost_connection_it_trusts_only_what_is_on_the_disk) {
  auto store = make_node_store(config());
  submit("echo-a");
  EXPECT_EQ(sweep(*store), (names{"echo-a"}));
  // As if the server had crashed, and lost the transaction whose number this one has got now.
  submit("echo-b");
  sql_.query("UPDATE rowcall.command_log b SET xid = a.xid FROM rowcall.command_log a"
             " WHERE a.session_id = 'echo-a' AND b.session_id = 'echo-b'");
  EXPECT_EQ(sweep(*store), (names{"echo-a"}));
  sql_.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()");
  EXPECT_FALSE(store->sweep({"echo"}, [](auto) { return true; }));
  EXPECT_EQ(sweep(*store), (names{"echo-a", "echo-b"}));
}

TEST_F(sweep_test, a_held_session_is_found_when_its_retry_is_due) {
  auto store = make_node_store(config());
  submit("echo-a");
  sql_.query("INSERT INTO rowcall.retries (session_id, command_seq, next_at, attempts) VALUES ('echo-a', 1, now() + interval '1 hour', 1)");
  EXPECT_EQ(sweep(*store), (names{}));
  EXPECT_EQ(sweep(*store), (names{}));
  sql_.query("UPDATE rowcall.retries SET next_at = now()");
  EXPECT_EQ(sweep(*store), (names{"echo-a"}));
}

TEST_F(sweep_test, ended_early_it_loses_nothing) {
  auto store = make_node_store(config());
  sql_.query("INSERT INTO rowcall.commands (session_id, type, data) SELECT 'echo-' || n, 'say', '{}' FROM generate_series(1, 3000) n");
  std::size_t calls = 0;
  must(store->sweep({"echo"}, [&](auto) { return ++calls, false; }));
  EXPECT_EQ(calls, 1u);
  EXPECT_EQ(sweep(*store).size(), 3000u);
}

TEST_F(sweep_test, a_new_node_starts_from_the_mark_and_the_mark_never_passes_a_pending_command) {
  auto store = make_node_store(config());
  submit("echo-a");
  submit("echo-b");
  process("echo-b");
  // Transactions of other databases on this server, other tests', hold the mark back for as long as they are open.
  auto mark_comes_to = [&](const std::string& condition) {
    return support::eventually(std::chrono::seconds{20}, [&] {
      sql_.query("UPDATE rowcall.sweep_watermark SET moved_at = moved_at - interval '1 minute'");
      sweep(*store);
      EXPECT_EQ(sql_.value("SELECT xid > (SELECT min(xid) FROM rowcall.commands JOIN rowcall.command_log USING (session_id, seq) "
                           "WHERE status = 'pending') FROM rowcall.sweep_watermark") == "t", false);
      return sql_.value("SELECT " + condition + " FROM rowcall.sweep_watermark") == "t";
    });
  };
  EXPECT_TRUE(mark_comes_to("xid = (SELECT xid FROM rowcall.command_log WHERE session_id = 'echo-a')"));
  EXPECT_EQ(sweep(*make_node_store(config())), (names{"echo-a"}));
  process("echo-a");
  EXPECT_TRUE(mark_comes_to("xid > (SELECT max(xid) FROM rowcall.command_log)"));
}

TEST_F(sweep_test, a_mark_from_another_cluster_is_not_believed) {
  sql_.query("UPDATE rowcall.sweep_watermark SET xid = 1000000000000");
  submit("echo-a");
  EXPECT_EQ(sweep(*make_node_store(config())), (names{"echo-a"}));
  EXPECT_EQ(sql_.value("SELECT xid < 1000000000000 FROM rowcall.sweep_watermark"), "t");
}

TEST_F(sweep_test, a_node_that_dies_is_noticed_at_once_and_one_that_lives_is_not_suspected) {
  auto nodes = make_node_store(config());
  must(nodes->join("n1", {"echo"}));
  submit("echo-a");
  auto store = make_turn_store(config(), "n1");
  must(store->claim({{ask(id("echo-a"))}}));
  must(store->commit({}));
  auto peer = make_turn_store(config(), "n2");
  EXPECT_EQ(must(peer->claim({{ask(id("echo-a"))}})).sessions[0].image->careful_until.value, 0) << "n1 lives";
  peer->abandon();
  nodes.reset();  // its connection ends without a leave
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{10};
  while (sql_.value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = 1919120225") != "0")
    ASSERT_LT(std::chrono::steady_clock::now(), deadline);
  EXPECT_EQ(must(peer->claim({{ask(id("echo-a"))}})).sessions[0].image->careful_until.value, 1);
  must(peer->commit({}));
}

class live_nodes_test : public postgres_test {
 protected:
  live_nodes_test() {
    must(a_->join("n1", {"echo"}));
    must(b_->join("n2", {"echo"}));
  }
  std::size_t seen_by_a() { return must(a_->heartbeat("n1", {}, std::chrono::minutes{5})).size(); }
  void end_connections_of(const std::string& node) {
    sql_.query("SELECT pg_terminate_backend(l.pid) FROM pg_locks l WHERE l.locktype = 'advisory' AND l.database = "
               "(SELECT oid FROM pg_database WHERE datname = current_database()) AND l.classid = 1919120225 "
               "AND l.objid::bigint = (hashtext('" + node + "')::bigint & 4294967295)");
    ASSERT_TRUE(support::eventually(std::chrono::seconds{10}, [&] {
      return sql_.value("SELECT count(*) FROM pg_locks l WHERE l.locktype = 'advisory' AND l.database = "
                        "(SELECT oid FROM pg_database WHERE datname = current_database()) AND l.classid = 1919120225 "
                        "AND l.objid::bigint = (hashtext('" + node + "')::bigint & 4294967295)") == "0";
    }));
  }
  std::unique_ptr<node_store> a_ = make_node_store(config()), b_ = make_node_store(config());
};

TEST_F(live_nodes_test, a_node_that_makes_a_new_connection_at_once_is_not_taken_for_dead) {
  for (int i = 0; i < 4; ++i) EXPECT_EQ(seen_by_a(), 2u);
  for (int i = 0; i < 3; ++i) {
    end_connections_of("n2");
    EXPECT_EQ(seen_by_a(), 2u);
    ASSERT_FALSE(b_->heartbeat("n2", {}, std::chrono::minutes{5}));  // notices
    must(b_->heartbeat("n2", {}, std::chrono::minutes{5}));
    EXPECT_EQ(seen_by_a(), 2u);
  }
  end_connections_of("n2");
  EXPECT_EQ(seen_by_a(), 2u);
  EXPECT_EQ(seen_by_a(), 1u);
}

TEST_F(live_nodes_test, a_node_that_was_cut_off_itself_waits_before_it_takes_others_for_dead) {
  for (int i = 0; i < 4; ++i) EXPECT_EQ(seen_by_a(), 2u);
  end_connections_of("n1");
  end_connections_of("n2");
  ASSERT_FALSE(a_->heartbeat("n1", {}, std::chrono::minutes{5}));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(seen_by_a(), 2u);
  EXPECT_EQ(seen_by_a(), 1u);
}

TEST_F(live_nodes_test, those_that_ended_long_ago_are_forgotten_with_the_next_boot) {
  sql_.query(
      "INSERT INTO rowcall.nodes (node, heartbeat_at, stopped_at) SELECT 'stopped-' || n, now() - n * interval '1 h', "
      "now() - n * interval '1 h' FROM unnest('{1,30}'::int[]) n;"
      "INSERT INTO rowcall.nodes (node, heartbeat_at) SELECT 'killed-' || n, now() - n * interval '1 h' FROM "
      "unnest('{0,3,30,40}'::int[]) n;"
      "UPDATE rowcall.shards SET owner = 'killed-40' WHERE shard = 5");
  must(a_->join("n1", {"echo"}));
  EXPECT_EQ(sql_.value("SELECT string_agg(node, ' ' ORDER BY node) FROM rowcall.nodes"),
            "killed-0 killed-3 killed-40 n1 n2 stopped-1")
      << "but not one that a claim will ask for";
  sql_.query(
      "INSERT INTO rowcall.nodes (node, heartbeat_at, stopped_at) SELECT 'loop-' || n, now() - n * interval '1 s', "
      "now() FROM generate_series(1, 1500) n");
  must(a_->join("n1", {"echo"}));
  EXPECT_EQ(
      sql_.value("SELECT count(*) || ' ' || max(substr(node, 6)::int) FROM rowcall.nodes WHERE node LIKE 'loop-%'"),
      "1000 1000");
}

TEST_F(live_nodes_test, a_turn_of_a_node_that_was_stopped_while_it_copied_rows_is_ended) {
  auto config = this->config();
  config.transaction_timeout = std::chrono::milliseconds{200};
  auto looker = make_node_store(config);
  must(looker->join("n3", {"echo"}));
  support::sql_connection stopped(database_.url());
  stopped.query("SET statement_timeout = 100; SET idle_in_transaction_session_timeout = 100; BEGIN; "
                "SELECT FROM rowcall.shards WHERE shard = 1 FOR NO KEY UPDATE");
  EXPECT_ANY_THROW(stopped.query("COPY rowcall.update_log (session_id, seq, command_seq, type, data) FROM STDIN"));
  const auto is_there = [&] {
    return sql_.value("SELECT count(*) FROM pg_stat_activity WHERE pid = " + std::to_string(stopped.backend_pid())) == "1";
  };
  // Neither of its own timeouts ends it, and as long as every node is heard of nobody looks.
  ASSERT_TRUE(support::eventually(std::chrono::seconds{10}, [&] {
    must(looker->heartbeat("n3", {}, std::chrono::minutes{5}));
    return sql_.value("SELECT clock_timestamp() - query_start > interval '300 ms' FROM pg_stat_activity WHERE pid = " +
                      std::to_string(stopped.backend_pid())) == "t";
  }));
  EXPECT_TRUE(is_there());
  sql_.query(
      "INSERT INTO rowcall.nodes (node, heartbeat_at) VALUES ('killed', clock_timestamp() - interval '10 minutes')");
  must(looker->heartbeat("n3", {}, std::chrono::minutes{5}));
  EXPECT_TRUE(is_there()) << "the silent one has no connection any more: it is somebody else's turn";
  sql_.query("UPDATE rowcall.nodes SET heartbeat_at = clock_timestamp() - interval '10 minutes' WHERE node = 'n2'");
  must(a_->heartbeat("n1", {}, std::chrono::minutes{5}));
  EXPECT_TRUE(is_there()) << "by the bound of this one it may go on";
  EXPECT_TRUE(support::eventually(std::chrono::seconds{10}, [&] {
    must(looker->heartbeat("n3", {}, std::chrono::minutes{5}));
    return !is_there();
  }));
}

}  // namespace
}  // namespace rowcall::storage::postgres
