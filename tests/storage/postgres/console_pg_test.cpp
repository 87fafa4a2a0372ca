#include <algorithm>
#include <functional>
#include <iostream>
#include <set>

#include "storage/postgres/internal/sql.hpp"
#include "tests/storage/postgres/postgres_test.hpp"
#include "tests/support/eventually.hpp"

namespace rowcall::storage::postgres {
namespace {

/// What the console asks costs the same whatever the logs hold: each query's pages (of 8 KiB, read or found in the
/// cache) are counted on logs of ten million rows. `docs/console.md` has the figures of a run.
class console_cost_test : public postgres_test {
 protected:
  static constexpr int rows_of_each_log = 5'000'000, sessions = 5'000;

  /// Without what would only make filling slow: no WAL, keys and checks afterwards or not at all. Both logs at a time.
  void fill() {
    sql_.query(
        "ALTER TABLE rowcall.command_log SET UNLOGGED; ALTER TABLE rowcall.update_log SET UNLOGGED;"
        "ALTER TABLE rowcall.command_log DROP CONSTRAINT command_log_pk, DROP CONSTRAINT command_log_type_format,"
        " DROP CONSTRAINT command_log_data_is_object, DROP CONSTRAINT command_log_key_length, DROP CONSTRAINT "
        "command_log_seq_positive;"
        "ALTER TABLE rowcall.update_log DROP CONSTRAINT update_log_pk, DROP CONSTRAINT update_log_type_length,"
        " DROP CONSTRAINT update_log_data_is_object, DROP CONSTRAINT update_log_seq_positive;"
        "DROP INDEX rowcall.command_log_xid");
    const auto n = std::to_string(rows_of_each_log), s = std::to_string(sessions);
    // A hundred commands in each transaction, the last one just now.
    const auto xid = sql_.value("SELECT pg_current_xact_id()::text::bigint");
    std::thread updates{[&] {
      support::sql_connection other{database_.url()};
      other.query(
          "SET maintenance_work_mem = '512MB';"
          "INSERT INTO rowcall.update_log (seq, command_seq, session_id, type, data) SELECT n / " +
          s + " + 1, n / " + s + " + 1, 'echo-' || n % " + s + ", 'said', '{}' FROM generate_series(0, " + n +
          " - 1) n;"
          "ALTER TABLE rowcall.update_log ADD CONSTRAINT update_log_pk PRIMARY KEY (session_id, seq)");
    }};
    sql_.query(
        "SET maintenance_work_mem = '512MB';"
        "INSERT INTO rowcall.command_log (seq, xid, session_id, type, data) SELECT n / " +
        s + " + 1, " + xid + " - (" + n + " - 1 - n) / 100, 'echo-' || n % " + s +
        ", 'say', '{}' FROM generate_series(0, " + n +
        " - 1) n;"
        "ALTER TABLE rowcall.command_log ADD CONSTRAINT command_log_pk PRIMARY KEY (session_id, seq);"
        "CREATE INDEX command_log_xid ON rowcall.command_log USING brin (xid) WITH (pages_per_range = 16, "
        "autosummarize = on)");
    updates.join();
    sql_.query(
        "INSERT INTO rowcall.sessions (session_id) SELECT 'echo-' || n FROM generate_series(0, " + s +
        " - 1) n;"
        "INSERT INTO rowcall.snapshots (session_id, seq, command_seq, state) SELECT 'echo-' || n, 500, 500, '{}' FROM "
        "generate_series(0, " +
        s +
        " - 1) n;"
        "INSERT INTO rowcall.retries (session_id, command_seq, next_at, attempts) SELECT 'echo-' || n, 1000, now(), 2 "
        "FROM generate_series(0, 999) n;"
        "INSERT INTO rowcall.dead_letters (session_id, command_seq, failed_at, attempts, type, error, data, resolution)"
        " SELECT 'echo-' || n * 7919 % " +
        s +
        ", n, now() - n * interval '1 s', 3, 'say', 'broken', '{}', CASE WHEN n > 20000 THEN 'dropped' END"
        " FROM generate_series(1, 100000) n");
    xid_ = std::stoll(xid);
  }

  void mark(std::int64_t xid) { sql_.query("UPDATE rowcall.sweep_watermark SET settled_xid = " + std::to_string(xid)); }

  /// Pages that a query touches, under the settings of the store's connections.
  std::int64_t pages(const std::string& name, const std::string& arguments) {
    if (prepared_.insert(name).second) {
      if (prepared_.size() == 1)
        sql_.query(
            "SET jit = off; SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET enable_bitmapscan "
            "= on;"
            "SET max_parallel_workers_per_gather = 0");
      for (const auto& q : internal::queries())
        if (q.name == name) sql_.query("PREPARE " + name + " AS " + std::string{q.sql});
    }
    for (const auto& row :
         sql_.query("EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, COSTS OFF) EXECUTE " + name + "(" + arguments + ")")) {
      const auto& line = row[0];
      if (line.find("Buffers: shared") == line.npos) continue;
      std::int64_t sum = 0;
      for (const std::string word : {"hit=", "read="})
        if (const auto at = line.find(word); at != line.npos) sum += std::stoll(line.substr(at + word.size()));
      std::cout << "  " << name << "(" << arguments << "): " << sum << " pages\n";
      return sum;
    }
    return 0;
  }

  std::int64_t xid_ = 0;
  std::set<std::string> prepared_;
};

TEST_F(console_cost_test, what_the_console_asks_reads_the_same_little_of_ten_million_rows) {
  fill();
  const auto total = std::stoll(sql_.value(
      "SELECT sum(pg_relation_size(c)) / 8192 FROM unnest('{rowcall.command_log,rowcall.update_log}'::regclass[]) c"));
  std::cout << "  the logs: " << 2 * rows_of_each_log << " rows, " << total << " pages\n";
  ASSERT_GT(total, 80'000);

  // All is processed; then the sweep's mark stands at the beginning, as behind a transaction that stays open.
  for (const auto watermark : {xid_ - 50, std::int64_t{-1'000'000}}) {
    mark(watermark);
    EXPECT_LE(pages("console_counts", "10000"), 45'000) << "10,000 rows, an index descent for each session";
    EXPECT_LE(pages("console_stuck", "10000, 20"), 50'000);
  }
  EXPECT_LE(pages("console_nodes", "5000"), 50);
  EXPECT_LE(pages("console_hottest", std::to_string(xid_ - 90) + ", 10000, 20"), 1'500);
  EXPECT_LE(pages("console_hottest", "-1000000, 10000, 20"), 1'500) << "a window that is far too long";
  EXPECT_LE(pages("console_session", "'echo-7'"), 100);
  EXPECT_LE(pages("console_updates_after", "'echo-7', 400, 201, 4096"), 450);
  EXPECT_LE(pages("console_updates_before", "'echo-7', 400, 201, 4096"), 450);
  EXPECT_LE(pages("console_commands", "'echo-7', 400, 251, 4096"), 550);
  EXPECT_LE(pages("console_snapshot", "'echo-7', 700"), 10);
  EXPECT_LE(pages("update_after", "'echo-7', 500, 256"), 600) << "a fold from the snapshot on";
  EXPECT_LE(pages("console_retries", "'', '', 201"), 1'500);
  EXPECT_LE(pages("console_letters", "false, 9000000000000000, '~', 1, '', '', '', 5000, 200"), 6'500);
  EXPECT_LE(pages("console_letters", "true, 9000000000000000, '~', 1, '', '', 'fits none', 5000, 200"), 6'500);
  EXPECT_LE(pages("console_letter", "'echo-7919', 1"), 10);

  // The stores themselves, with the settings of their connections: nothing is read from end to end.
  const auto scanned = [&] {
    return std::stoll(sql_.value(
        "SELECT sum(seq_tup_read)::bigint FROM pg_stat_user_tables WHERE relname IN ('command_log', 'update_log')"));
  };
  const auto probed = [&] {
    return std::stoll(sql_.value("SELECT idx_scan FROM pg_stat_user_tables WHERE relname = 'update_log'"));
  };
  mark(xid_ - 50);
  const auto before = scanned();
  const auto probed_before = probed();
  {
    const auto console = make_console_store(config());
    EXPECT_EQ(must(console->overview()).pending_commands, 0);
    must(console->hottest(xid_ - 90, 20));
    EXPECT_GT(must(console->stuck(20)).sessions.size(), 0u) << "those that a failure holds, wherever the mark is";
    const auto admin = make_admin_store(config());
    EXPECT_EQ(must(admin->status()).pending_commands, 0);
    must(make_session_ranking(config())->busiest(20));
  }
  // What a server process has counted is there for all when it ends.
  ASSERT_TRUE(support::eventually(std::chrono::seconds{20}, [&] { return probed() > probed_before + 10'000; }));
  EXPECT_EQ(scanned(), before);
}

class console_store_test : public postgres_test {
 protected:
  std::unique_ptr<engine::console_store> store_ = make_console_store(config());
};

TEST_F(console_store_test, what_a_node_tells_with_its_heartbeat_is_shown_and_an_older_engine_tells_nothing) {
  const auto node = make_node_store(config());
  must(node->join("n1", {"echo", "chat"}));
  node_rates rates{.turns_per_s = 2, .commands_per_s = 20};
  rates.totals = {.turns = 10, .commands = 100, .updates = 200, .retries = 3, .dead_letters = 2, .lost_wakes = 1};
  rates.totals.wait_counts = {1, 2, 3};
  must(node->heartbeat("n1", rates, std::chrono::seconds{5}));
  sql_.query(
      "INSERT INTO rowcall.nodes (node, kinds, version) VALUES ('old', '{echo}', '0.1');"
      "UPDATE rowcall.shards SET owner = 'n1' WHERE shard IN (3, 61)");
  const auto look = must(store_->overview());
  ASSERT_EQ(look.nodes.size(), 2u);
  const auto& n1 = look.nodes[0];
  EXPECT_EQ(n1.info.node, "n1");
  EXPECT_TRUE(n1.is_alive);
  EXPECT_EQ(n1.totals.commands, 100);
  EXPECT_EQ(n1.totals.updates, 200);
  EXPECT_EQ(n1.totals.lost_wakes, 1);
  EXPECT_EQ(n1.totals.wait_counts, (std::vector<std::int64_t>{1, 2, 3}));
  EXPECT_TRUE(n1.totals.turn_counts.empty());
  EXPECT_EQ(n1.shards, (std::vector<shard_index>{3, 61}));
  EXPECT_EQ(look.nodes[1].totals.commands, 0);
  must(node->leave("n1"));
  EXPECT_FALSE(must(store_->overview()).nodes[0].is_alive);
}

TEST_F(console_store_test, letters_of_one_moment_are_paged_without_a_loss) {
  sql_.query(
      "INSERT INTO rowcall.dead_letters (session_id, command_seq, failed_at, attempts, type, data)"
      " SELECT 'echo-' || n % 3, n, '2026-01-01', 1, 'say', '{}' FROM generate_series(1, 50) n");
  letter_place below{db_time{std::chrono::hours{24 * 365 * 100}}, "~", 1};
  std::set<std::pair<std::string, std::int64_t>> seen;
  for (std::optional<letter_place> next = below; next;) {
    const auto page = must(store_->letters({}, *next, 7));
    for (const auto& l : page.letters) EXPECT_TRUE(seen.emplace(l.letter.session.str(), l.letter.command.value).second);
    next = page.next;
  }
  EXPECT_EQ(seen.size(), 50u);
}

TEST_F(console_store_test, a_filter_that_fits_none_of_a_page_says_where_to_go_on) {
  sql_.query(
      "INSERT INTO rowcall.dead_letters (session_id, command_seq, failed_at, attempts, type, error, data)"
      " SELECT 'echo-a', n, now() - n * interval '1 s', 1, 'say', CASE WHEN n = 5500 THEN 'rare' ELSE 'usual' END, "
      "'{}' FROM generate_series(1, 6000) n");
  letter_place below{db_time{std::chrono::hours{24 * 365 * 100}}, "~", 1};
  letter_filter filter;
  filter.error_part = "rare";
  const auto first = must(store_->letters(filter, below, 10));
  EXPECT_TRUE(first.letters.empty());
  ASSERT_TRUE(first.next);
  const auto second = must(store_->letters(filter, *first.next, 10));
  ASSERT_EQ(second.letters.size(), 1u);
  EXPECT_EQ(second.letters[0].letter.command.value, 5500);
  EXPECT_FALSE(second.next);
}

TEST_F(console_store_test, a_filter_is_text) {
  must(store_->overview());
  EXPECT_EQ(
      sql_.value(
          "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'rowcall' AND datname = current_database()"),
      "1");
  const auto refused = store_->letters(
      {.with_resolved = false, .session_prefix = std::string("x'; DROP TABLE rowcall.nodes; --")}, {}, 1);
  EXPECT_TRUE(refused) << "text is text";
  must(store_->overview());
}

}  // namespace
}  // namespace rowcall::storage::postgres
