#include <algorithm>

#include "tests/conformance/store_backend.hpp"

namespace rowcall::conformance {

using namespace engine;
using row = store_backend::row;

namespace {

domain_row chat_row(std::string chat, std::string name, domain_row::write_mode mode) {
  return {"chats", {"chat_id", "name"}, {std::move(chat), std::move(name)}, mode};
}
domain_row message_row(std::string chat, int message, std::string text) {
  return {"messages", {"chat_id", "message_id", "sender", "text"}, {std::move(chat), std::to_string(message), "user-ann", std::move(text)}};
}
session_writes::send send_to(const session_id& target, std::string key, std::string data = "{}") {
  return {{target, "sent", std::move(data)}, std::move(key)};
}

/// A turn's writes of every sort, on the session's first command.
session_writes everything(const session_id& session, const std::vector<command_row>& commands) {
  auto w = echo(session, {}, commands);
  w.rows.push_back(chat_row("chat-" + session.str(), "room", domain_row::write_mode::append));
  w.snapshot = snapshot_row{w.after.update, w.after.command, R"({"is":"state"})"};
  w.retry = session_writes::retry_change::put;
  w.retry_put = retry_row{w.after.command.next(), 2, "bad luck", "", std::chrono::hours{1}};
  w.dead_letters.push_back({commands.front(), "too bad", 3});
  w.sends.push_back(send_to(id("user-target"), "send:" + session.str()));
  return w;
}

}  // namespace

TEST_P(commit_conformance, everything_of_a_turn_is_appended_with_its_time) {
  const auto store = turns("n1");
  submit(id("chat-a"));
  backend_->pass(std::chrono::milliseconds{2});
  const auto claim = must(store->claim(ask_all({ask(id("chat-a"))})));
  const auto writes = everything(id("chat-a"), claim.sessions[0].commands);
  must(store->commit({&writes, 1}));

  const auto log = log_of(id("chat-a"));
  ASSERT_EQ(log.size(), 1u);
  EXPECT_EQ(log[0].seq.value, 1);
  EXPECT_EQ(log[0].command.value, 1);
  EXPECT_EQ(log[0].type, "said");
  EXPECT_EQ(log[0].created_at, claim.now);
  EXPECT_GT(log[0].created_at, claim.sessions[0].commands.at(0).created_at);
  EXPECT_EQ(backend_->table("chats", {"chat_id", "name"}), (std::vector<row>{{"chat-chat-a", "room"}}));
  const auto snapshot = must(updates_->snapshot(id("chat-a")));
  ASSERT_TRUE(snapshot);
  EXPECT_EQ(snapshot->seq.value, 1);
  EXPECT_EQ(snapshot->command.value, 1);
  EXPECT_SAME_JSON(snapshot->state, R"({"is":"state"})");
  const auto letter = must(admin_->dead_letter_of(id("chat-a"), {1}));
  EXPECT_EQ(letter.type, "say");
  EXPECT_EQ(letter.error, "too bad");
  EXPECT_EQ(letter.attempts, 3);
  EXPECT_EQ(letter.failed_at, claim.now);
  EXPECT_EQ(letter.resolution, "");
  EXPECT_SAME_JSON(letter.data, numbered(1));
  const auto sent = pending_of(id("user-target"));
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(sent[0].seq.value, 1);
  EXPECT_EQ(sent[0].type, "sent");
}

TEST_P(commit_conformance, a_turn_of_many_sessions_and_rows_is_appended_whole) {
  // More rows than any store appends in its way for small turns.
  const auto store = turns("n1");
  std::vector<session_id> sessions;
  for (int i = 0; i < 40; ++i) sessions.push_back(id("chat-" + std::to_string(i)));
  for (const auto& s : sessions) submit(s, 10);
  const auto claim = must(store->claim(ask_all(sessions)));
  std::vector<session_writes> writes;
  for (std::size_t i = 0; i < sessions.size(); ++i) {
    auto& w = writes.emplace_back(echo(sessions[i], {}, claim.sessions[i].commands, 2));
    for (int m = 1; m <= 5; ++m) w.rows.push_back(message_row(sessions[i].str(), m, "hello"));
    w.snapshot = snapshot_row{w.after.update, w.after.command, "{}"};
    w.sends.push_back(send_to(id("user-a"), "send:" + sessions[i].str()));
  }
  must(store->commit(writes));
  for (const auto& s : sessions) {
    const auto log = log_of(s);
    ASSERT_EQ(log.size(), 20u);
    for (std::size_t i = 0; i < log.size(); ++i) {
      EXPECT_EQ(log[i].seq.value, static_cast<std::int64_t>(i) + 1);
      EXPECT_EQ(log[i].command.value, static_cast<std::int64_t>(i / 2) + 1);
      EXPECT_EQ(log[i].created_at, claim.now);
    }
    EXPECT_EQ(must(updates_->snapshot(s))->seq.value, 20);
  }
  EXPECT_EQ(backend_->table("messages", {"chat_id"}).size(), 200u);
  EXPECT_EQ(pending_of(id("user-a")).size(), 40u);
}

TEST_P(commit_conformance, a_turn_may_have_nothing_to_write) {
  const auto store = turns("n1");
  submit(id("echo-a"));
  must(store->claim(ask_all({ask(id("echo-a"))})));
  const session_writes nothing{id("echo-a"), {}, {}};
  must(store->commit({&nothing, 1}));
  must(store->claim(ask_all({ask(id("echo-a"))})));
  must(store->commit({}));
  EXPECT_TRUE(log_of(id("echo-a")).empty());
  EXPECT_EQ(pending_of(id("echo-a")).size(), 1u);
}

TEST_P(commit_conformance, an_abandoned_turn_and_one_whose_store_ends_leave_nothing) {
  for (const bool is_abandoned : {true, false}) {
    auto store = turns("n1");
    const session_id session = is_abandoned ? id("chat-a") : id("chat-b");
    submit(session);
    const auto claim = must(store->claim(ask_all({ask(session)})));
    EXPECT_EQ(claim.sessions[0].commands.size(), 1u);
    if (is_abandoned) store->abandon();
    store.reset();
    EXPECT_TRUE(eventually([&] {
      const auto next = turns("n2");
      return must(next->claim(ask_all({ask(session)}))).sessions[0].commands.size() == 1;
    }));
    EXPECT_TRUE(log_of(session).empty());
  }
}

TEST_P(commit_conformance, a_stale_turn_is_fenced_and_writes_nothing) {
  const auto sessions = sessions_on_distinct_shards("chat", 2);
  const auto store = turns("n1");
  submit(sessions[0]);
  submit(sessions[1]);
  serve(*store, sessions[0]);
  must(store->claim(ask_all({ask(sessions[1])})));
  must(store->commit({}));  // both shards are this node's now: it is believed what it says about cursors

  const auto claim = must(store->claim(ask_all({ask(sessions[1], session_cursor{}), ask(sessions[0], session_cursor{})})));
  ASSERT_EQ(claim.sessions[1].commands.size(), 1u) << "a stale cursor gets what follows it";
  const std::vector writes{everything(sessions[1], claim.sessions[0].commands), echo(sessions[0], {}, claim.sessions[1].commands)};
  const auto committed = store->commit(writes);
  ASSERT_FALSE(committed);
  EXPECT_EQ(committed.error().code, errc::fenced);

  expect_each_answered_once(sessions[0], 1);
  EXPECT_TRUE(log_of(sessions[1]).empty());
  EXPECT_TRUE(backend_->table("chats", {"chat_id"}).empty());
  EXPECT_FALSE(must(updates_->snapshot(sessions[1])));
  EXPECT_TRUE(must(admin_->dead_letters(10, true)).empty());
  EXPECT_TRUE(pending_of(id("user-target")).empty());
  const auto again = must(store->claim(ask_all({ask(sessions[1])})));
  EXPECT_EQ(again.sessions[0].status, claim_status::claimed) << "the store goes on after the fence";
  EXPECT_FALSE(again.sessions[0].image->retry);
  const auto good = everything(sessions[1], again.sessions[0].commands);
  must(store->commit({&good, 1}));
  expect_each_answered_once(sessions[1], 1);
}

TEST_P(commit_conformance, a_large_stale_turn_is_fenced_too) {
  const auto store = turns("n1");
  submit(id("echo-a"), 200);
  serve(*store, id("echo-a"));
  const auto claim = must(store->claim(ask_all({ask(id("echo-a"), session_cursor{})})));
  auto writes = echo(id("echo-a"), {}, claim.sessions[0].commands, 3);
  ASSERT_EQ(writes.updates.size(), 600u);
  const auto committed = store->commit({&writes, 1});
  ASSERT_FALSE(committed);
  EXPECT_EQ(committed.error().code, errc::fenced);
  expect_each_answered_once(id("echo-a"), 200);
}

TEST_P(commit_conformance, a_turn_that_the_server_dropped_can_not_commit) {
  const auto a = turns("n1"), b = turns("n2");
  submit(id("chat-a"));
  const auto claim = must(a->claim(ask_all({ask(id("chat-a"))})));
  EXPECT_EQ(must(b->claim(ask_all({ask(id("chat-a"))}))).sessions[0].status, claim_status::skipped);
  b->abandon();
  backend_->drop_open_turns();
  serve(*b, id("chat-a"));
  const auto writes = everything(id("chat-a"), claim.sessions[0].commands);
  const auto committed = a->commit({&writes, 1});
  ASSERT_FALSE(committed);
  // A store that sends COMMIT together with the rows can not know how far the server came.
  EXPECT_TRUE(committed.error().code == errc::connection_lost || committed.error().code == errc::commit_in_doubt)
      << to_string(committed.error().code);
  expect_each_answered_once(id("chat-a"), 1);
  EXPECT_TRUE(pending_of(id("user-target")).empty());
  submit(id("chat-a"));
  serve(*a, id("chat-a"));  // it connects again by itself
  expect_each_answered_once(id("chat-a"), 2);
}

TEST_P(commit_conformance, a_turn_that_the_server_dropped_may_be_abandoned) {
  const auto a = turns("n1");
  submit(id("echo-a"));
  must(a->claim(ask_all({ask(id("echo-a"))})));
  backend_->drop_open_turns();
  a->abandon();
  EXPECT_TRUE(eventually([&] {
    const auto claim = a->claim(ask_all({ask(id("echo-a"))}));
    return claim && claim->sessions[0].commands.size() == 1;
  }));
}

TEST_P(commit_conformance, sent_commands_join_the_targets_logs_in_the_order_given) {
  const auto store = turns("n1");
  submit(id("user-b"), 2);
  submit(id("chat-a"));
  const auto claim = must(store->claim(ask_all({ask(id("chat-a"))})));
  auto w = echo(id("chat-a"), {}, claim.sessions[0].commands);
  for (int i = 1; i <= 3; ++i) {
    w.sends.push_back(send_to(id("user-b"), "send:b" + std::to_string(i), numbered(10 + i)));
    w.sends.push_back(send_to(id("user-c"), "send:c" + std::to_string(i), numbered(20 + i)));
  }
  w.sends.push_back(send_to(id("chat-a"), "send:self", numbered(30)));
  must(store->commit({&w, 1}));
  const auto b = pending_of(id("user-b")), c = pending_of(id("user-c")), a = pending_of(id("chat-a"));
  ASSERT_EQ(b.size(), 5u);
  ASSERT_EQ(c.size(), 3u);
  ASSERT_EQ(a.size(), 1u);
  for (int i = 1; i <= 3; ++i) {
    EXPECT_EQ(b[1 + i].seq.value, 2 + i);
    EXPECT_SAME_JSON(b[1 + i].data, numbered(10 + i));
    EXPECT_EQ(c[i - 1].seq.value, i);
    EXPECT_SAME_JSON(c[i - 1].data, numbered(20 + i));
  }
  EXPECT_EQ(a[0].seq.value, 2);
  EXPECT_EQ(submit(id("user-b")).value, 6);
}

TEST_P(commit_conformance, a_command_is_sent_once_by_its_key_however_often_it_is_tried) {
  const auto store = turns("n1");
  submit(id("chat-a"), 3);
  for (int i = 0; i < 3; ++i) {
    const auto claim = must(store->claim(ask_all({ask(id("chat-a"))}, {.commands_per_session_max = 1})));
    auto w = echo(id("chat-a"), claim.sessions[0].image->cursor, claim.sessions[0].commands);
    w.sends.push_back(send_to(id("user-b"), "send:chat-a/1/0"));
    if (i == 1) w.sends.push_back(send_to(id("user-b"), "send:chat-a/2/0"));
    must(store->commit({&w, 1}));
  }
  EXPECT_EQ(pending_of(id("user-b")).size(), 2u);
  EXPECT_EQ(submit(id("user-b")).value, 3) << "nor does a repetition use up a seq";
}

TEST_P(commit_conformance, what_a_lost_turn_sent_is_sent_once_when_it_is_tried_again) {
  const auto store = turns("n1");
  submit(id("chat-a"));
  for (const bool is_lost : {true, true, false}) {
    const auto claim = must(store->claim(ask_all({ask(id("chat-a"))})));
    auto w = echo(id("chat-a"), claim.sessions[0].image->cursor, claim.sessions[0].commands);
    w.sends.push_back(send_to(id("user-b"), "send:chat-a/1/0"));
    if (is_lost) backend_->drop_open_turns();
    EXPECT_EQ(store->commit({&w, 1}).has_value(), !is_lost);
    EXPECT_EQ(pending_of(id("user-b")).size(), is_lost ? 0u : 1u);
  }
}

TEST_P(commit_conformance, a_command_sent_to_a_kind_that_nobody_serves_waits) {
  const auto store = turns("n1");
  submit(id("chat-a"));
  const auto claim = must(store->claim(ask_all({ask(id("chat-a"))})));
  auto w = echo(id("chat-a"), {}, claim.sessions[0].commands);
  w.sends.push_back(send_to(id("nobody-b"), "send:chat-a/1/0"));
  must(store->commit({&w, 1}));
  EXPECT_EQ(pending_of(id("nobody-b")).size(), 1u);
}

TEST_P(commit_conformance, a_domain_row_is_appended_or_replaced_by_its_primary_key) {
  const auto store = turns("n1");
  submit(id("chat-a"), 3);
  const auto write = [&](std::vector<domain_row> rows) {
    const auto claim = must(store->claim(ask_all({ask(id("chat-a"))}, {.commands_per_session_max = 1})));
    auto w = echo(id("chat-a"), claim.sessions[0].image->cursor, claim.sessions[0].commands);
    w.rows = std::move(rows);
    return store->commit({&w, 1});
  };
  using mode = domain_row::write_mode;
  must(write({chat_row("chat-a", "first", mode::upsert), chat_row("chat-b", "other", mode::append)}));
  must(write({chat_row("chat-a", "second", mode::upsert), message_row("chat-a", 1, "hello"), message_row("chat-b", 1, "there")}));
  EXPECT_EQ(backend_->table("chats", {"chat_id", "name"}), (std::vector<row>{{"chat-a", "second"}, {"chat-b", "other"}}));
  EXPECT_EQ(backend_->table("messages", {"chat_id", "message_id", "sender", "text"}),
            (std::vector<row>{{"chat-a", "1", "user-ann", "hello"}, {"chat-b", "1", "user-ann", "there"}}));

  const auto collides = write({chat_row("chat-c", "new", mode::append), chat_row("chat-b", "again", mode::append)});
  EXPECT_FALSE(collides) << "an appended row may not replace one";
  EXPECT_EQ(backend_->table("chats", {"chat_id", "name"}), (std::vector<row>{{"chat-a", "second"}, {"chat-b", "other"}}));
  EXPECT_EQ(log_of(id("chat-a")).size(), 2u);
  must(write({}));
  expect_each_answered_once(id("chat-a"), 3);
}

TEST_P(commit_conformance, a_domain_row_may_be_replaced_more_than_once_in_a_turn) {
  const auto store = turns("n1");
  const auto sessions = sessions_on_distinct_shards("chat", 2);
  for (const auto& s : sessions) submit(s);
  const auto claim = must(store->claim(ask_all(sessions)));
  std::vector<session_writes> writes;
  for (std::size_t i = 0; i < 2; ++i) {
    auto& w = writes.emplace_back(echo(sessions[i], {}, claim.sessions[i].commands));
    for (int n = 1; n <= 3; ++n)
      w.rows.push_back(chat_row(sessions[i].str(), "name " + std::to_string(n), domain_row::write_mode::upsert));
  }
  must(store->commit(writes));
  for (const auto& r : backend_->table("chats", {"name"})) EXPECT_EQ(r[0], "name 3") << "the last one counts";
  EXPECT_EQ(backend_->table("chats", {"name"}).size(), 2u);
}

TEST_P(commit_conformance, a_domain_row_is_removed_by_its_primary_key) {
  const auto store = turns("n1");
  submit(id("chat-a"), 3);
  const auto write = [&](std::vector<domain_row> rows) {
    const auto claim = must(store->claim(ask_all({ask(id("chat-a"))}, {.commands_per_session_max = 1})));
    auto w = echo(id("chat-a"), claim.sessions[0].image->cursor, claim.sessions[0].commands);
    w.rows = std::move(rows);
    must(store->commit({&w, 1}));
  };
  using mode = domain_row::write_mode;
  const auto member = [](std::string user, mode m) {
    return domain_row{"members", {"chat_id", "user_id"}, {"chat-a", std::move(user)}, m};
  };
  write({member("user-ann", mode::append), member("user-o'brien \\ {,}", mode::append), member("user-bob", mode::append)});
  write({member("user-ann", mode::remove), member("user-o'brien \\ {,}", mode::remove), member("user-nobody", mode::remove)});
  EXPECT_EQ(backend_->table("members", {"user_id"}), (std::vector<row>{{"user-bob"}}));
  write({member("user-ann", mode::upsert), member("user-ann", mode::remove), member("user-bob", mode::remove),
         member("user-bob", mode::upsert), member("user-cyd", mode::upsert), member("user-cyd", mode::remove),
         member("user-cyd", mode::upsert)});
  EXPECT_EQ(backend_->table("members", {"user_id"}), (std::vector<row>{{"user-bob"}, {"user-cyd"}}))
      << "rows of one turn are written in the order given";
}

TEST_P(commit_conformance, a_row_for_a_table_that_is_not_there_fails_the_turn) {
  const auto store = turns("n1");
  submit(id("chat-a"));
  const auto claim = must(store->claim(ask_all({ask(id("chat-a"))})));
  auto w = echo(id("chat-a"), {}, claim.sessions[0].commands);
  w.rows.push_back({"no_such_table", {"a"}, {"b"}});
  EXPECT_FALSE(store->commit({&w, 1}));
  EXPECT_TRUE(log_of(id("chat-a")).empty());
  serve(*store, id("chat-a"));
  expect_each_answered_once(id("chat-a"), 1);
}

TEST_P(commit_conformance, a_retry_row_is_put_replaced_and_cleared) {
  using std::chrono::milliseconds;
  const auto store = turns("n1");
  submit(id("echo-a"), 2);
  const auto change = [&](session_writes::retry_change change, std::optional<retry_row> put) {
    must(store->claim(ask_all({ask(id("echo-a"))})));
    session_writes w{id("echo-a"), {}, {}};
    w.retry = change;
    w.retry_put = std::move(put);
    must(store->commit({&w, 1}));
  };
  const auto look = [&] {
    auto claim = must(store->claim(ask_all({ask(id("echo-a"))})));
    store->abandon();
    return std::move(claim.sessions.at(0));
  };
  using change_to = session_writes::retry_change;
  change(change_to::put, retry_row{{1}, 3, "the error", "", std::chrono::hours{1}});
  const auto held = look();
  EXPECT_TRUE(held.commands.empty()) << "they wait with the one that failed";
  EXPECT_TRUE(must(store->claim(ask_all({ask(id("echo-a"), session_cursor{})}))).sessions.at(0).commands.empty());
  store->abandon();
  const auto& waiting = held.image->retry;
  ASSERT_TRUE(waiting);
  EXPECT_EQ(waiting->command.value, 1);
  EXPECT_EQ(waiting->attempts, 3);
  EXPECT_EQ(waiting->last_error, "the error");
  EXPECT_EQ(waiting->armed_by, "");
  EXPECT_LE(waiting->wait, std::chrono::hours{1});
  EXPECT_GT(waiting->wait, std::chrono::minutes{55});

  change(change_to::keep, {});
  EXPECT_TRUE(look().image->retry);

  change(change_to::put, retry_row{{1}, 4, "", "n1", milliseconds{0}});
  const auto armed = look();
  ASSERT_TRUE(armed.image->retry);
  EXPECT_EQ(armed.image->retry->attempts, 4);
  EXPECT_EQ(armed.image->retry->armed_by, "n1");
  EXPECT_EQ(armed.image->retry->wait, milliseconds{0});
  EXPECT_EQ(armed.commands.size(), 2u);

  change(change_to::put, retry_row{{1}, 5, "", "", milliseconds{20}});
  backend_->pass(milliseconds{21});
  EXPECT_EQ(look().image->retry->wait, milliseconds{0});

  change(change_to::clear, {});
  EXPECT_FALSE(look().image->retry);
  change(change_to::clear, {});
}

TEST_P(commit_conformance, hostile_text_comes_back_from_every_column) {
  const auto store = turns("n1");
  const auto& texts = hostile_texts();
  const int count = static_cast<int>(texts.size());
  submit(id("chat-a"), count);
  const auto claim = must(store->claim(ask_all({ask(id("chat-a"))})));
  const auto& commands = claim.sessions[0].commands;
  ASSERT_EQ(std::ssize(commands), count);
  session_writes w{id("chat-a"), {}, {{count}, {count}}};
  for (int i = 0; i < count; ++i) {
    w.updates.push_back({{i + 1}, {i + 1}, "said", object_with(texts[i])});
    w.rows.push_back(message_row("chat-a", i + 1, texts[i]));
    auto parked = commands[i];
    parked.data = object_with(texts[i]);
    w.dead_letters.push_back({parked, texts[i].substr(0, 1'000), 1});  // a store may cut a long error
    w.sends.push_back(send_to(id("user-b"), "send:" + std::to_string(i) + texts[i].substr(0, 100), object_with(texts[i])));
  }
  std::string all = "[";
  for (int i = 0; i < count; ++i) all += (i == 0 ? "" : ",") + object_with(texts[i]);
  w.snapshot = snapshot_row{w.after.update, w.after.command, "{\"all\":" + all + "]}"};
  w.retry = session_writes::retry_change::put;
  w.retry_put = retry_row{{count + 1}, 1, "tab\t newline\n \\. \" ' {} , NULL $$ \xf0\x9f\x98\x80", "n\\1", {}};
  must(store->commit({&w, 1}));

  const auto log = log_of(id("chat-a"));
  const auto sent = pending_of(id("user-b"));
  ASSERT_EQ(std::ssize(log), count);
  ASSERT_EQ(std::ssize(sent), count);
  for (int i = 0; i < count; ++i) {
    EXPECT_SAME_JSON(log[i].data, object_with(texts[i]));
    EXPECT_SAME_JSON(sent[i].data, object_with(texts[i]));
    const auto letter = must(admin_->dead_letter_of(id("chat-a"), {i + 1}));
    EXPECT_SAME_JSON(letter.data, object_with(texts[i]));
    EXPECT_EQ(letter.error, texts[i].substr(0, 1'000));
  }
  std::vector<row> messages;
  for (const auto& text : texts) messages.push_back({text});
  std::sort(messages.begin(), messages.end());
  EXPECT_EQ(backend_->table("messages", {"text"}), messages);
  EXPECT_SAME_JSON(must(updates_->snapshot(id("chat-a")))->state, w.snapshot->state);
  const auto image = must(store->claim(ask_all({ask(id("chat-a"))}))).sessions[0].image;
  ASSERT_TRUE(image && image->retry);
  EXPECT_EQ(image->retry->last_error, w.retry_put->last_error);
  EXPECT_EQ(image->retry->armed_by, w.retry_put->armed_by);
  EXPECT_SAME_JSON(image->snapshot->state, w.snapshot->state);
}

TEST_P(commit_conformance, hostile_text_comes_back_from_a_small_turn_too) {
  // One command a turn: small turns may be written in another way than large ones.
  const auto store = turns("n1");
  for (const auto& text : hostile_texts()) submit(request(id("chat-a"), object_with(text)));
  for (std::size_t i = 0; i < hostile_texts().size(); ++i) {
    const auto claim = must(store->claim(ask_all({ask(id("chat-a"))}, {.commands_per_session_max = 1})));
    auto w = echo(id("chat-a"), claim.sessions[0].image->cursor, claim.sessions[0].commands);
    w.rows.push_back(message_row("chat-a", static_cast<int>(i) + 1, hostile_texts()[i]));
    w.snapshot = snapshot_row{w.after.update, w.after.command, object_with(hostile_texts()[i])};
    must(store->commit({&w, 1}));
    EXPECT_SAME_JSON(must(updates_->snapshot(id("chat-a")))->state, object_with(hostile_texts()[i]));
  }
  const auto log = log_of(id("chat-a"));
  ASSERT_EQ(log.size(), hostile_texts().size());
  for (std::size_t i = 0; i < log.size(); ++i) EXPECT_SAME_JSON(log[i].data, object_with(hostile_texts()[i]));
  EXPECT_EQ(backend_->table("messages", {"text"}).size(), log.size());
}

}  // namespace rowcall::conformance
