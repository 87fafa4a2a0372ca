#include <atomic>
#include <future>

#include "tests/storage/postgres/postgres_test.hpp"

namespace rowcall::storage::postgres {
namespace {

class submit_test : public postgres_test {
 protected:
  /// The one backend, another than this, that waits for a lock; once there is one.
  std::string pid_that_waits(const std::string& another_than = "0") {
    const std::string waiting = "FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND pid <> " + another_than;
    EXPECT_TRUE(support::eventually(std::chrono::seconds{10}, [&] {
      sql_.query("SELECT pg_stat_clear_snapshot()");  // a transaction goes on seeing what it saw first
      return sql_.value("SELECT count(*) " + waiting) == "1";
    }));
    return sql_.value("SELECT min(pid) " + waiting);
  }
};

TEST_F(submit_test, concurrent_submitters_of_one_session_get_gapless_seqs_in_commit_order) {
  constexpr int threads = 4, each = 100;
  // A reader that pages by seq while they write: it must never see a seq appear below one that it has seen.
  std::atomic<bool> is_done = false;
  std::int64_t seen = 0;
  bool has_gap = false;
  std::thread reader([&] {
    support::sql_connection sql(database_.url());
    for (bool last = false; !last;) {
      last = is_done;
      for (const auto& row : sql.query("SELECT seq FROM rowcall.command_log WHERE session_id = 'echo-a' AND seq > " +
                                       std::to_string(seen) + " ORDER BY seq")) {
        if (std::stoll(row[0]) != seen + 1) has_gap = true;
        seen = std::stoll(row[0]);
      }
    }
  });
  std::vector<std::thread> submitters;
  std::atomic<int> errors = 0;
  for (int t = 0; t < threads; ++t)
    submitters.emplace_back([&, t] {
      auto store = make_command_store(config());
      for (int i = 0; i < each; ++i) {
        // Alone, in a batch, and with a key: all ways into the log.
        std::vector<command_request> batch{{id("echo-a"), "say", "{}"}};
        if (i % 3 == 1) batch.push_back({id("echo-b" + std::to_string(t)), "say", "{}"});
        if (i % 3 == 2) batch[0].idempotency_key = std::to_string(t) + "/" + std::to_string(i);
        if (!store->submit(batch)) ++errors;
      }
    });
  for (auto& s : submitters) s.join();
  is_done = true;
  reader.join();
  EXPECT_EQ(errors, 0);
  EXPECT_FALSE(has_gap);
  EXPECT_EQ(seen, threads * each);
}

TEST_F(submit_test, a_lone_command_is_visible_before_it_is_durable_and_durable_before_its_receipt) {
  auto store = make_command_store(config());
  must(store->submit(std::vector<command_request>{{id("echo-a"), "say", "{}"}}));
  std::string written;
  const std::vector<command_request> second{{id("echo-a"), "say", R"({"n":2})"}};
  const auto receipts = must(store->submit(second, [&](std::span<const submit_receipt> told) {
    ASSERT_EQ(told.size(), 1u);
    EXPECT_EQ(told[0].seq, command_seq{2});
    EXPECT_EQ(sql_.value("SELECT count(*) FROM rowcall.command_log WHERE session_id = 'echo-a' AND seq = 2"), "1");
    written = sql_.value("SELECT pg_current_wal_insert_lsn()");
  }));
  ASSERT_FALSE(written.empty());
  EXPECT_EQ(sql_.value("SELECT pg_current_wal_flush_lsn() >= '" + written + "'"), "t");
  EXPECT_EQ(receipts[0].seq, command_seq{2});
}

TEST_F(submit_test, a_lone_command_is_in_doubt_when_the_server_goes_before_it_is_durable) {
  auto store = make_command_store(config());
  must(store->submit(std::vector<command_request>{{id("echo-a"), "say", "{}"}}));
  const std::vector<command_request> second{{id("echo-a"), "say", "{}"}};
  const auto lost = store->submit(second, [&](auto) {
    end_other_connections();
  });
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().code, errc::commit_in_doubt);
}

/// Another submit with the key is told that the command is stored, and does not wait for the first one's disk.
TEST_F(submit_test, a_command_with_a_key_is_durable_as_soon_as_it_is_visible) {
  auto store = make_command_store(config());
  must(store->submit(std::vector<command_request>{{id("echo-a"), "say", "{}"}}));
  std::vector<command_request> keyed{{id("echo-a"), "say", "{}"}};
  keyed[0].idempotency_key = "k";
  must(store->submit(keyed, [](auto) { ADD_FAILURE() << "was told before it was durable"; }));
}

TEST_F(submit_test, an_isolation_level_that_would_not_see_other_submitters_is_refused) {
  sql_.query("BEGIN ISOLATION LEVEL REPEATABLE READ");
  try {
    sql_.query("SELECT rowcall.submit('echo-a', 'say', '{}')");
    ADD_FAILURE() << "was not refused";
  } catch (const std::runtime_error& e) {
    EXPECT_THAT(e.what(), ::testing::HasSubstr("READ COMMITTED"));
  }
  sql_.query("ROLLBACK");
}

TEST_F(submit_test, a_transaction_that_names_more_sessions_than_the_lock_table_holds_commits) {
  constexpr int sessions = 20'000;  // the shared lock table of a default server has about 6,400 places
  EXPECT_EQ(sql_.value("SELECT count(*) FROM (SELECT array_agg('echo-' || n) AS s, array_agg('say'::text) AS t, array_agg('{}'::text) AS d"
                       " FROM generate_series(1, " + std::to_string(sessions) + ") n) x, rowcall.submit_batch(s, t, d) b WHERE b.outcome = 'stored'"),
            std::to_string(sessions));
}

TEST_F(submit_test, two_batches_over_the_same_sessions_in_opposite_order_do_not_deadlock) {
  std::vector<command_request> forward, backward;
  for (int i = 0; i < 50; ++i) forward.push_back({id("echo-" + std::to_string(i)), "say", "{}"});
  backward.assign(forward.rbegin(), forward.rend());
  std::atomic<int> errors = 0;
  const auto run = [&](const std::vector<command_request>& batch) {
    auto store = make_command_store(config());
    for (int i = 0; i < 40; ++i)
      if (!store->submit(batch)) ++errors;
  };
  std::thread a([&] { run(forward); }), b([&] { run(backward); });
  a.join();
  b.join();
  EXPECT_EQ(errors, 0);
  EXPECT_EQ(sql_.value("SELECT count(*) FROM rowcall.command_log"), "4000");
}

TEST_F(submit_test, what_a_store_remembers_of_a_log_that_is_older_now_does_no_harm) {
  auto store = make_command_store(config());
  const std::vector<command_request> batch{{id("echo-a"), "say", "{}"}, {id("echo-b"), "say", "{}"}, {id("echo-a"), "say", "{}"}};
  must(store->submit(batch));
  must(store->submit(batch));
  sql_.query("DELETE FROM rowcall.command_log WHERE session_id = 'echo-a' AND seq > 1");
  EXPECT_EQ(must(store->submit(batch))[2].seq.value, 3);
  sql_.query("DELETE FROM rowcall.command_log WHERE session_id = 'echo-a'");
  const auto receipts = must(store->submit(batch));
  EXPECT_EQ(receipts[0].seq.value, 1);
  EXPECT_EQ(receipts[1].seq.value, 4);
  EXPECT_EQ(receipts[2].seq.value, 2);
}

TEST_F(submit_test, a_connection_that_was_ended_while_nothing_was_asked_of_it_is_made_anew_and_nothing_is_in_doubt) {
  auto store = make_command_store(config());
  const std::vector<command_request> one{{id("echo-a"), "say", "{}"}};
  const std::vector<command_request> two{{id("echo-a"), "say", "{}"}, {id("echo-b"), "say", "{}"}};
  must(store->submit(one));
  end_other_connections();
  EXPECT_EQ(must(store->submit(one, [](auto) {}))[0].seq.value, 2) << "alone";
  end_other_connections();
  EXPECT_EQ(must(store->submit(two))[0].seq.value, 3) << "in a batch with a session that is new";
  end_other_connections();
  EXPECT_EQ(must(store->submit(two))[0].seq.value, 4) << "in a batch of known sessions";
}

TEST_F(submit_test, a_backend_killed_within_a_submit_leaves_the_commit_in_doubt_and_the_next_submit_connects_again) {
  auto store = make_command_store(config());
  const std::vector<command_request> batch{{id("echo-a"), "say", "{}"}};
  must(store->submit(batch));
  sql_.query("BEGIN; LOCK TABLE rowcall.command_log");
  auto waiting = std::async(std::launch::async, [&] { return store->submit(batch); });
  sql_.query("SELECT pg_terminate_backend(" + pid_that_waits() + ")");
  const auto lost = waiting.get();
  sql_.query("ROLLBACK");
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().code, errc::commit_in_doubt);
  EXPECT_EQ(must(store->submit(batch))[0].seq.value, 2);
}

TEST_F(submit_test, a_backend_killed_within_a_read_is_asked_again) {
  auto store = make_update_store(config());
  must(store->last(id("echo-a")));
  sql_.query("BEGIN; LOCK TABLE rowcall.update_log");
  auto waiting = std::async(std::launch::async, [&] { return store->last(id("echo-a")); });
  const auto first = pid_that_waits();
  sql_.query("SELECT pg_terminate_backend(" + first + ")");
  EXPECT_NE(pid_that_waits(first), first) << "another connection asks";
  sql_.query("ROLLBACK");
  EXPECT_EQ(must(waiting.get()).update.value, 0);
}

TEST_F(submit_test, a_server_that_is_not_there_is_unavailable) {
  store_config c;
  c.url = "host=/nonexistent dbname=x";
  const std::vector<command_request> batch{{id("echo-a"), "say", "{}"}};
  EXPECT_EQ(make_command_store(c)->submit(batch).error().code, errc::unavailable);
  c.url = "no such option";
  EXPECT_EQ(make_command_store(c)->submit(batch).error().code, errc::invalid_argument);
}

TEST_F(submit_test, a_database_without_the_schema_says_to_migrate) {
  const auto empty = support::fresh_database(support::schema::empty);
  store_config c;
  c.url = empty.url();
  const std::vector<command_request> batch{{id("echo-a"), "say", "{}"}};
  const auto refused = make_command_store(c)->submit(batch);
  EXPECT_EQ(refused.error().code, errc::schema_mismatch);
  EXPECT_THAT(refused.error().message, ::testing::HasSubstr("rowcall migrate up"));
}

}  // namespace
}  // namespace rowcall::storage::postgres
