#include "tests/examples/chat_fixture.hpp"

/// The analytics example, killed in the middle of a transaction and run twice at once: its counts equal the log.
namespace rowcall::e2e {
namespace {

struct analytics_e2e_test : chat_fixture {
  support::process start_analytics(std::vector<std::string> arguments = {}) {
    arguments.insert(arguments.begin(), {ROWCALL_PYTHON, ROWCALL_ANALYTICS});
    return start(std::move(arguments));
  }

  const std::string counted = "SELECT coalesce(sum(messages), 0) FROM analytics.messages_per_minute";
  bool knows_the_chat() {
    return becomes("SELECT count(*) FROM pg_tables WHERE schemaname = 'analytics'", "2") &&
           becomes("SELECT count(*) FROM analytics.cursors", "1");
  }
  /// Waits until that many connections wait for a lock.
  bool waiting(int count) {
    return becomes(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
        std::to_string(count));
  }

  /// Each chat's each minute, and no other.
  void expect_counts_equal_the_log() {
    EXPECT_EQ(
        d.value(
            "SELECT count(*) FROM analytics.messages_per_minute a FULL JOIN (SELECT session_id, "
            "date_trunc('minute', timestamp) AS minute, count(*) AS messages FROM rowcall.updates WHERE type = "
            "'new_message' GROUP BY 1, 2) u ON u.session_id = a.chat_id AND u.minute = a.minute WHERE a.messages IS "
            "DISTINCT FROM u.messages"),
        "0");
  }
};

TEST_F(analytics_e2e_test, counts_what_was_there_and_what_comes) {
  post(1'200);  // more than a page
  ASSERT_TRUE(drained(d));
  auto once = start_analytics({"--once"});
  EXPECT_EQ(once.wait(std::chrono::seconds{30}), 0) << support::tail_of(output);
  EXPECT_EQ(d.value(counted), "1200");
  auto analytics = start_analytics();
  submit({{id("chat-2"), "create_chat", R"({"name":"Two","sender":"ann"})", {}}});
  post(30, "chat-2");
  post(70);
  ASSERT_TRUE(becomes(counted, "1300")) << support::tail_of(output);
  expect_counts_equal_the_log();
}

TEST_F(analytics_e2e_test, counts_once_although_it_is_killed_in_the_middle_of_a_transaction) {
  auto analytics = start_analytics();
  ASSERT_TRUE(knows_the_chat()) << support::tail_of(output);
  // It gets as far as to the counts, or to the position that belongs to them, and waits there with its transaction
  // open.
  for (const std::string table : {"messages_per_minute", "cursors", "messages_per_minute", "cursors"}) {
    support::sql_connection in_the_way(d.database_url);
    in_the_way.query("BEGIN; LOCK TABLE analytics." + table + " IN SHARE MODE");
    post(50);
    ASSERT_TRUE(waiting(1)) << support::tail_of(output);
    analytics.kill9();
    in_the_way.query("COMMIT");
    analytics = start_analytics();
  }
  ASSERT_TRUE(becomes(counted, "200")) << support::tail_of(output);
  expect_counts_equal_the_log();
}

TEST_F(analytics_e2e_test, two_at_once_count_each_message_once) {
  auto first = start_analytics(), second = start_analytics();
  ASSERT_TRUE(knows_the_chat()) << support::tail_of(output);
  for (int round = 0; round < 3; ++round) {
    support::sql_connection in_the_way(d.database_url);
    in_the_way.query("BEGIN; LOCK TABLE analytics.messages_per_minute IN SHARE MODE");
    post(40);
    ASSERT_TRUE(waiting(2)) << "one for the table, one for the other" << support::tail_of(output);
    in_the_way.query("COMMIT");
    ASSERT_TRUE(becomes("SELECT min(seq) FROM analytics.cursors", std::to_string(2 + (round + 1) * 40)));
  }
  EXPECT_EQ(d.value(counted), "120");
  expect_counts_equal_the_log();
}

}  // namespace
}  // namespace rowcall::e2e
