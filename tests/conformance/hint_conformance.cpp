#include "tests/conformance/store_backend.hpp"

/// A claim that takes a wake's word for the pending command. A store may fetch all the same; what counts is the log.
namespace rowcall::conformance {

using namespace engine;

namespace {

std::shared_ptr<const command_row> row_of(std::int64_t seq, std::string data, std::string type = "say") {
  return std::make_shared<const command_row>(command_row{{seq}, std::move(type), std::move(data), {}});
}

session_request ask_expecting(const session_id& session, session_cursor cursor,
                              std::shared_ptr<const command_row> expected) {
  auto request = ask(session, cursor);
  request.expected = std::move(expected);
  return request;
}

/// What a worker does with the claim: echoes what it got. False when nothing could be committed.
bool serve_expecting(turn_store& store, const session_request& request) {
  const auto claim = must(store.claim(ask_all({request})));
  if (claim.sessions[0].status != claim_status::claimed || claim.sessions[0].commands.empty() ||
      !claim.taken_over.empty()) {
    store.abandon();
    return false;
  }
  const auto writes = echo(request.session, *request.cursor, claim.sessions[0].commands);
  const auto committed = store.commit({&writes, 1});
  if (!committed) {
    EXPECT_EQ(committed.error().code, errc::serialization_failure) << committed.error().message;
    return false;
  }
  return true;
}

}  // namespace

TEST_P(hint_conformance, the_command_that_is_pending_is_answered) {
  const auto store = turns("n1");
  submit(id("echo-a"));
  const auto cursor = serve(*store, id("echo-a"));
  submit(id("echo-a"), 1, 2);
  const auto stored = pending_of(id("echo-a"), "n1").at(0);
  const auto request = ask_expecting(id("echo-a"), cursor, std::make_shared<const command_row>(stored));
  const auto claim = must(store->claim(ask_all({request})));
  ASSERT_EQ(claim.sessions.at(0).commands.size(), 1u);
  EXPECT_EQ(claim.sessions[0].commands[0].data, stored.data);
  const auto writes = echo(id("echo-a"), cursor, claim.sessions[0].commands);
  const auto at = must(store->commit({&writes, 1}));
  expect_each_answered_once(id("echo-a"), 2);
  EXPECT_EQ(log_of(id("echo-a")).back().created_at, at);
  EXPECT_TRUE(pending_of(id("echo-a"), "n1").empty());
}

TEST_P(hint_conformance, what_the_log_does_not_say_is_not_answered) {
  const auto store = turns("n1");
  submit(id("echo-a"));
  const auto cursor = serve(*store, id("echo-a"));
  submit(id("echo-a"), 1, 2);
  const auto stored = pending_of(id("echo-a"), "n1").at(0);
  for (const auto& wrong : {row_of(2, R"({"n": 99})"), row_of(2, stored.data, "shout"), row_of(3, stored.data)})
    if (serve_expecting(*store, ask_expecting(id("echo-a"), cursor, wrong))) {
      // This store has looked for itself.
      EXPECT_SAME_JSON(log_of(id("echo-a")).back().data, numbered(2));
      return;
    }
  EXPECT_EQ(log_of(id("echo-a")).size(), 1u);
  EXPECT_EQ(serve(*store, id("echo-a")).command.value, 2);
  EXPECT_SAME_JSON(log_of(id("echo-a")).back().data, numbered(2));
}

TEST_P(hint_conformance, a_turn_with_effects_of_every_sort_is_committed_whole_or_not_at_all) {
  const auto store = turns("n1");
  submit(id("chat-a"));
  const auto cursor = serve(*store, id("chat-a"));
  submit(id("chat-a"), 1, 2);
  const auto stored = pending_of(id("chat-a"), "n1").at(0);
  const auto with_effects = [&](std::vector<command_row> commands) {
    auto w = echo(id("chat-a"), cursor, commands, 2);
    w.rows.push_back({"chats", {"chat_id", "name"}, {"chat-a", "room"}});
    w.snapshot = snapshot_row{w.after.update, w.after.command, "{}"};
    w.sends.push_back({{id("user-b"), "sent", "{}"}, "send:chat-a/2/0"});
    return w;
  };
  const auto wrong = must(store->claim(ask_all({ask_expecting(id("chat-a"), cursor, row_of(2, R"({"n": 99})"))})));
  const bool looked = !wrong.is_unverified;
  const auto refused = with_effects(wrong.sessions.at(0).commands);
  if (looked) {
    store->abandon();
  } else {
    const auto committed = store->commit({&refused, 1});
    ASSERT_FALSE(committed);
    EXPECT_EQ(committed.error().code, errc::serialization_failure);
  }
  EXPECT_EQ(log_of(id("chat-a")).size(), 1u);
  EXPECT_TRUE(backend_->table("chats", {"chat_id"}).empty());
  EXPECT_TRUE(pending_of(id("user-b"), "n1").empty());

  const auto claim =
      must(store->claim(ask_all({ask_expecting(id("chat-a"), cursor, std::make_shared<const command_row>(stored))})));
  const auto writes = with_effects(claim.sessions.at(0).commands);
  const auto at = must(store->commit({&writes, 1}));
  const auto log = log_of(id("chat-a"));
  ASSERT_EQ(log.size(), 3u);
  EXPECT_EQ(log.back().created_at, at);
  EXPECT_EQ(backend_->table("chats", {"chat_id"}).size(), 1u);
  EXPECT_EQ(must(updates_->snapshot(id("chat-a")))->seq.value, 3);
  EXPECT_EQ(pending_of(id("user-b"), "n1").size(), 1u);
}

TEST_P(hint_conformance, the_hint_of_a_shard_that_another_node_took_is_not_answered) {
  const auto a = turns("n1"), b = turns("n2");
  submit(id("echo-a"));
  const auto cursor = serve(*a, id("echo-a"));
  submit(id("echo-a"), 1, 2);
  const auto stored = pending_of(id("echo-a"), "n1").at(0);
  must(b->claim(ask_all({ask(id("echo-a"))})));
  must(b->commit({}));  // the shard is n2's now, and nothing else has changed
  EXPECT_FALSE(serve_expecting(*a, ask_expecting(id("echo-a"), cursor, std::make_shared<const command_row>(stored))));
  EXPECT_EQ(log_of(id("echo-a")).size(), 1u);
}

TEST_P(hint_conformance, the_hint_of_a_shard_that_is_locked_is_not_answered) {
  const auto a = turns("n1"), b = turns("n1");
  submit(id("echo-a"));
  const auto cursor = serve(*a, id("echo-a"));
  submit(id("echo-a"), 1, 2);
  const auto stored = pending_of(id("echo-a"), "n1").at(0);
  must(b->claim(ask_all({ask(id("echo-a"))})));
  EXPECT_FALSE(serve_expecting(*a, ask_expecting(id("echo-a"), cursor, std::make_shared<const command_row>(stored))));
  b->abandon();
  EXPECT_TRUE(serve_expecting(*a, ask_expecting(id("echo-a"), cursor, std::make_shared<const command_row>(stored))));
  expect_each_answered_once(id("echo-a"), 2);
}

TEST_P(hint_conformance, a_session_that_waits_for_a_retry_waits_for_its_time) {
  const auto store = turns("n1");
  submit(id("echo-a"), 2);
  const auto claim = must(store->claim(ask_all({ask(id("echo-a"))}, {.commands_per_session_max = 1})));
  auto w = echo(id("echo-a"), {}, claim.sessions.at(0).commands);
  w.retry = session_writes::retry_change::put;
  w.retry_put = retry_row{{2}, 1, "bad luck", "", std::chrono::hours{1}};
  must(store->commit({&w, 1}));
  EXPECT_FALSE(serve_expecting(*store, ask_expecting(id("echo-a"), w.after, row_of(2, R"({"n": 2})"))));
  EXPECT_EQ(log_of(id("echo-a")).size(), 1u);
}

TEST_P(hint_conformance, a_late_attempt_at_a_command_that_is_answered_leaves_no_retry_behind) {
  const auto late = turns("n1"), store = turns("n1");
  submit(id("echo-a"));
  const auto cursor = serve(*store, id("echo-a"));
  submit(id("echo-a"), 1, 2);
  const auto stored = pending_of(id("echo-a"), "n1").at(0);
  const auto claim = must(
      late->claim(ask_all({ask_expecting(id("echo-a"), cursor, std::make_shared<const command_row>(stored))})));
  if (!claim.is_unverified) return late->abandon();  // this store has locked: nobody comes in between
  EXPECT_EQ(serve(*store, id("echo-a")).command.value, 2);
  session_writes held;
  held.session = id("echo-a");
  held.before = held.after = cursor;
  held.retry = session_writes::retry_change::put;
  held.retry_put = retry_row{{2}, 1, "bad luck", "", std::chrono::milliseconds{0}};
  const auto committed = late->commit({&held, 1});
  ASSERT_FALSE(committed);
  EXPECT_EQ(committed.error().code, errc::serialization_failure);
  const auto after = must(store->claim(ask_all({ask(id("echo-a"))})));
  store->abandon();
  EXPECT_FALSE(after.sessions.at(0).image->retry);
}

TEST_P(hint_conformance, an_abandoned_hint_leaves_the_store_as_it_was) {
  const auto store = turns("n1");
  submit(id("echo-a"));
  const auto cursor = serve(*store, id("echo-a"));
  submit(id("echo-a"), 1, 2);
  must(store->claim(ask_all({ask_expecting(id("echo-a"), cursor, row_of(2, R"({"n": 2})"))})));
  store->abandon();
  EXPECT_EQ(serve(*store, id("echo-a")).command.value, 2);
}

}  // namespace rowcall::conformance
