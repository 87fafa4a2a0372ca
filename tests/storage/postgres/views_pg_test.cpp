#include "tests/storage/postgres/postgres_test.hpp"

namespace rowcall::storage::postgres {
namespace {

using support::rows;

class views_test : public postgres_test {
 protected:
  void serve(int count, session_writes::retry_change retry = session_writes::retry_change::keep) {
    auto store = make_turn_store(config(), "n1");
    turn_request request{{ask(id("echo-a"))}};
    request.limits.commands_per_session_max = static_cast<std::size_t>(count);
    auto claim = must(store->claim(request)).sessions[0];
    auto w = echo(id("echo-a"), claim.image->cursor, claim.commands);
    w.retry = retry;
    if (retry == session_writes::retry_change::put)
      w.retry_put = retry_row{w.after.command.next(), 1, "boom", "", std::chrono::hours{1}};
    must(store->commit({&w, 1}));
  }
  std::string status() {
    return sql_.value("SELECT string_agg(status, ' ' ORDER BY seq) FROM rowcall.commands WHERE session_id = 'echo-a'");
  }
};

TEST_F(views_test, a_plain_insert_of_many_rows_is_submitted_in_its_order_and_returns_the_seqs) {
  const auto returned = sql_.query(
      "INSERT INTO rowcall.commands (session_id, type, data) VALUES ('echo-a', 'say', '{\"n\":1}'), ('echo-b', 'say', '{\"n\":2}'),"
      " ('echo-a', 'say', '{\"n\":3}') RETURNING command_id, seq, status");
  EXPECT_EQ(returned, (rows{{"echo-a/1", "1", "pending"}, {"echo-b/1", "1", "pending"}, {"echo-a/2", "2", "pending"}}));
  EXPECT_EQ(sql_.value("SELECT data FROM rowcall.commands WHERE command_id = 'echo-a/2'"), "{\"n\": 3}");
}

TEST_F(views_test, a_repeated_key_inserts_nothing_and_returns_the_first_command) {
  const std::string insert = "INSERT INTO rowcall.commands (session_id, type, data, idempotency_key) VALUES ('echo-a', 'say', '{}', 'k') RETURNING seq";
  EXPECT_EQ(sql_.value(insert), "1");
  EXPECT_EQ(sql_.value(insert), "1");
  EXPECT_EQ(sql_.value("SELECT count(*) FROM rowcall.commands"), "1");
}

TEST_F(views_test, one_insert_may_name_many_sessions) {
  sql_.query("INSERT INTO rowcall.commands (session_id, type, data) SELECT 'echo-' || n, 'say', '{}' FROM generate_series(1, 10000) n");
  EXPECT_EQ(sql_.value("SELECT count(*) FROM rowcall.sessions"), "10000");
}

TEST_F(views_test, a_bad_insert_is_refused_in_plain_words) {
  const auto refusal = [&](const std::string& values) -> std::string {
    try {
      sql_.query("INSERT INTO rowcall.commands (session_id, type, data) VALUES (" + values + ")");
      return "was not refused";
    } catch (const std::runtime_error& e) {
      return e.what();
    }
  };
  EXPECT_THAT(refusal("'nosuch-a', 'say', '{}'"), ::testing::HasSubstr("no engine has ever served the kind"));
  EXPECT_THAT(refusal("'echo-a b', 'say', '{}'"), ::testing::HasSubstr("sessions_session_id_format"));
  EXPECT_THAT(refusal("'echo-', 'say', '{}'"), ::testing::HasSubstr("sessions_session_id_format"));
  EXPECT_THAT(refusal("'echo-a', 's y', '{}'"), ::testing::HasSubstr("command_log_type_format"));
  EXPECT_THAT(refusal("'echo-a', 'say', '[]'"), ::testing::HasSubstr("command_log_data_is_object"));
  EXPECT_THAT(refusal("'echo-a', 'say', NULL"), ::testing::HasSubstr("needs session_id, type and data"));
  EXPECT_EQ(sql_.value("SELECT count(*) FROM rowcall.command_log"), "0");
}

TEST_F(views_test, an_insert_beyond_the_bounds_is_refused_as_busy_and_says_when_to_try_again) {
  const auto refusal = [&]() -> std::string {
    try {
      sql_.query("INSERT INTO rowcall.commands (session_id, type, data) VALUES ('echo-a', 'say', '{}')");
      return "was not refused";
    } catch (const std::runtime_error& e) {
      return e.what();
    }
  };
  const auto is_busy = ::testing::AllOf(::testing::HasSubstr("busy"), ::testing::HasSubstr("Try again in "));
  sql_.query("UPDATE rowcall.admission SET session_pending_max = 10");
  sql_.query("INSERT INTO rowcall.commands (session_id, type, data) SELECT 'echo-a', 'say', '{}' FROM generate_series(1, 63)");
  EXPECT_THAT(refusal(), is_busy);
  sql_.query("UPDATE rowcall.admission SET session_pending_max = 0; SELECT rowcall.set_overload(700)");
  EXPECT_THAT(refusal(), is_busy);
  sql_.query("SELECT rowcall.set_overload(0)");
  EXPECT_EQ(refusal(), "was not refused");
}

TEST_F(views_test, what_is_in_the_logs_can_not_be_changed_through_them) {
  sql_.query(
      "INSERT INTO rowcall.commands (session_id, type, data) SELECT 'echo-a', 'say', '{}' FROM generate_series(1, 2)");
  serve(2);
  const auto refusal = [&](const std::string& statement) -> std::string {
    try {
      sql_.query("DO $$ BEGIN " + statement +
                 "; EXCEPTION WHEN SQLSTATE '55000' THEN RAISE EXCEPTION '55000 %', SQLERRM; END $$");
      return "was not refused";
    } catch (const std::runtime_error& e) {
      return e.what();
    }
  };
  for (const auto* statement :
       {"DELETE FROM rowcall.commands WHERE status = 'processed'", "UPDATE rowcall.commands SET type = 'x'",
        "DELETE FROM rowcall.updates WHERE session_id = 'echo-a'", "UPDATE rowcall.updates SET type = 'x'",
        "INSERT INTO rowcall.updates (session_id, seq, command_seq, type, data) VALUES ('echo-a', 3, 3, 'said', '{}')"})
    EXPECT_THAT(refusal(statement),
                ::testing::HasSubstr("55000 rowcall: the logs are append-only: retention is `rowcall cleanup`"))
        << statement;
  EXPECT_EQ(sql_.value("SELECT string_agg(type, ' ') FROM rowcall.command_log"), "say say");
  EXPECT_EQ(sql_.value("SELECT string_agg(type, ' ') FROM rowcall.update_log"), "said said");
  EXPECT_EQ(
      sql_.value("INSERT INTO rowcall.commands (session_id, type, data) VALUES ('echo-a', 'say', '{}') RETURNING seq"),
      "3");
  EXPECT_EQ(status(), "processed processed pending");
}

TEST_F(views_test, the_status_follows_a_command_through_its_life) {
  sql_.query("INSERT INTO rowcall.commands (session_id, type, data) SELECT 'echo-a', 'say', '{}' FROM generate_series(1, 3)");
  EXPECT_EQ(status(), "pending pending pending");
  serve(1, session_writes::retry_change::put);
  EXPECT_EQ(status(), "processed retrying pending");
  sql_.query("UPDATE rowcall.retries SET next_at = now()");
  serve(1, session_writes::retry_change::clear);
  EXPECT_EQ(status(), "processed processed pending");
  sql_.query("INSERT INTO rowcall.dead_letters (session_id, command_seq, type, data, attempts) VALUES ('echo-a', 2, 'say', '{}', 1)");
  EXPECT_EQ(status(), "processed dead pending");
}

TEST_F(views_test, updates_show_their_chat) {
  sql_.query("INSERT INTO rowcall.update_log (session_id, seq, command_seq, type, data) VALUES"
             " ('chat-x', 1, 1, 'message_posted', '{}'), ('user-ann', 1, 1, 'chat_selected', '{\"chat_id\": \"chat-x\"}'), ('echo-a', 1, 1, 'said', '{}')");
  EXPECT_EQ(sql_.query("SELECT update_id, chat_id FROM rowcall.updates ORDER BY 1"),
            (rows{{"chat-x/1", "chat-x"}, {"echo-a/1", ""}, {"user-ann/1", "chat-x"}}));
}

TEST_F(views_test, the_updates_of_a_command_are_found_by_halving_the_log) {
  // Each command has 1 to 4 updates.
  sql_.query("INSERT INTO rowcall.update_log (session_id, seq, command_seq, type, data)"
             " SELECT 'echo-a', row_number() OVER (ORDER BY c, n), c, 'said', '{}' FROM generate_series(1, 500) c, generate_series(1, 4) n WHERE n <= c % 4 + 1");
  EXPECT_EQ(sql_.value("SELECT count(*) FROM generate_series(1, 500) c, LATERAL (SELECT count(*) AS n, min(command_seq) AS low, max(command_seq) AS high"
                       " FROM rowcall.updates_of('echo-a', c)) u WHERE u.n = c % 4 + 1 AND u.low = c AND u.high = c"), "500");
  EXPECT_EQ(sql_.value("SELECT count(*) FROM rowcall.updates_of('echo-a', 501)"), "0");
  EXPECT_EQ(sql_.query("SELECT seq FROM rowcall.updates_after('echo-a', 10, 2)"), (rows{{"11"}, {"12"}}));
}

}  // namespace
}  // namespace rowcall::storage::postgres
