#include <map>
#include <set>

#include "tests/conformance/store_backend.hpp"

namespace rowcall::conformance {

using namespace engine;

TEST_P(claim_conformance, a_session_without_commands_is_claimed_empty) {
  const auto store = turns("n1");
  const auto claim = must(store->claim(ask_all({ask(id("echo-a"))})));
  ASSERT_EQ(claim.sessions.size(), 1u);
  EXPECT_EQ(claim.sessions[0].status, claim_status::claimed);
  EXPECT_TRUE(claim.sessions[0].commands.empty());
  EXPECT_FALSE(claim.sessions[0].has_more);
  ASSERT_TRUE(claim.sessions[0].image);
  EXPECT_EQ(claim.sessions[0].image->cursor, session_cursor{});
  EXPECT_FALSE(claim.sessions[0].image->snapshot);
  EXPECT_TRUE(claim.sessions[0].image->tail.empty());
  EXPECT_FALSE(claim.sessions[0].image->retry);
  EXPECT_EQ(claim.sessions[0].image->careful_until.value, 0);
}

TEST_P(claim_conformance, an_empty_request_is_a_turn_too) {
  const auto store = turns("n1");
  EXPECT_TRUE(must(store->claim({})).sessions.empty());
  must(store->commit({}));
}

TEST_P(claim_conformance, an_unknown_cursor_is_probed_and_the_commands_follow_it) {
  const auto store = turns("n1");
  submit(id("echo-a"), 3);
  const auto cursor = serve(*store, id("echo-a"), 2);
  EXPECT_EQ(cursor, (session_cursor{{6}, {3}}));
  submit(id("echo-a"), 2, 4);
  const auto claim = must(store->claim(ask_all({ask(id("echo-a"))})));
  const auto& c = claim.sessions.at(0);
  ASSERT_TRUE(c.image);
  EXPECT_EQ(c.image->cursor, cursor);
  ASSERT_EQ(c.commands.size(), 2u);
  EXPECT_EQ(c.commands[0].seq.value, 4);
  EXPECT_SAME_JSON(c.commands[0].data, numbered(4));
  EXPECT_EQ(c.commands[1].seq.value, 5);
}

TEST_P(claim_conformance, a_known_cursor_gets_its_commands_without_an_image) {
  const auto store = turns("n1");
  submit(id("echo-a"), 2);
  const auto cursor = serve(*store, id("echo-a"));
  submit(id("echo-a"), 2, 3);
  const auto claim = must(store->claim(ask_all({ask(id("echo-a"), cursor)})));
  const auto& c = claim.sessions.at(0);
  EXPECT_FALSE(c.image);
  ASSERT_EQ(c.commands.size(), 2u);
  EXPECT_EQ(c.commands[0].seq.value, 3);
  EXPECT_EQ(c.commands[1].seq.value, 4);
}

TEST_P(claim_conformance, known_and_unknown_cursors_may_stand_in_one_request) {
  const auto store = turns("n1");
  submit(id("echo-a"), 2);
  submit(id("echo-b"), 2);
  const auto cursor = serve(*store, id("echo-a"));
  serve(*store, id("echo-b"), 3);
  submit(id("echo-a"), 1, 3);
  submit(id("echo-b"), 1, 3);
  const auto claim = must(store->claim(ask_all({ask(id("echo-b")), ask(id("echo-a"), cursor), ask(id("echo-c"))})));
  ASSERT_EQ(claim.sessions.size(), 3u);
  ASSERT_TRUE(claim.sessions[0].image);
  EXPECT_EQ(claim.sessions[0].image->cursor, (session_cursor{{6}, {2}}));
  EXPECT_FALSE(claim.sessions[1].image);
  EXPECT_TRUE(claim.sessions[2].image || !claim.taken_over.empty());
  EXPECT_EQ(claim.sessions[0].commands.at(0).seq.value, 3);
  EXPECT_EQ(claim.sessions[1].commands.at(0).seq.value, 3);
  EXPECT_TRUE(claim.sessions[2].commands.empty());
}

TEST_P(claim_conformance, at_most_so_many_commands_of_a_session_and_the_others_get_theirs) {
  const auto store = turns("n1");
  submit(id("echo-a"), 10);
  submit(id("echo-b"), 2);
  const auto claim =
      must(store->claim(ask_all(std::vector{id("echo-a"), id("echo-b")}, {.commands_per_session_max = 4})));
  ASSERT_EQ(claim.sessions[0].commands.size(), 4u);
  EXPECT_EQ(claim.sessions[0].commands[3].seq.value, 4);
  EXPECT_TRUE(claim.sessions[0].has_more);
  EXPECT_EQ(claim.sessions[1].commands.size(), 2u);
  EXPECT_FALSE(claim.sessions[1].has_more);
}

TEST_P(claim_conformance, at_most_so_many_commands_of_a_turn_in_the_order_of_the_request) {
  const auto store = turns("n1");
  const auto sessions = sessions_on_distinct_shards("echo", 4);
  for (const auto& s : sessions) submit(s, 3);
  const auto claim = must(store->claim(ask_all(sessions, {.commands_max = 5})));
  EXPECT_EQ(claim.sessions[0].status, claim_status::claimed);
  EXPECT_EQ(claim.sessions[0].commands.size(), 3u);
  EXPECT_FALSE(claim.sessions[0].has_more);
  EXPECT_EQ(claim.sessions[1].status, claim_status::claimed);
  EXPECT_EQ(claim.sessions[1].commands.size(), 2u);
  EXPECT_TRUE(claim.sessions[1].has_more);
  EXPECT_EQ(claim.sessions[2].status, claim_status::not_reached);
  EXPECT_EQ(claim.sessions[3].status, claim_status::not_reached);
}

TEST_P(claim_conformance, a_turn_that_is_full_between_two_sessions_does_not_reach_the_next) {
  const auto store = turns("n1");
  const auto sessions = sessions_on_distinct_shards("echo", 3);
  for (const auto& s : sessions) submit(s, 2);
  const auto claim = must(store->claim(ask_all(sessions, {.commands_max = 4})));
  EXPECT_EQ(claim.sessions[0].commands.size(), 2u);
  EXPECT_EQ(claim.sessions[1].commands.size(), 2u);
  EXPECT_EQ(claim.sessions[2].status, claim_status::not_reached);
  EXPECT_TRUE(claim.sessions[2].commands.empty());
}

TEST_P(claim_conformance, at_most_so_many_sessions_of_a_turn) {
  const auto store = turns("n1");
  const auto sessions = sessions_on_distinct_shards("echo", 4);
  for (const auto& s : sessions) submit(s);
  const auto claim = must(store->claim(ask_all(sessions, {.sessions_max = 2})));
  ASSERT_EQ(claim.sessions.size(), 4u);
  EXPECT_EQ(claim.sessions[0].commands.size(), 1u);
  EXPECT_EQ(claim.sessions[1].commands.size(), 1u);
  EXPECT_EQ(claim.sessions[2].status, claim_status::not_reached);
  EXPECT_EQ(claim.sessions[3].status, claim_status::not_reached);
}

TEST_P(claim_conformance, the_bound_on_bytes_holds_and_cuts_between_commands) {
  const auto store = turns("n1");
  const auto sessions = sessions_on_distinct_shards("echo", 3);
  for (const auto& s : sessions)
    for (int i = 0; i < 3; ++i) submit(request(s, "{\"text\":\"" + std::string(1000, 'x') + "\"}"));
  const auto claim = must(store->claim(ask_all(sessions, {.data_bytes_max = 4'500})));
  std::size_t bytes = 0, commands = 0;
  for (const auto& c : claim.sessions)
    for (const auto& row : c.commands) bytes += row.data.size(), commands += 1;
  EXPECT_LE(bytes, 4'500u);
  EXPECT_EQ(commands, 4u);
  EXPECT_EQ(claim.sessions[0].commands.size(), 3u);
  EXPECT_EQ(claim.sessions[1].commands.size(), 1u);
  EXPECT_TRUE(claim.sessions[1].has_more);
  EXPECT_EQ(claim.sessions[2].status, claim_status::not_reached);
}

TEST_P(claim_conformance, one_command_is_always_taken_however_large) {
  const auto store = turns("n1");
  const auto sessions = sessions_on_distinct_shards("echo", 2);
  for (const auto& s : sessions)
    for (int i = 0; i < 2; ++i) submit(request(s, "{\"text\":\"" + std::string(1000, 'x') + "\"}"));
  const auto claim = must(store->claim(ask_all(sessions, {.data_bytes_max = 10})));
  EXPECT_EQ(claim.sessions[0].commands.size(), 1u);
  EXPECT_TRUE(claim.sessions[0].has_more);
  EXPECT_EQ(claim.sessions[1].status, claim_status::not_reached);
}

/// Their number alone would let through a thousand times the bound.
TEST_P(claim_conformance, the_bound_on_bytes_holds_where_large_commands_stand_among_small_ones) {
  const auto store = turns("n1");
  const auto sessions = sessions_on_distinct_shards("echo", 2);
  for (int i = 0; i < 20; ++i) submit(request(sessions[0]));
  for (int i = 0; i < 4; ++i) submit(request(sessions[1], "{\"text\":\"" + std::string(40'000, 'x') + "\"}"));
  std::optional<session_cursor> cursor;
  for (int served = 0, turns = 0; served < 4; ++turns) {
    ASSERT_LT(turns, 4);
    const auto claim = must(store->claim(ask_all({ask(sessions[0]), ask(sessions[1], cursor)}, {.data_bytes_max = 100'000})));
    std::size_t bytes = 0;
    for (const auto& c : claim.sessions)
      for (const auto& row : c.commands) bytes += row.data.size();
    EXPECT_LE(bytes, 100'000u);
    std::vector<session_writes> writes;
    for (const auto& c : claim.sessions) {
      if (c.commands.empty()) continue;
      const auto& session = sessions[static_cast<std::size_t>(&c - claim.sessions.data())];
      writes.push_back(echo(session, c.image ? c.image->cursor : *cursor, c.commands));
      if (session == sessions[1]) {
        served += static_cast<int>(c.commands.size());
        cursor = writes.back().after;
      }
    }
    must(store->commit(writes));
  }
  expect_each_answered_once(sessions[0], 20);
  expect_each_answered_once(sessions[1], 4);
}

TEST_P(claim_conformance, under_tight_bounds_every_command_is_served_once_and_in_order) {
  const auto store = turns("n1");
  const auto sessions = sessions_on_distinct_shards("echo", 7);
  for (std::size_t i = 0; i < sessions.size(); ++i) submit(sessions[i], static_cast<int>(3 * i));
  std::map<session_id, session_cursor> known;
  std::size_t turns_made = 0;
  for (std::vector<session_id> ready = sessions; !ready.empty();) {
    ASSERT_LT(++turns_made, 100u) << "no progress";
    turn_request request{
        {}, {.sessions_max = 3, .commands_per_session_max = 4, .commands_max = 5, .data_bytes_max = 40}};
    for (const auto& s : ready)
      request.sessions.push_back(ask(s, known.contains(s) ? std::optional{known[s]} : std::nullopt));
    const auto claim = must(store->claim(request));
    std::vector<session_writes> writes;
    std::vector<session_id> later, left;
    std::size_t commands = 0;
    for (std::size_t i = 0; i < ready.size(); ++i) {
      const auto& c = claim.sessions[i];
      ASSERT_NE(c.status, claim_status::skipped);
      if (c.status == claim_status::not_reached) {
        EXPECT_TRUE(c.commands.empty());
        left.push_back(ready[i]);
        continue;
      }
      writes.push_back(echo(ready[i], c.image ? c.image->cursor : known.at(ready[i]), c.commands));
      known[ready[i]] = writes.back().after;
      EXPECT_LE(c.commands.size(), 4u);
      commands += c.commands.size();
      if (c.has_more) later.push_back(ready[i]);
    }
    EXPECT_LE(commands, 5u);
    EXPECT_LE(writes.size(), 3u);
    must(store->commit(writes));
    left.insert(left.end(), later.begin(), later.end());
    ready = std::move(left);
  }
  for (std::size_t i = 0; i < sessions.size(); ++i) expect_each_answered_once(sessions[i], static_cast<std::int64_t>(3 * i));
}

TEST_P(claim_conformance, what_another_turn_holds_is_skipped_and_the_rest_is_claimed) {
  const auto sessions = sessions_on_distinct_shards("echo", 3);
  for (const auto& s : sessions) submit(s);
  const auto a = turns("n1"), b = turns("n2");
  must(a->claim(ask_all({ask(sessions[1])})));
  const auto claim = must(b->claim(ask_all(sessions)));
  EXPECT_EQ(claim.sessions[0].status, claim_status::claimed);
  EXPECT_EQ(claim.sessions[0].commands.size(), 1u);
  EXPECT_EQ(claim.sessions[1].status, claim_status::skipped);
  EXPECT_TRUE(claim.sessions[1].commands.empty());
  EXPECT_FALSE(claim.sessions[1].image);
  EXPECT_EQ(claim.sessions[2].status, claim_status::claimed);
  EXPECT_EQ(claim.sessions[2].commands.size(), 1u);
}

TEST_P(claim_conformance, a_lock_belongs_to_one_turn_even_among_turns_of_one_node) {
  submit(id("echo-a"));
  const auto a = turns("n1"), b = turns("n1");
  must(a->claim(ask_all({ask(id("echo-a"))})));
  EXPECT_EQ(must(b->claim(ask_all({ask(id("echo-a"))}))).sessions[0].status, claim_status::skipped);
}

TEST_P(claim_conformance, a_commit_an_abandon_and_the_end_of_the_store_free_the_shard) {
  submit(id("echo-a"));
  auto a = turns("n1");
  const auto b = turns("n2");
  const auto look = [&] {
    const auto status = must(b->claim(ask_all({ask(id("echo-a"))}))).sessions[0].status;
    b->abandon();
    return status;
  };
  must(a->claim(ask_all({ask(id("echo-a"))})));
  EXPECT_EQ(look(), claim_status::skipped);
  must(a->commit({}));
  EXPECT_EQ(look(), claim_status::claimed);
  must(a->claim(ask_all({ask(id("echo-a"))})));
  EXPECT_EQ(look(), claim_status::skipped);
  a->abandon();
  EXPECT_EQ(look(), claim_status::claimed);
  must(a->claim(ask_all({ask(id("echo-a"))})));
  EXPECT_EQ(look(), claim_status::skipped);
  a.reset();
  EXPECT_TRUE(eventually([&] { return look() == claim_status::claimed; }));
}

TEST_P(claim_conformance, the_sessions_of_one_shard_are_claimed_together) {
  std::vector<session_id> sessions{id("echo-0")};
  for (int i = 1; sessions.size() < 3; ++i) {
    auto s = id("echo-" + std::to_string(i));
    if (shard_of(s, shard_count_default) == shard_of(sessions[0], shard_count_default)) sessions.push_back(std::move(s));
  }
  for (const auto& s : sessions) submit(s);
  const auto store = store_conformance::turns("n1");
  const auto claim = must(store->claim(ask_all(sessions)));
  for (const auto& c : claim.sessions) {
    EXPECT_EQ(c.status, claim_status::claimed);
    EXPECT_EQ(c.commands.size(), 1u);
  }
  EXPECT_EQ(claim.taken_over, std::vector{shard_of(sessions[0], shard_count_default)});
}

TEST_P(claim_conformance, abandon_without_an_open_turn_does_nothing) {
  const auto store = turns("n1");
  store->abandon();
  submit(id("echo-a"));
  serve(*store, id("echo-a"));
  store->abandon();
  expect_each_answered_once(id("echo-a"), 1);
}

TEST_P(claim_conformance, a_claim_sees_what_was_submitted_and_committed_before_it) {
  const auto a = turns("n1"), b = turns("n2");
  for (int i = 0; i < 20; ++i) {
    submit(id("echo-a"));
    serve(i % 2 == 0 ? *a : *b, id("echo-a"));
  }
  expect_each_answered_once(id("echo-a"), 20);
}

TEST_P(claim_conformance, the_image_is_the_last_snapshot_and_the_updates_after_it) {
  const auto store = turns("n1");
  submit(id("chat-a"), 2);
  const std::string states[] = {R"({"members":["ann"]})", R"({"members":["ann","bob"]})"};
  for (const auto& state : states) {
    const auto claim = must(store->claim(ask_all({ask(id("chat-a"))}, {.commands_per_session_max = 1})));
    auto writes = echo(id("chat-a"), claim.sessions[0].image->cursor, claim.sessions[0].commands, 2);
    writes.snapshot = snapshot_row{writes.after.update, writes.after.command, state};
    must(store->commit({&writes, 1}));
  }
  submit(id("chat-a"), 2, 3);
  serve(*store, id("chat-a"), 2);

  const auto claim = must(store->claim(ask_all({ask(id("chat-a"))})));
  const auto& image = claim.sessions[0].image;
  ASSERT_TRUE(image);
  EXPECT_EQ(image->cursor, (session_cursor{{8}, {4}}));
  ASSERT_TRUE(image->snapshot);
  EXPECT_EQ(image->snapshot->seq.value, 4);
  EXPECT_EQ(image->snapshot->command.value, 2);
  EXPECT_SAME_JSON(image->snapshot->state, states[1]);
  ASSERT_EQ(image->tail.size(), 4u);
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(image->tail[i].seq.value, 5 + i);
    EXPECT_EQ(image->tail[i].command.value, 3 + i / 2);
    EXPECT_EQ(image->tail[i].type, "said");
    EXPECT_SAME_JSON(image->tail[i].data, numbered(3 + i / 2));
  }
}

TEST_P(claim_conformance, without_a_snapshot_the_image_is_the_whole_log) {
  const auto store = turns("n1");
  submit(id("chat-a"), 5);
  serve(*store, id("chat-a"));
  const auto claim = must(store->claim(ask_all({ask(id("chat-a"))})));
  ASSERT_TRUE(claim.sessions[0].image);
  EXPECT_FALSE(claim.sessions[0].image->snapshot);
  EXPECT_EQ(claim.sessions[0].image->tail.size(), 5u);
}

TEST_P(claim_conformance, the_image_of_a_session_that_wants_no_state_is_its_cursor) {
  const auto store = turns("n1");
  submit(id("echo-a"), 3);
  const auto cursor = serve(*store, id("echo-a"));
  submit(id("echo-a"));
  const auto claim = must(store->claim(ask_all({ask(id("echo-a"))})));
  ASSERT_TRUE(claim.sessions[0].image);
  EXPECT_EQ(claim.sessions[0].image->cursor, cursor);
  EXPECT_TRUE(claim.sessions[0].image->tail.empty());
  ASSERT_EQ(claim.sessions[0].commands.size(), 1u);
  EXPECT_EQ(claim.sessions[0].commands[0].seq.value, 4);
}

TEST_P(claim_conformance, sessions_with_images_and_commands_keep_their_places) {
  const auto store = turns("n1");
  std::vector<session_id> sessions;
  for (int i = 0; i < 30; ++i) sessions.push_back(id("chat-" + std::to_string((i * 11) % 30)));
  for (std::size_t i = 0; i < sessions.size(); ++i)
    if (i % 3 != 0) submit(sessions[i], static_cast<int>(i));
  for (std::size_t i = 0; i < sessions.size(); ++i)
    if (i % 3 == 1) serve(*store, sessions[i]);
  const auto claim = must(store->claim(ask_all(sessions)));
  ASSERT_EQ(claim.sessions.size(), sessions.size());
  for (std::size_t i = 0; i < sessions.size(); ++i) {
    const auto& c = claim.sessions[i];
    ASSERT_TRUE(c.image);
    EXPECT_EQ(c.image->tail.size(), i % 3 == 1 ? i : 0);
    EXPECT_EQ(c.commands.size(), i % 3 == 2 ? i : 0);
    EXPECT_EQ(c.image->cursor.command.value, static_cast<std::int64_t>(i % 3 == 1 ? i : 0));
  }
}

}  // namespace rowcall::conformance
