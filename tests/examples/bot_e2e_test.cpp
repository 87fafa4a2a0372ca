#include "tests/examples/chat_fixture.hpp"

/// The bot, killed wherever it hurts: each message has exactly one answer.
namespace rowcall::e2e {
namespace {

struct bot_e2e_test : chat_fixture {
  support::process start_bot() { return start({ROWCALL_BOT, "parrot", "chat-1", position}); }

  /// Messages by people since the bot joined, and how many of them have exactly `answers` answers.
  const std::string asked =
      "SELECT count(*) FROM rowcall.messages m WHERE chat_id = 'chat-1' AND sender <> 'parrot' AND message_id > "
      "(SELECT seq FROM "
      "rowcall.updates WHERE session_id = 'chat-1' AND type = 'member_joined' AND data->>'user_id' = 'parrot')";
  std::string with_answers(int answers) const {
    return asked +
           " AND (SELECT count(*) FROM rowcall.messages a WHERE a.chat_id = 'chat-1' AND a.sender = 'parrot' AND "
           "a.text "
           "LIKE 're #' || m.message_id || ':%') = " +
           std::to_string(answers);
  }
  const std::string answers = "SELECT count(*) FROM rowcall.messages WHERE sender = 'parrot'";

  std::string position = folder + "/position";
};

TEST_F(bot_e2e_test, answers_what_is_said_after_it_joined_and_nothing_before) {
  post(3);
  auto bot = start_bot();
  ASSERT_TRUE(becomes("SELECT count(*) FROM rowcall.members WHERE user_id = 'parrot'", "1"))
      << support::tail_of(output);
  post(2);
  ASSERT_TRUE(becomes(answers, "2")) << support::tail_of(output);
  EXPECT_EQ(d.value(with_answers(1)), "2");
  EXPECT_EQ(d.value("SELECT text FROM rowcall.messages WHERE sender = 'parrot' ORDER BY message_id LIMIT 1"),
            "re #7: 3 words from ann");
  bot.signal(SIGTERM);
  EXPECT_EQ(bot.wait(std::chrono::seconds{15}), 0);
}

TEST_F(bot_e2e_test, a_bot_that_is_killed_again_and_again_answers_each_message_once) {
  auto bot = start_bot();
  ASSERT_TRUE(becomes("SELECT count(*) FROM rowcall.members WHERE user_id = 'parrot'", "1"))
      << support::tail_of(output);
  constexpr int rounds = 8, messages = 25;
  for (int round = 0; round < rounds; ++round) {
    post(messages);
    // In the middle of its answers, as far as it got.
    ASSERT_TRUE(
        support::eventually(std::chrono::seconds{30}, [&] { return std::stoi(d.value(answers)) > round * messages; }));
    bot.kill9();
    bot = start_bot();
  }
  ASSERT_TRUE(becomes(answers, std::to_string(rounds * messages))) << support::tail_of(output);
  ASSERT_TRUE(drained(d));
  EXPECT_EQ(d.value(with_answers(1)), std::to_string(rounds * messages));
}

TEST_F(bot_e2e_test, a_bot_that_died_between_following_and_submitting_loses_nothing) {
  auto bot = start_bot();
  ASSERT_TRUE(becomes("SELECT count(*) FROM rowcall.members WHERE user_id = 'parrot'", "1"))
      << support::tail_of(output);
  ASSERT_TRUE(drained(d));
  support::sql_connection in_the_way(d.database_url);
  in_the_way.query("BEGIN; SELECT rowcall.lock_submit_bucket('user-parrot')");
  post(20);
  const std::string its_submit =
      " FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory'";
  ASSERT_TRUE(becomes("SELECT count(*)" + its_submit, "1")) << support::tail_of(output);
  bot.kill9();
  // Left alone, the server would still carry out what it was asked for.
  d.sql("SELECT pg_terminate_backend(pid)" + its_submit);
  ASSERT_TRUE(becomes("SELECT count(*)" + its_submit, "0"));
  in_the_way.query("COMMIT");
  EXPECT_EQ(d.value(answers), "0");
  bot = start_bot();
  ASSERT_TRUE(becomes(answers, "20")) << support::tail_of(output);
  ASSERT_TRUE(drained(d));
  EXPECT_EQ(d.value(with_answers(1)), "20");
}

TEST_F(bot_e2e_test, a_bot_that_died_between_submitting_and_writing_its_position_answers_nothing_twice) {
  auto bot = start_bot();
  ASSERT_TRUE(becomes("SELECT count(*) FROM rowcall.members WHERE user_id = 'parrot'", "1"))
      << support::tail_of(output);
  post(20);
  ASSERT_TRUE(becomes(answers, "20")) << support::tail_of(output);
  bot.kill9();
  std::ofstream{position} << 3;  // as if nothing of that had been written
  post(5);
  bot = start_bot();
  ASSERT_TRUE(becomes(answers, "25")) << support::tail_of(output);
  ASSERT_TRUE(drained(d));
  EXPECT_EQ(d.value(with_answers(1)), "25");
  EXPECT_EQ(d.value(answers), "25");
}

TEST_F(bot_e2e_test, says_why_it_can_not_join) {
  auto bot = start({ROWCALL_BOT, "parrot", "chat-nowhere", position});
  EXPECT_TRUE(support::eventually(std::chrono::seconds{20}, [&] {
    return support::tail_of(output).find("there is no chat chat-nowhere") != std::string::npos;
  }));
}

}  // namespace
}  // namespace rowcall::e2e
