#include "tests/conformance/store_backend.hpp"

namespace rowcall::conformance {

using namespace engine;

namespace {

/// Parks the session's pending commands, each in a turn of its own.
void park(turn_store& store, const session_id& session, std::string error, int attempts = 3) {
  for (;;) {
    const auto claim = must(store.claim(ask_all({ask(session)}, {.commands_per_session_max = 1})));
    const auto& c = claim.sessions.at(0);
    auto w = echo(session, c.image->cursor, c.commands);
    for (auto& u : w.updates) u.type = update_type::command_failed;
    for (const auto& command : c.commands) w.dead_letters.push_back({command, error, attempts});
    must(store.commit({&w, 1}));
    if (c.commands.empty()) return;
  }
}

template <class T>
void expect_not_found(const result<T>& r) {
  ASSERT_FALSE(r);
  EXPECT_EQ(r.error().code, errc::not_found);
}

}  // namespace

TEST_P(admin_conformance, dead_letters_are_listed_newest_first) {
  const auto store = turns("n1");
  for (int i = 1; i <= 4; ++i) {
    submit(id("echo-" + std::to_string(i)), 1, i);
    park(*store, id("echo-" + std::to_string(i)), "error " + std::to_string(i), i);
    backend_->pass(std::chrono::milliseconds{2});
  }
  const auto letters = must(admin_->dead_letters(100, false));
  ASSERT_EQ(letters.size(), 4u);
  for (int i = 0; i < 4; ++i) {
    const int n = 4 - i;
    EXPECT_EQ(letters[i].session, id("echo-" + std::to_string(n)));
    EXPECT_EQ(letters[i].command.value, 1);
    EXPECT_EQ(letters[i].type, "say");
    EXPECT_SAME_JSON(letters[i].data, numbered(n));
    EXPECT_EQ(letters[i].error, "error " + std::to_string(n));
    EXPECT_EQ(letters[i].attempts, n);
    EXPECT_EQ(letters[i].resolution, "");
  }
  const auto two = must(admin_->dead_letters(2, false));
  ASSERT_EQ(two.size(), 2u);
  EXPECT_EQ(two[1].session, id("echo-3"));
}

TEST_P(admin_conformance, a_letter_that_is_not_there_is_not_found) {
  submit(id("echo-a"));
  expect_not_found(admin_->dead_letter_of(id("echo-a"), {1}));
  expect_not_found(admin_->redrive(id("echo-a"), {1}));
  expect_not_found(admin_->drop(id("echo-a"), {1}));
  EXPECT_TRUE(must(admin_->dead_letters(10, true)).empty());
  EXPECT_EQ(pending_of(id("echo-a")).size(), 1u);
}

TEST_P(admin_conformance, a_letter_is_redriven_once_as_a_new_command) {
  const auto store = turns("n1");
  submit(id("echo-a"), 2);
  park(*store, id("echo-a"), "broken");
  submit(id("echo-a"));
  EXPECT_EQ(must(admin_->redrive(id("echo-a"), {1})).value, 4);
  EXPECT_EQ(must(admin_->redrive(id("echo-a"), {1})).value, 4) << "twice gives the same";
  EXPECT_EQ(must(admin_->redrive(id("echo-a"), {2})).value, 5);
  const auto pending = pending_of(id("echo-a"));
  ASSERT_EQ(pending.size(), 3u);
  EXPECT_EQ(pending[1].type, "say");
  EXPECT_SAME_JSON(pending[1].data, numbered(1));
  EXPECT_SAME_JSON(pending[2].data, numbered(2));
  EXPECT_EQ(must(admin_->dead_letter_of(id("echo-a"), {1})).resolution, "redriven");
  EXPECT_TRUE(must(admin_->dead_letters(10, false)).empty());
  EXPECT_EQ(must(admin_->dead_letters(10, true)).size(), 2u);
  serve(*store, id("echo-a"));
  EXPECT_EQ(must(admin_->redrive(id("echo-a"), {1})).value, 4) << "also after it was processed";
  EXPECT_TRUE(pending_of(id("echo-a")).empty());
}

TEST_P(admin_conformance, a_letter_is_dropped) {
  const auto store = turns("n1");
  submit(id("echo-a"), 2);
  park(*store, id("echo-a"), "broken");
  must(admin_->drop(id("echo-a"), {1}));
  EXPECT_EQ(must(admin_->dead_letter_of(id("echo-a"), {1})).resolution, "dropped");
  const auto open = must(admin_->dead_letters(10, false));
  ASSERT_EQ(open.size(), 1u);
  EXPECT_EQ(open[0].command.value, 2);
  EXPECT_EQ(must(admin_->dead_letters(10, true)).size(), 2u);
  EXPECT_TRUE(pending_of(id("echo-a")).empty());
}

TEST_P(admin_conformance, status_of_an_empty_database_is_zero) {
  const auto s = must(admin_->status());
  EXPECT_EQ(s.sessions, 0);
  EXPECT_EQ(s.pending_commands, 0);
  EXPECT_EQ(s.pending_sessions, 0);
  EXPECT_EQ(s.retrying, 0);
  EXPECT_EQ(s.dead, 0);
  EXPECT_EQ(s.unserved_commands, 0);
  EXPECT_EQ(s.oldest_pending_age, std::chrono::milliseconds{0});
  EXPECT_TRUE(s.nodes.empty());
  EXPECT_TRUE(s.pending_is_exact);
}

TEST_P(admin_conformance, status_counts_what_waits) {
  const auto node = backend_->nodes();
  must(node->join("n1", {"echo"}));
  must(node->heartbeat("n1", {.turns_per_s = 12.5, .commands_per_s = 100}, std::chrono::minutes{1}));
  const auto store = turns("n1");
  submit(id("echo-done"), 3);
  serve(*store, id("echo-done"));
  submit(id("echo-dead"), 2);
  park(*store, id("echo-dead"), "broken");
  must(admin_->drop(id("echo-dead"), {1}));
  submit(id("echo-a"), 4);
  submit(id("chat-a"), 2);  // nobody serves it at the moment
  must(store->claim(ask_all({ask(id("echo-a"))})));
  session_writes w{id("echo-a"), {}, {}};
  w.retry = session_writes::retry_change::put;
  w.retry_put = retry_row{{1}, 1, "failed", "", std::chrono::hours{1}};
  must(store->commit({&w, 1}));
  backend_->pass(std::chrono::milliseconds{20});

  const auto s = must(admin_->status());
  EXPECT_EQ(s.sessions, 4);
  EXPECT_EQ(s.pending_commands, 6);
  EXPECT_EQ(s.pending_sessions, 2);
  EXPECT_EQ(s.retrying, 1);
  EXPECT_EQ(s.dead, 1);
  EXPECT_EQ(s.unserved_commands, 2);
  EXPECT_EQ(s.unserved_kinds, std::vector<std::string>{"chat"});
  ASSERT_EQ(s.retrying_sessions.size(), 1u);
  EXPECT_EQ(s.retrying_sessions[0].session, id("echo-a"));
  EXPECT_EQ(s.retrying_sessions[0].retry.command.value, 1);
  EXPECT_EQ(s.retrying_sessions[0].retry.attempts, 1);
  EXPECT_EQ(s.retrying_sessions[0].retry.last_error, "failed");
  EXPECT_GT(s.retrying_sessions[0].retry.wait, std::chrono::minutes{40});
  EXPECT_LE(s.retrying_sessions[0].retry.wait, std::chrono::hours{1});
  EXPECT_GE(s.oldest_pending_age, std::chrono::milliseconds{20});
  EXPECT_LT(s.oldest_pending_age, std::chrono::minutes{10});
  EXPECT_DOUBLE_EQ(s.turns_per_s, 12.5);
  EXPECT_DOUBLE_EQ(s.commands_per_s, 100);
  ASSERT_EQ(s.nodes.size(), 1u);
  EXPECT_EQ(s.nodes[0].node, "n1");
  EXPECT_EQ(s.nodes[0].kinds, std::vector<std::string>{"echo"});
  must(node->leave("n1"));
  EXPECT_EQ(must(admin_->status()).unserved_commands, 6);
}

TEST_P(admin_conformance, status_names_those_that_were_tried_most_often_and_a_few_kinds) {
  const auto store = turns("n1");
  for (int i = 1; i <= 8; ++i) {
    const auto session = id("echo-" + std::to_string(i));
    submit(session);
    must(store->claim(ask_all({ask(session)})));
    session_writes w{session, {}, {}};
    w.retry = session_writes::retry_change::put;
    w.retry_put = retry_row{{1}, i, "failed", "", std::chrono::hours{1}};
    must(store->commit({&w, 1}));
  }
  submit(id("chat-a"));
  const auto s = must(admin_->status());
  EXPECT_EQ(s.retrying, 8);
  ASSERT_EQ(s.retrying_sessions.size(), status_names_max);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(s.retrying_sessions[i].session, id("echo-" + std::to_string(8 - i)));
  EXPECT_EQ(s.unserved_kinds, (std::vector<std::string>{"chat", "echo"}));
}

TEST_P(admin_conformance, status_counts_what_the_sweeps_leave_over_and_what_comes_after) {
  const auto node = backend_->nodes();
  must(node->join("n1", {"echo"}));
  const auto store = turns("n1");
  submit(id("chat-nobody"), 3);  // serves it
  submit(id("echo-a"), 2);
  for (int i = 0; i < 3; ++i) {
    must(node->sweep({"echo"}, [](auto) { return true; }));
    EXPECT_EQ(must(admin_->status()).pending_commands, 5);
  }
  serve(*store, id("echo-a"));
  submit(id("echo-a"), 1, 3);
  submit(id("chat-nobody"), 1, 4);
  must(node->sweep({"echo"}, [](auto) { return true; }));
  const auto s = must(admin_->status());
  EXPECT_EQ(s.pending_commands, 5);
  EXPECT_EQ(s.pending_sessions, 2);
  EXPECT_EQ(s.unserved_commands, 4);
  EXPECT_TRUE(s.pending_is_exact);
}

}  // namespace rowcall::conformance
