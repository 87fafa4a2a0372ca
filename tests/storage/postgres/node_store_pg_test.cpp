#include <set>

#include "tests/storage/postgres/postgres_test.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/private_postgres.hpp"

namespace rowcall::storage::postgres {
namespace {

template <class Base>
class sweeping : public Base {
 protected:
  std::set<std::string> sweep(node_store& store) {
    std::set<std::string> out;
    must(store.sweep({"echo"}, [&](std::span<const pending_session> found) {
      for (const auto& p : found) out.insert(p.session.str());
      return true;
    }));
    return out;
  }
  void submit(const std::string& session) { this->sql_.query("SELECT rowcall.submit('" + session + "', 'say', '{}')"); }
  void process(const std::string& session) {
    this->sql_.query("INSERT INTO rowcall.update_log (session_id, seq, command_seq, type, data)"
               " SELECT '" + session + "', max(seq), max(seq), 'said', '{}' FROM rowcall.command_log WHERE session_id = '" + session + "'");
  }
  using names = std::set<std::string>;
};

using sweep_test = sweeping<postgres_test>;

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
  end_other_connections();
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

/// Open transactions hold the mark, also those of other databases on the server: it has to be one of its own.
class private_postgres_test : public ::testing::Test {
 protected:
  private_postgres_test() { sql_.query("INSERT INTO rowcall.kinds (kind) VALUES ('echo'), ('chat')"); }
  store_config config() const {
    store_config c;
    c.url = server_.url();
    return c;
  }
  support::private_postgres server_;
  support::sql_connection sql_{(support::migrate(server_.url()), server_.url())};
};

class mark_test : public sweeping<private_postgres_test> {
 protected:
  void make_due() { sql_.query("UPDATE rowcall.sweep_watermark SET moved_at = moved_at - interval '1 minute'"); }
  /// No command below the mark is pending, unless its session is kept.
  void expect_nothing_hidden() {
    EXPECT_EQ(sql_.value("SELECT count(*) FROM rowcall.commands p JOIN rowcall.command_log c USING (session_id, seq)"
                         " WHERE p.status <> 'processed' AND c.xid < (SELECT settled_xid FROM rowcall.sweep_watermark)"
                         " AND session_id NOT IN (SELECT session_id FROM rowcall.sweep_leftovers)"),
              "0");
  }
  /// Autovacuum has transactions too.
  bool mark_comes_to(node_store& store, const std::string& condition) {
    return support::eventually(std::chrono::seconds{20}, [&] {
      make_due();
      sweep(store);
      expect_nothing_hidden();
      return sql_.value("SELECT " + condition + " FROM rowcall.sweep_watermark") == "t";
    });
  }
  std::string leftovers() {
    return sql_.value("SELECT coalesce(string_agg(session_id, ' '), '') FROM rowcall.sweep_leftovers");
  }
  static constexpr auto above_all = "settled_xid > (SELECT max(xid) FROM rowcall.command_log)";
};

TEST_F(mark_test, it_moves_as_far_as_all_is_processed) {
  auto store = make_node_store(config());
  submit("echo-a");
  process("echo-a");
  submit("echo-b");
  make_due();
  sweep(*store);
  expect_nothing_hidden();
  EXPECT_EQ(leftovers(), "") << "what is merely under way is not written down";
  EXPECT_EQ(sweep(*make_node_store(config())), (names{"echo-b"}));
  process("echo-b");
  EXPECT_TRUE(mark_comes_to(*store, above_all));
  EXPECT_EQ(leftovers(), "");
}

TEST_F(mark_test, it_passes_what_waits_for_long_and_a_new_node_finds_that_all_the_same) {
  auto store = make_node_store(config());
  submit("echo-a");
  submit("chat-nobody");  // serves it
  submit("echo-held");
  sql_.query(
      "INSERT INTO rowcall.retries (session_id, command_seq, next_at, attempts) VALUES ('echo-held', 1, now() + "
      "interval '1 hour', 1)");
  EXPECT_TRUE(mark_comes_to(*store, above_all));
  EXPECT_EQ(sql_.value("SELECT count(*) FROM rowcall.sweep_leftovers"), "3");
  EXPECT_EQ(sql_.value("SELECT sum(recent) FROM rowcall.pending_sessions(1000)"), "0")
      << "which reads nothing of the history";
  EXPECT_EQ(sql_.value("SELECT sum(pending) FROM rowcall.pending_sessions(1000)"), "3");

  auto other = make_node_store(config());
  EXPECT_EQ(sweep(*other), (names{"echo-a"}));
  sql_.query("DELETE FROM rowcall.retries");
  EXPECT_EQ(sweep(*other), (names{"echo-a", "echo-held"}));
  process("echo-a");
  process("chat-nobody");
  EXPECT_TRUE(mark_comes_to(*other, "(SELECT count(*) = 1 FROM rowcall.sweep_leftovers)"))
      << "what is done is forgotten";
  EXPECT_EQ(leftovers(), "echo-held");
  EXPECT_EQ(sweep(*store), (names{"echo-held"}));
  process("echo-held");
  EXPECT_TRUE(mark_comes_to(*store, "NOT EXISTS (SELECT FROM rowcall.sweep_leftovers)"));
}

TEST_F(mark_test, it_does_not_pass_a_command_of_a_session_that_another_node_has_just_forgotten) {
  // More sessions than one sweep looks at again: it has not seen that echo-z was done when its next command comes.
  sql_.query(
      "INSERT INTO rowcall.commands (session_id, type, data) SELECT 'echo-' || n, 'say', '{}' FROM generate_series(1, "
      "20000) n");
  submit("echo-z");
  sql_.query("INSERT INTO rowcall.sweep_leftovers (session_id) SELECT session_id FROM rowcall.sessions");
  auto store = make_node_store(config());
  EXPECT_EQ(sweep(*store).size(), 20'001u);
  process("echo-z");
  make_due();
  EXPECT_EQ(sql_.value("SELECT rowcall.sweep_settle(0, '{}', 'echo-y')"), "");
  EXPECT_EQ(sql_.value("SELECT count(*) FROM rowcall.sweep_leftovers"), "20000");
  submit("echo-z");
  make_due();
  EXPECT_TRUE(sweep(*store).contains("echo-z"));
  EXPECT_TRUE(sweep(*make_node_store(config())).contains("echo-z"));
}

TEST_F(mark_test, it_moves_once_in_a_while_whoever_sweeps) {
  make_due();
  EXPECT_EQ(sql_.value("SELECT rowcall.sweep_settle(7, '{}', '')"), "");
  EXPECT_EQ(sql_.value("SELECT rowcall.sweep_settle(8, '{echo-a}', '') IS NULL"), "t");
  make_due();
  EXPECT_EQ(sql_.value("SELECT rowcall.sweep_settle(5, '{}', '')"), "");
  EXPECT_EQ(sql_.value("SELECT settled_xid FROM rowcall.sweep_watermark"), "7") << "never back";
  EXPECT_EQ(leftovers(), "");
}

TEST_F(mark_test, one_from_another_cluster_is_not_believed) {
  sql_.query("UPDATE rowcall.sweep_watermark SET settled_xid = 1000000000000");
  submit("echo-a");
  EXPECT_EQ(sweep(*make_node_store(config())), (names{"echo-a"}));
  EXPECT_EQ(sql_.value("SELECT settled_xid < 1000000000000 FROM rowcall.sweep_watermark"), "t");
}

class pending_sessions_test : public sweep_test {
 protected:
  std::string pending(int rows_max) {
    return sql_.value(
        "SELECT string_agg(session_id || ' ' || recent || ' ' || pending || ' ' || (since IS NOT NULL), ', ' ORDER BY "
        "session_id)"
        " || CASE WHEN bool_and(is_all) THEN '' ELSE ' ...' END FROM rowcall.pending_sessions(" +
        std::to_string(rows_max) + ")");
  }
};

TEST_F(pending_sessions_test, a_session_counts_with_all_that_it_has_pending_wherever_that_lies) {
  for (int i = 0; i < 3; ++i) submit("echo-old");
  sql_.query(
      "UPDATE rowcall.sweep_watermark SET settled_xid = (SELECT max(xid) + 1 FROM rowcall.command_log);"
      "INSERT INTO rowcall.sweep_leftovers (session_id) VALUES ('echo-old')");
  submit("echo-done");
  process("echo-done");
  submit("echo-new");
  submit("echo-new");
  submit("echo-old");
  EXPECT_EQ(pending(10), "echo-done 1 0 false, echo-new 2 2 true, echo-old 1 4 true");
}

TEST_F(pending_sessions_test, what_lies_beyond_the_rows_that_are_read_counts_for_the_sessions_that_are_among_them) {
  submit("echo-done");
  process("echo-done");
  for (int i = 0; i < 20; ++i) submit("echo-a");
  submit("echo-z");
  EXPECT_EQ(pending(10), "echo-a 10 20 true, echo-done 1 0 false ...");
  EXPECT_EQ(pending(22), "echo-a 20 20 true, echo-done 1 0 false, echo-z 1 1 true");
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

using node_name_test = postgres_test;

TEST_F(node_name_test, of_two_that_start_at_once_one_has_it) {
  sql_.query("SELECT pg_advisory_lock(1919120225, hashtext('n1'))");  // the other one, which has not joined yet
  const auto store = make_node_store(config());
  const auto refused = store->join("n1", {"echo"});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, errc::busy);
  EXPECT_THAT(refused.error().message, ::testing::HasSubstr("process " + std::to_string(sql_.backend_pid())));
  EXPECT_EQ(sql_.value("SELECT count(*) FROM rowcall.nodes"), "0");
}

TEST_F(node_name_test, a_peer_that_looks_whether_the_node_lives_does_not_keep_it_from_joining) {
  sql_.query("BEGIN; SELECT pg_advisory_xact_lock_shared(1919120225, hashtext('n1'))");
  const auto store = make_node_store(config());
  must(store->join("n1", {"echo"}));
  sql_.query("COMMIT");
  must(store->heartbeat("n1", {}, std::chrono::minutes{1}));
  EXPECT_EQ(sql_.value("SELECT rowcall.node_is_connected('n1')"), "t") << "the next heartbeat gets the lock";
}

using lost_connection_test = postgres_test;

TEST_F(lost_connection_test, is_told_in_plain_words) {
  const auto store = make_node_store(config());
  const auto swept = store->sweep({"echo"}, [&](auto) {
    end_other_connections();
    return true;
  });
  ASSERT_FALSE(swept);
  EXPECT_EQ(swept.error().code, errc::connection_lost);
  EXPECT_EQ(swept.error().message, "the connection to PostgreSQL was lost");
  must(store->join("n1", {"echo"}));
  end_other_connections();
  const auto left = store->leave("n1");
  ASSERT_FALSE(left);
  EXPECT_EQ(left.error().code, errc::commit_in_doubt);
  EXPECT_EQ(left.error().message, "the connection to PostgreSQL was lost during COMMIT");
}

}  // namespace
}  // namespace rowcall::storage::postgres
