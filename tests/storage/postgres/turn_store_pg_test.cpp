#include <atomic>

#include "tests/storage/postgres/postgres_test.hpp"

namespace rowcall::storage::postgres {
namespace {

class turn_store_test : public postgres_test {
 protected:
  void submit(const std::string& session, int count) {
    sql_.query("SELECT rowcall.submit('" + session + "', 'say', jsonb_build_object('n', n)) FROM generate_series(1, " + std::to_string(count) + ") n");
  }
};

/// The two statements of rowcall.turn_claim folded into one, which looks right and is not: its snapshot is taken before
/// the lock is granted.
constexpr auto folded_claim = R"(
    WITH held AS MATERIALIZED (SELECT s.shard FROM rowcall.shards s WHERE s.shard = %1 FOR NO KEY UPDATE)
    SELECT c.seq, coalesce(u.seq, 0) AS last_update FROM held
    LEFT JOIN LATERAL (SELECT u.seq, u.command_seq FROM rowcall.update_log u WHERE u.session_id = '%2' ORDER BY u.seq DESC LIMIT 1) u ON true
    CROSS JOIN LATERAL (SELECT c.seq FROM rowcall.command_log c WHERE c.session_id = '%2' AND c.seq > coalesce(u.command_seq, 0) ORDER BY c.seq LIMIT 1) c)";

std::string folded(int shard, const std::string& session) {
  std::string sql = folded_claim;
  sql.replace(sql.find("%1"), 2, std::to_string(shard));
  for (auto at = sql.find("%2"); at != std::string::npos; at = sql.find("%2")) sql.replace(at, 2, session);
  return sql;
}

TEST_F(turn_store_test, a_claim_folded_into_one_statement_decides_again_on_what_was_just_committed) {
  // The same as below, with the lock held while the second claim starts: shows what the two statements are for.
  submit("echo-a", 2);
  const int shard = shard_of(id("echo-a"), shard_count_default);
  sql_.query("BEGIN");
  sql_.query(folded(shard, "echo-a"));
  sql_.query("INSERT INTO rowcall.update_log (session_id, seq, command_seq, type, data) VALUES ('echo-a', 1, 1, 'said', '{}')");

  std::string claimed;
  support::sql_connection other(database_.url());
  const auto pid = other.backend_pid();
  std::thread second([&] { claimed = other.query("BEGIN;" + folded(shard, "echo-a"))[0][0]; });
  support::sql_connection watch(database_.url());
  while (watch.value("SELECT count(*) FROM pg_stat_activity WHERE pid = " + std::to_string(pid) + " AND wait_event_type = 'Lock'") != "1")
    std::this_thread::yield();
  sql_.query("COMMIT");
  second.join();
  EXPECT_EQ(claimed, "1") << "PostgreSQL takes the snapshot after the lock now? Then the claim can be one statement";
}

TEST_F(turn_store_test, workers_that_fight_over_the_same_sessions_never_collide) {
  constexpr int sessions = 8, commands = 100, workers = 4;
  std::vector<session_id> ids;
  for (int i = 0; i < sessions; ++i) {
    ids.push_back(id("echo-" + std::to_string(i)));
    submit(ids.back().str(), commands);
  }
  std::atomic<int> left = sessions * commands, collisions = 0, errors = 0;
  std::vector<std::thread> threads;
  for (int n = 0; n < workers; ++n)
    threads.emplace_back([&, n] {
      // Two nodes with two workers each: shards change hands all the time.
      auto store = make_turn_store(config(), "node-" + std::to_string(n % 2));
      turn_request request;
      for (const auto& s : ids) request.sessions.push_back(ask(s));
      request.limits.commands_per_session_max = 3;
      while (left > 0 && errors == 0) {
        auto claim = store->claim(request);
        if (!claim) {
          ++errors;
          continue;
        }
        std::vector<session_writes> writes;
        int count = 0;
        for (std::size_t i = 0; i < ids.size(); ++i) {
          const auto& s = claim->sessions[i];
          if (s.commands.empty()) continue;
          count += static_cast<int>(s.commands.size());
          writes.push_back(echo(ids[i], s.image->cursor, s.commands));
        }
        const auto done = store->commit(writes);
        if (done)
          left -= count;
        else if (done.error().code == errc::fenced)
          ++collisions;
        else
          ++errors;
      }
    });
  for (auto& t : threads) t.join();
  EXPECT_EQ(collisions, 0);
  EXPECT_EQ(errors, 0);
  EXPECT_EQ(sql_.value("SELECT count(*) FROM rowcall.update_log WHERE seq = command_seq"), std::to_string(sessions * commands));
}

TEST_F(turn_store_test, the_primary_key_fences_a_writer_that_holds_no_lock) {
  submit("echo-a", 1);
  auto store = make_turn_store(config(), "n1");
  const auto claim = must(store->claim({{ask(id("echo-a"))}}));
  sql_.query("INSERT INTO rowcall.update_log (session_id, seq, command_seq, type, data) VALUES ('echo-a', 1, 1, 'said', '{}')");
  const auto w = echo(id("echo-a"), {}, claim.sessions[0].commands);
  EXPECT_EQ(store->commit({&w, 1}).error().code, errc::fenced);
  EXPECT_EQ(must(store->claim({{ask(id("echo-a"))}})).sessions[0].image->cursor.update.value, 1) << "goes on by itself";
}

TEST_F(turn_store_test, a_backend_that_dies_at_commit_leaves_it_in_doubt_and_the_next_claim_connects_again) {
  submit("echo-a", 1);
  auto store = make_turn_store(config(), "n1");
  auto claim = must(store->claim({{ask(id("echo-a"))}}));
  end_other_connections();
  const auto w = echo(id("echo-a"), {}, claim.sessions[0].commands);
  EXPECT_EQ(store->commit({&w, 1}).error().code, errc::commit_in_doubt);
  claim = must(store->claim({{ask(id("echo-a"))}}));
  EXPECT_EQ(claim.sessions[0].commands.size(), 1u) << "nothing was committed";
  store->abandon();
}

TEST_F(turn_store_test, a_backend_that_dies_before_a_large_turns_commit_loses_nothing_but_the_connection) {
  submit("echo-a", 100);
  auto config = this->config();
  config.copy_rows_min = 10;
  auto store = make_turn_store(config, "n1");
  const auto claim = must(store->claim({{ask(id("echo-a"))}}));
  end_other_connections();
  const auto w = echo(id("echo-a"), {}, claim.sessions[0].commands);
  EXPECT_EQ(store->commit({&w, 1}).error().code, errc::connection_lost);
}

TEST_F(turn_store_test, a_turn_that_sits_too_long_is_ended_by_the_server_within_the_bound) {
  submit("echo-a", 1);
  auto config = this->config();
  config.transaction_timeout = std::chrono::milliseconds{1'500};
  auto slow = make_turn_store(config, "slow"), other = make_turn_store(this->config(), "other");
  const auto claim = must(slow->claim({{ask(id("echo-a"))}}));
  const auto deadline = std::chrono::steady_clock::now() + config.transaction_timeout;
  for (;;) {
    const auto taken = must(other->claim({{ask(id("echo-a"))}}));
    other->abandon();
    if (taken.sessions[0].status == claim_status::claimed) break;
    ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "the shard is still locked";
  }
  const auto w = echo(id("echo-a"), {}, claim.sessions[0].commands);
  EXPECT_FALSE(slow->commit({&w, 1}));
  EXPECT_EQ(sql_.value("SELECT count(*) FROM rowcall.update_log"), "0");
}

/// Both ways of appending must carry any text.
class hostile_text_test : public turn_store_test, public ::testing::WithParamInterface<std::size_t> {};

TEST_P(hostile_text_test, comes_back_as_it_was) {
  const std::vector<std::string> texts{"it's", "say \"x\"", "back\\slash", "\\.", "\\N", "a\tb", "a\nb\r\n", "$$; DROP TABLE x; $$", "{a,b}",
                                       "NULL", "", "%s", "Ünïcødé 🎉", "*>.", std::string(1, '\x01')};
  auto config = this->config();
  config.copy_rows_min = GetParam();
  auto store = make_turn_store(config, "n1");
  submit("chat-a", 1);
  auto claim = must(store->claim({{ask(id("chat-a"))}}));
  session_writes w{id("chat-a"), {}, {{std::ssize(texts)}, {1}}};
  for (std::size_t i = 0; i < texts.size(); ++i) {
    std::string data = "{\"t\":";
    json::append_quoted(data, texts[i]);
    data += "}";
    w.updates.push_back({{static_cast<std::int64_t>(i + 1)}, {1}, "said", data});
    w.rows.push_back({"messages", {"chat_id", "message_id", "text", "sender"}, {"chat-a", std::to_string(i + 1), texts[i], texts[i]}});
  }
  must(store->commit({&w, 1}));
  const auto rows = sql_.query("SELECT m.text, m.sender, u.data ->> 't' FROM rowcall.messages m JOIN rowcall.update_log u ON u.session_id = m.chat_id AND u.seq = m.message_id ORDER BY m.message_id");
  ASSERT_EQ(rows.size(), texts.size());
  for (std::size_t i = 0; i < texts.size(); ++i) EXPECT_EQ(rows[i], (std::vector<std::string>(3, texts[i])));
}
INSTANTIATE_TEST_SUITE_P(insert_and_copy, hostile_text_test, ::testing::Values(1'000, 1));

TEST_F(turn_store_test, what_is_done_to_a_domain_table_keeps_its_order_within_a_turn) {
  using mode = domain_row::write_mode;
  submit("chat-a", 1);
  auto store = make_turn_store(config(), "n1");
  const auto claim = must(store->claim({{ask(id("chat-a"))}}));
  auto w = echo(id("chat-a"), {}, claim.sessions[0].commands);
  const auto member = [](const char* user, mode m) { return domain_row{"members", {"chat_id", "user_id"}, {"chat-a", user}, m}; };
  for (const char* user : {"ann", "bob"}) {
    w.rows.push_back(member(user, mode::append));
    w.rows.push_back(member(user, mode::remove));
  }
  w.rows.push_back(member("ann", mode::append));
  w.rows.push_back(member("carol", mode::remove));
  must(store->commit({&w, 1}));
  EXPECT_EQ(sql_.query("SELECT user_id FROM rowcall.members"), (support::rows{{"ann"}}));
}

TEST_F(turn_store_test, an_error_text_of_any_bytes_does_not_stop_a_turn) {
  submit("echo-a", 1);
  auto store = make_turn_store(config(), "n1");
  const auto claim = must(store->claim({{ask(id("echo-a"))}}));
  session_writes w{id("echo-a")};
  w.retry = session_writes::retry_change::put;
  w.retry_put = retry_row{{1}, 1, std::string{"a\0b\xff", 4} + std::string(10'000, 'x'), "n1", std::chrono::milliseconds{0}};
  must(store->commit({&w, 1}));
  EXPECT_EQ(sql_.value("SELECT left(last_error, 5) FROM rowcall.retries"), "a?b?x");
}

}  // namespace
}  // namespace rowcall::storage::postgres
