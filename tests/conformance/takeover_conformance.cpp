#include <algorithm>

#include "engine/module.hpp"
#include "engine/session.hpp"
#include "tests/conformance/store_backend.hpp"

namespace rowcall::conformance {

using namespace engine;

namespace {

std::vector<shard_index> shards_of(const std::vector<session_id>& sessions) {
  std::vector<shard_index> shards;
  for (const auto& s : sessions) shards.push_back(shard_of(s, shard_count_default));
  std::sort(shards.begin(), shards.end());
  return shards;
}

std::vector<shard_index> sorted(std::vector<shard_index> shards) {
  std::sort(shards.begin(), shards.end());
  return shards;
}

}  // namespace

TEST_P(takeover_conformance, shards_of_another_owner_are_told_once) {
  const auto sessions = sessions_on_distinct_shards("echo", 3);
  const auto a = turns("n1"), b = turns("n2");
  must(a->claim(ask_all(sessions)));
  must(a->commit({}));
  EXPECT_TRUE(must(a->claim(ask_all(sessions))).taken_over.empty());
  must(a->commit({}));

  EXPECT_EQ(sorted(must(b->claim(ask_all({ask(sessions[0]), ask(sessions[2])}))).taken_over),
            shards_of({sessions[0], sessions[2]}));
  must(b->commit({}));
  EXPECT_EQ(sorted(must(b->claim(ask_all(sessions))).taken_over), shards_of({sessions[1]}));
  must(b->commit({}));
  EXPECT_TRUE(must(b->claim(ask_all(sessions))).taken_over.empty());
  must(b->commit({}));
  EXPECT_EQ(sorted(must(a->claim(ask_all(sessions))).taken_over), shards_of(sessions));
}

TEST_P(takeover_conformance, the_owner_is_the_node_and_not_the_store) {
  const auto a = turns("n1"), b = turns("n1");
  must(a->claim(ask_all({ask(id("echo-a"))})));
  must(a->commit({}));
  EXPECT_TRUE(must(b->claim(ask_all({ask(id("echo-a"))}))).taken_over.empty());
}

TEST_P(takeover_conformance, a_takeover_that_was_rolled_back_did_not_happen) {
  const auto a = turns("n1"), b = turns("n2");
  must(a->claim(ask_all({ask(id("echo-a"))})));
  must(a->commit({}));
  EXPECT_EQ(must(b->claim(ask_all({ask(id("echo-a"))}))).taken_over.size(), 1u);
  b->abandon();
  EXPECT_TRUE(must(a->claim(ask_all({ask(id("echo-a"))}))).taken_over.empty());
  a->abandon();
  EXPECT_EQ(must(b->claim(ask_all({ask(id("echo-a"))}))).taken_over.size(), 1u);
}

TEST_P(takeover_conformance, a_shard_that_is_held_is_not_taken_over) {
  const auto a = turns("n1"), b = turns("n2");
  must(a->claim(ask_all({ask(id("echo-a"))})));
  EXPECT_TRUE(must(b->claim(ask_all({ask(id("echo-a"))}))).taken_over.empty());
}

TEST_P(takeover_conformance, a_cursor_from_before_the_takeover_is_void) {
  const auto a = turns("n1"), b = turns("n2");
  submit(id("chat-a"), 2);
  const auto stale = serve(*a, id("chat-a"));
  submit(id("chat-a"), 2, 3);
  const auto current = serve(*b, id("chat-a"));
  submit(id("chat-a"), 1, 5);

  const auto claim = must(a->claim(ask_all({ask(id("chat-a"), stale)})));
  const auto& c = claim.sessions[0];
  EXPECT_EQ(claim.taken_over.size(), 1u);
  ASSERT_TRUE(c.image);
  EXPECT_EQ(c.image->cursor, current);
  EXPECT_EQ(c.image->tail.size(), 4u);
  ASSERT_EQ(c.commands.size(), 1u);
  EXPECT_EQ(c.commands[0].seq.value, 5);
  const auto writes = echo(id("chat-a"), c.image->cursor, c.commands);
  must(a->commit({&writes, 1}));
  expect_each_answered_once(id("chat-a"), 5);
}

TEST_P(takeover_conformance, a_cursor_is_void_after_an_owner_that_has_left_too) {
  const auto a = turns("n1"), b = turns("n2");
  const auto node = backend_->nodes();
  must(node->join("n2", {"echo"}));
  submit(id("echo-a"));
  const auto stale = serve(*a, id("echo-a"));
  submit(id("echo-a"));
  serve(*b, id("echo-a"));
  must(node->leave("n2"));
  submit(id("echo-a"));
  const auto claim = must(a->claim(ask_all({ask(id("echo-a"), stale)})));
  ASSERT_TRUE(claim.sessions[0].image);
  EXPECT_EQ(claim.sessions[0].image->cursor.command.value, 2);
  EXPECT_EQ(claim.sessions[0].commands.size(), 1u);
}

TEST_P(takeover_conformance, what_was_pending_when_a_node_died_is_marked_for_care) {
  const auto node = backend_->nodes();
  must(node->join("n1", {"echo"}));
  const auto sessions = sessions_on_distinct_shards("echo", 3);
  {
    const auto a = turns("n1");
    submit(sessions[0], 2);
    submit(sessions[2]);
    must(a->claim(ask_all({ask(sessions[0]), ask(sessions[1]), ask(sessions[2])})));
    must(a->commit({}));
    serve(*a, sessions[2]);
    submit(sessions[0]);
  }
  backend_->make_heartbeat_old("n1");

  const auto b = turns("n2");
  const auto claim = must(b->claim(ask_all(sessions)));
  EXPECT_EQ(claim.sessions[0].image->careful_until.value, 3);
  EXPECT_EQ(claim.sessions[0].commands.size(), 3u);
  EXPECT_EQ(claim.sessions[1].image->careful_until.value, 0);
  EXPECT_EQ(claim.sessions[2].image->careful_until.value, 0) << "nothing was pending there";
  must(b->commit({}));

  backend_->pass(std::chrono::milliseconds{2});
  submit(sessions[0], 2, 4);
  submit(sessions[1]);
  const auto later = must(b->claim(ask_all(sessions)));
  EXPECT_EQ(later.sessions[0].image->careful_until.value, 3) << "what came after the takeover is beyond suspicion";
  EXPECT_EQ(later.sessions[1].image->careful_until.value, 0);
  b->abandon();
  serve(*b, sessions[0]);
  submit(sessions[0]);
  EXPECT_EQ(must(b->claim(ask_all({ask(sessions[0])}))).sessions[0].image->careful_until.value, 0) << "the backlog is gone";
}

TEST_P(takeover_conformance, a_node_whose_connection_ended_is_known_to_be_dead_at_once) {
  submit(id("echo-a"), 2);
  {
    const auto node = backend_->nodes();
    must(node->join("n1", {"echo"}));
    const auto a = turns("n1");
    must(a->claim(ask_all({ask(id("echo-a"))})));
    must(a->commit({}));
  }
  const auto b = turns("n2");
  EXPECT_TRUE(eventually([&] {
    const auto claim = must(b->claim(ask_all({ask(id("echo-a"))})));
    const bool is_careful = claim.sessions[0].image->careful_until.value == 2;
    b->abandon();
    return is_careful;
  }));
}

TEST_P(takeover_conformance, a_node_that_left_leaves_nothing_to_care_about) {
  const auto node = backend_->nodes();
  must(node->join("n1", {"echo"}));
  const auto a = turns("n1"), b = turns("n2");
  submit(id("echo-a"), 2);
  must(a->claim(ask_all({ask(id("echo-a"))})));
  must(a->commit({}));
  must(node->leave("n1"));
  backend_->make_heartbeat_old("n1");
  const auto claim = must(b->claim(ask_all({ask(id("echo-a"))})));
  EXPECT_EQ(claim.taken_over.size(), 1u);
  EXPECT_EQ(claim.sessions[0].image->careful_until.value, 0);
  EXPECT_EQ(claim.sessions[0].commands.size(), 2u);
}

TEST_P(takeover_conformance, a_node_that_lives_gives_its_shard_away_without_suspicion) {
  const auto node = backend_->nodes();
  must(node->join("n1", {"echo"}));
  const auto a = turns("n1"), b = turns("n2");
  submit(id("echo-a"), 2);
  must(a->claim(ask_all({ask(id("echo-a"))})));
  must(a->commit({}));
  must(node->heartbeat("n1", {}, std::chrono::seconds{5}));
  EXPECT_EQ(must(b->claim(ask_all({ask(id("echo-a"))}))).sessions[0].image->careful_until.value, 0);
}

TEST_P(takeover_conformance, care_outlives_a_takeover_that_was_rolled_back) {
  const auto node = backend_->nodes();
  must(node->join("n1", {"echo"}));
  const auto a = turns("n1"), b = turns("n2");
  submit(id("echo-a"), 2);
  must(a->claim(ask_all({ask(id("echo-a"))})));
  must(a->commit({}));
  backend_->make_heartbeat_old("n1");
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(must(b->claim(ask_all({ask(id("echo-a"))}))).sessions[0].image->careful_until.value, 2);
    b->abandon();
  }
}

/// Nodes that do not agree on whose a shard is, all of them alive: each takes it from the other before the command that the
/// other has recorded an attempt for is tried.
TEST_P(takeover_conformance, a_fight_between_live_nodes_uses_up_no_attempts_and_a_death_does) {
  submit(id("echo-a"));
  {
    const auto died = backend_->nodes();
    must(died->join("n0", {"echo"}));
    const auto turn = turns("n0");
    must(turn->claim(ask_all({ask(id("echo-a"))})));
    must(turn->commit({}));
  }
  const auto one = backend_->nodes();
  auto two = backend_->nodes();
  must(one->join("n1", {"echo"}));
  must(two->join("n2", {"echo"}));

  const auto modules = standard_modules();
  json::parser parser;
  // One turn of a node that has the shard for the moment, decided as its actor would.
  const auto attempt = [&](const std::string& node) {
    auto config = std::make_shared<session_config>();
    config->node = node;
    config->retry = {3, std::chrono::milliseconds{1}, std::chrono::milliseconds{1}};
    session actor{id("echo-a"), *modules.find("echo"), config};
    const auto store = turns(node);
    const auto claim = must(store->claim(ask_all({ask(id("echo-a"))})));
    const auto& c = claim.sessions.at(0);
    must(actor.load(c.image.value(), parser));
    auto out = actor.decide(c.image->cursor, c.commands, parser, {}, true);
    must(store->commit({&out.writes, 1}));
    backend_->pass(std::chrono::milliseconds{3});
  };
  const auto attempts = [&] {
    const auto store = turns("looker");
    const auto claim = must(store->claim(ask_all({ask(id("echo-a"))})));
    store->abandon();
    return claim.sessions.at(0).image.value().retry.value().attempts;
  };
  ASSERT_TRUE(eventually([&] {  // n0's end is known
    const auto store = turns("looker");
    const auto claim = must(store->claim(ask_all({ask(id("echo-a"))})));
    store->abandon();
    return claim.sessions.at(0).image.value().careful_until.value == 1;
  }));
  for (int round = 0; round < 10; ++round) {
    attempt("n1");
    attempt("n2");
    ASSERT_EQ(attempts(), 1);
  }
  two.reset();  // dies, with the attempt recorded
  EXPECT_TRUE(eventually([&] {
    attempt("n1");  // n1's own, that it has not made
    must(one->heartbeat("n1", {}, std::chrono::minutes{1}));
    return !log_of(id("echo-a")).empty();
  }));
  EXPECT_EQ(log_of(id("echo-a")).size(), 1u);
  EXPECT_EQ(log_of(id("echo-a")).front().type, "echo");
  EXPECT_TRUE(must(admin_->dead_letters(10, true)).empty());
}

TEST_P(takeover_conformance, an_attempt_of_a_node_that_died_counts) {
  submit(id("echo-a"));
  auto other = backend_->nodes();
  must(other->join("n2", {"echo"}));
  const auto put = [&](const std::string& node, int attempts) {
    const auto store = turns(node);
    must(store->claim(ask_all({ask(id("echo-a"))})));
    session_writes w{id("echo-a"), {}, {}};
    w.retry = session_writes::retry_change::put;
    w.retry_put = retry_row{{1}, attempts, "", node, std::chrono::milliseconds{0}};
    must(store->commit({&w, 1}));
    const auto claim = must(store->claim(ask_all({ask(id("echo-a"))})));
    store->abandon();
    return claim.sessions.at(0).image.value().retry.value().attempts;
  };
  EXPECT_EQ(put("n2", 1), 1);
  EXPECT_EQ(put("n1", 2), 1) << "n2 lives";
  EXPECT_EQ(put("n2", 2), 2) << "n1 never lived";
  other.reset();
  EXPECT_TRUE(eventually([&] {
    if (put("n1", 3) == 3) return true;
    put("n2", 2);
    return false;
  }));
}

}  // namespace rowcall::conformance
