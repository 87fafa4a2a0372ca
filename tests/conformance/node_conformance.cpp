#include <algorithm>
#include <map>

#include "tests/conformance/store_backend.hpp"

namespace rowcall::conformance {

using namespace engine;
using std::chrono::milliseconds;

namespace {

std::vector<std::string> names(const std::vector<node_info>& nodes) {
  std::vector<std::string> out;
  for (const auto& n : nodes) out.push_back(n.node);
  std::sort(out.begin(), out.end());
  return out;
}

const std::vector<std::string> all_kinds{"echo", "chat", "user"};

std::map<session_id, pending_session> swept(node_store& store, const std::vector<std::string>& kinds = all_kinds) {
  std::map<session_id, pending_session> found;
  must(store.sweep(kinds, [&](std::span<const pending_session> chunk) {
    for (const auto& p : chunk) found[p.session] = p;
    return true;
  }));
  return found;
}

}  // namespace

TEST_P(node_conformance, a_heartbeat_tells_the_nodes_that_are_alive) {
  const auto a = backend_->nodes(), b = backend_->nodes();
  must(a->join("n1", {"echo"}));
  must(b->join("n2", {"chat", "echo"}));
  const auto nodes = must(a->heartbeat("n1", {}, std::chrono::minutes{1}));
  EXPECT_EQ(names(nodes), (std::vector<std::string>{"n1", "n2"}));
  for (const auto& n : nodes) {
    auto kinds = n.kinds;
    std::sort(kinds.begin(), kinds.end());
    EXPECT_EQ(kinds, n.node == "n1" ? std::vector<std::string>{"echo"} : (std::vector<std::string>{"chat", "echo"}));
    EXPECT_LT(n.heartbeat_age, std::chrono::minutes{1});
    EXPECT_GE(n.heartbeat_age, milliseconds{0});
  }
}

TEST_P(node_conformance, a_node_with_an_old_heartbeat_is_left_out_until_it_renews_it) {
  const auto a = backend_->nodes(), b = backend_->nodes();
  must(a->join("n1", {"echo"}));
  must(b->join("n2", {"echo"}));
  backend_->pass(milliseconds{30});
  EXPECT_EQ(names(must(a->heartbeat("n1", {}, milliseconds{30}))), std::vector<std::string>{"n1"});
  EXPECT_EQ(names(must(a->heartbeat("n1", {}, std::chrono::minutes{1}))), (std::vector<std::string>{"n1", "n2"}));
  EXPECT_EQ(names(must(b->heartbeat("n2", {}, std::chrono::seconds{20}))), (std::vector<std::string>{"n1", "n2"}));
  EXPECT_EQ(names(must(a->heartbeat("n1", {}, std::chrono::seconds{20}))), (std::vector<std::string>{"n1", "n2"}));
}

TEST_P(node_conformance, a_node_that_left_is_not_alive) {
  const auto a = backend_->nodes(), b = backend_->nodes();
  must(a->join("n1", {"echo"}));
  must(b->join("n2", {"echo"}));
  must(b->leave("n2"));
  EXPECT_EQ(names(must(a->heartbeat("n1", {}, std::chrono::minutes{1}))), std::vector<std::string>{"n1"});
}

TEST_P(node_conformance, a_node_whose_connection_ended_is_not_alive_long_before_its_heartbeat_is_old) {
  const auto a = backend_->nodes();
  auto b = backend_->nodes();
  must(a->join("n1", {"echo"}));
  must(b->join("n2", {"echo"}));
  for (int i = 0; i < 5; ++i)
    EXPECT_EQ(names(must(a->heartbeat("n1", {}, std::chrono::minutes{1}))), (std::vector<std::string>{"n1", "n2"}));
  b.reset();
  EXPECT_TRUE(eventually(
      [&] { return names(must(a->heartbeat("n1", {}, std::chrono::minutes{1}))) == std::vector<std::string>{"n1"}; }));
  b = backend_->nodes();
  must(b->join("n2", {"echo"}));
  EXPECT_EQ(names(must(a->heartbeat("n1", {}, std::chrono::minutes{1}))), (std::vector<std::string>{"n1", "n2"}));
}

TEST_P(node_conformance, a_name_belongs_to_one_connection_while_its_node_lives) {
  auto a = backend_->nodes();
  const auto b = backend_->nodes();
  must(a->join("n1", {"echo"}));
  must(a->join("n1", {"echo"}));  // again, over the same connection
  for (int i = 0; i < 3; ++i) {
    const auto refused = b->join("n1", {"chat"});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, errc::busy);
    EXPECT_NE(refused.error().message.find("n1 is running"), std::string::npos) << refused.error().message;
  }
  must(b->join("n2", {"echo"}));
  EXPECT_EQ(must(a->heartbeat("n1", {}, std::chrono::minutes{1})).at(0).kinds, std::vector<std::string>{"echo"});
  a.reset();
  const auto c = backend_->nodes();
  EXPECT_TRUE(eventually([&] { return c->join("n1", {"echo"}).has_value(); }))
      << "a node that was killed is started again";
}

TEST_P(node_conformance, a_node_that_has_left_gives_its_name_up) {
  const auto a = backend_->nodes(), b = backend_->nodes();
  must(a->join("n1", {"echo"}));
  must(a->leave("n1"));
  must(b->join("n1", {"echo"}));
}

TEST_P(node_conformance, a_connection_that_a_vanished_machine_has_left_behind_does_not_keep_the_name) {
  const auto a = backend_->nodes(), b = backend_->nodes();
  must(a->join("n1", {"echo"}));
  EXPECT_FALSE(b->join("n1", {"echo"}));
  backend_->make_heartbeat_old("n1");
  must(b->join("n1", {"echo"}));
}

TEST_P(node_conformance, a_sweep_finds_exactly_the_sessions_with_pending_commands) {
  const auto store = turns("n1");
  EXPECT_TRUE(swept(*nodes_).empty());
  submit(id("echo-done"), 3);
  submit(id("echo-half"), 2);
  submit(id("chat-new"), 4);
  serve(*store, id("echo-done"));
  serve(*store, id("echo-half"));
  submit(id("echo-half"), 3, 3);
  for (int i = 0; i < 3; ++i) {
    const auto found = swept(*nodes_);
    ASSERT_EQ(found.size(), 2u) << "sweep " << i;
    EXPECT_EQ(found.at(id("echo-half")).last.value, 5);
    EXPECT_EQ(found.at(id("echo-half")).processed.value, 2);
    EXPECT_EQ(found.at(id("chat-new")).last.value, 4);
    EXPECT_EQ(found.at(id("chat-new")).processed.value, 0);
  }
  serve(*store, id("echo-half"));
  EXPECT_EQ(swept(*nodes_).size(), 1u);
  serve(*store, id("chat-new"));
  EXPECT_TRUE(swept(*nodes_).empty());
  submit(id("echo-done"));
  EXPECT_EQ(swept(*nodes_).size(), 1u) << "a session comes back";
}

TEST_P(node_conformance, another_nodes_sweeps_hide_nothing) {
  const auto store = turns("n1");
  const auto other = backend_->nodes();
  submit(id("echo-a"));
  submit(id("echo-b"));
  EXPECT_EQ(swept(*nodes_).size(), 2u);
  EXPECT_EQ(swept(*other).size(), 2u);
  serve(*store, id("echo-a"));
  EXPECT_EQ(swept(*nodes_).size(), 1u);
  submit(id("echo-c"));
  EXPECT_EQ(swept(*backend_->nodes()).size(), 2u) << "a new node's first sweep";
  EXPECT_EQ(swept(*other).size(), 2u);
}

TEST_P(node_conformance, a_sweep_looks_at_the_kinds_it_is_told) {
  submit(id("echo-a"));
  submit(id("chat-a"));
  EXPECT_EQ(swept(*nodes_, {"chat"}).size(), 1u);
  EXPECT_EQ(swept(*nodes_, {"chat"}).count(id("chat-a")), 1u);
  EXPECT_TRUE(swept(*nodes_, {"user"}).empty());
  EXPECT_EQ(swept(*nodes_, {"echo"}).count(id("echo-a")), 1u) << "a sweep for some kinds hides nothing of the others";
  EXPECT_EQ(swept(*nodes_).size(), 2u);
}

TEST_P(node_conformance, a_session_that_waits_for_a_retry_is_found_when_it_is_due) {
  const auto store = turns("n1");
  submit(id("echo-a"));
  submit(id("echo-b"));
  const auto put = [&](milliseconds wait) {
    must(store->claim(ask_all({ask(id("echo-a"))})));
    session_writes w{id("echo-a"), {}, {}};
    w.retry = session_writes::retry_change::put;
    w.retry_put = retry_row{{1}, 1, "failed", "", wait};
    must(store->commit({&w, 1}));
  };
  put(std::chrono::hours{1});
  EXPECT_EQ(swept(*nodes_).count(id("echo-a")), 0u);
  EXPECT_EQ(swept(*nodes_).count(id("echo-b")), 1u);
  put(milliseconds{20});
  backend_->pass(milliseconds{21});
  EXPECT_EQ(swept(*nodes_).count(id("echo-a")), 1u);
}

TEST_P(node_conformance, a_sweep_of_thousands_of_sessions_comes_in_chunks_and_may_end_early) {
  std::vector<command_request> batch;
  for (int i = 0; i < 3'000; ++i) batch.push_back(request(id("echo-" + std::to_string(i))));
  must(commands_->submit(batch));
  std::size_t calls = 0, sessions = 0;
  must(nodes_->sweep(all_kinds, [&](std::span<const pending_session> chunk) {
    calls += 1;
    sessions += chunk.size();
    return calls < 2;
  }));
  EXPECT_LE(calls, 2u);
  EXPECT_GT(sessions, 0u);
  EXPECT_EQ(swept(*nodes_).size(), 3'000u) << "one that ended early forgets nothing";
}

TEST_P(node_conformance, what_is_submitted_during_a_sweep_is_found_by_the_next_at_the_latest) {
  submit(id("echo-a"));
  const auto other = backend_->commands();
  must(nodes_->sweep(all_kinds, [&](std::span<const pending_session>) {
    const std::vector batch{request(id("echo-b"), "{}", "say", "once")};
    must(other->submit(batch));
    return true;
  }));
  EXPECT_EQ(swept(*nodes_).count(id("echo-b")), 1u);
}

TEST_P(node_conformance, what_a_turn_sent_is_found_by_the_sweep) {
  const auto store = turns("n1");
  submit(id("chat-a"));
  const auto claim = must(store->claim(ask_all({ask(id("chat-a"))})));
  EXPECT_EQ(swept(*nodes_).count(id("user-b")), 0u);
  auto w = echo(id("chat-a"), {}, claim.sessions[0].commands);
  w.sends.push_back({{id("user-b"), "sent", "{}"}, "send:chat-a/1/0"});
  must(store->commit({&w, 1}));
  EXPECT_EQ(swept(*nodes_).count(id("user-b")), 1u);
}

// ---------------------------------------------------------------- retention

namespace {

cleanup_report clean(node_store& store, std::chrono::seconds older_than = {}, std::size_t chunk_rows = 2'000) {
  cleanup_report sum;
  for (int calls = 0; calls < 1'000; ++calls) {
    const auto r = must(store.cleanup({older_than, chunk_rows}));
    EXPECT_LE(r.commands, static_cast<std::int64_t>(chunk_rows));
    EXPECT_LE(r.updates, static_cast<std::int64_t>(chunk_rows));
    EXPECT_LE(r.snapshots, static_cast<std::int64_t>(chunk_rows));
    sum.commands += r.commands;
    sum.updates += r.updates;
    sum.snapshots += r.snapshots;
    sum.more = r.more;
    if (!r.more) return sum;
  }
  ADD_FAILURE() << "cleanup comes to no end";
  return sum;
}

}  // namespace

class retention {
 public:
  /// Serves up to `count` pending commands of the session, with a snapshot at the end when asked.
  static void serve(turn_store& store, const session_id& session, std::size_t count, bool with_snapshot) {
    const auto claim = must(store.claim(ask_all({ask(session)}, {.commands_per_session_max = count})));
    auto w = echo(session, claim.sessions[0].image->cursor, claim.sessions[0].commands);
    if (with_snapshot) w.snapshot = snapshot_row{w.after.update, w.after.command, numbered(w.after.update.value)};
    must(store.commit({&w, 1}));
  }
};

TEST_P(node_conformance, cleanup_removes_what_is_processed_and_below_the_snapshot) {
  const auto store = turns("n1");
  submit(id("chat-a"), 12);
  retention::serve(*store, id("chat-a"), 3, true);
  retention::serve(*store, id("chat-a"), 3, true);
  retention::serve(*store, id("chat-a"), 2, false);  // 8 processed, snapshot at 6, 4 pending
  backend_->pass(milliseconds{5});
  clean(*nodes_);

  EXPECT_EQ(must(updates_->last(id("chat-a"))), (session_cursor{{8}, {8}}));
  EXPECT_EQ(must(updates_->snapshot(id("chat-a")))->seq.value, 6);
  const auto tail = must(updates_->updates_after(id("chat-a"), {6}, 100));
  EXPECT_FALSE(tail.gone) << "who took the snapshot can go on";
  EXPECT_EQ(tail.updates.size(), 2u);
  EXPECT_TRUE(must(updates_->updates_after(id("chat-a"), {0}, 100)).gone);
  EXPECT_TRUE(must(updates_->updates_after(id("chat-a"), {0}, 100)).updates.empty());
  EXPECT_EQ(pending_of(id("chat-a")).size(), 4u);
  const auto image = must(store->claim(ask_all({ask(id("chat-a"))}))).sessions[0].image;
  EXPECT_EQ(image->snapshot->seq.value, 6);
  EXPECT_EQ(image->tail.size(), 2u);
  store->abandon();
  EXPECT_EQ(submit(id("chat-a")).value, 13);
}

TEST_P(node_conformance, cleanup_never_takes_the_last_update_or_the_last_command) {
  const auto store = turns("n1");
  submit(id("chat-a"), 5);
  retention::serve(*store, id("chat-a"), 5, true);  // the snapshot covers everything
  backend_->pass(milliseconds{5});
  clean(*nodes_);
  clean(*nodes_);
  EXPECT_EQ(must(updates_->last(id("chat-a"))), (session_cursor{{5}, {5}}));
  EXPECT_EQ(must(updates_->updates_after(id("chat-a"), {4}, 100)).updates.size(), 1u);
  EXPECT_TRUE(must(updates_->updates_after(id("chat-a"), {3}, 100)).gone);
  EXPECT_EQ(submit(id("chat-a")).value, 6) << "the count goes on";
  retention::serve(*store, id("chat-a"), 5, false);
  EXPECT_EQ(must(updates_->last(id("chat-a"))), (session_cursor{{6}, {6}}));
  EXPECT_TRUE(swept(*nodes_).empty());
}

TEST_P(node_conformance, what_is_younger_than_the_retention_stays) {
  const auto store = turns("n1");
  submit(id("chat-a"), 5);
  retention::serve(*store, id("chat-a"), 5, true);
  backend_->pass(milliseconds{5});
  const auto report = clean(*nodes_, std::chrono::hours{1});
  EXPECT_EQ(report.commands + report.updates + report.snapshots, 0);
  EXPECT_EQ(log_of(id("chat-a")).size(), 5u);
}

TEST_P(node_conformance, the_log_of_a_session_without_a_snapshot_stays_whole) {
  const auto store = turns("n1");
  submit(id("chat-a"), 5);
  retention::serve(*store, id("chat-a"), 5, false);
  backend_->pass(milliseconds{5});
  clean(*nodes_);
  EXPECT_FALSE(must(updates_->snapshot(id("chat-a"))));
  expect_each_answered_once(id("chat-a"), 5);
}

TEST_P(node_conformance, cleanup_in_small_chunks_comes_to_the_same_end) {
  const auto store = turns("n1");
  for (int i = 0; i < 5; ++i) {
    const auto session = id("chat-" + std::to_string(i));
    submit(session, 9);
    for (int n = 0; n < 3; ++n) retention::serve(*store, session, 3, true);
    submit(session, 1, 10);
    retention::serve(*store, session, 1, false);
  }
  backend_->pass(milliseconds{5});
  const auto report = clean(*nodes_, {}, 4);
  EXPECT_EQ(report.updates, 5 * 9);
  EXPECT_EQ(report.commands, 5 * 9);
  EXPECT_EQ(report.snapshots, 5 * 2);
  for (int i = 0; i < 5; ++i) {
    const auto session = id("chat-" + std::to_string(i));
    EXPECT_EQ(must(updates_->updates_after(session, {9}, 100)).updates.size(), 1u);
    EXPECT_TRUE(must(updates_->updates_after(session, {8}, 100)).gone);
    EXPECT_EQ(must(updates_->snapshot(session))->seq.value, 9);
  }
}

TEST_P(node_conformance, many_positions_are_gone_like_each_alone) {
  const auto store = turns("n1");
  submit(id("chat-a"), 6);
  retention::serve(*store, id("chat-a"), 5, true);
  retention::serve(*store, id("chat-a"), 1, false);
  submit(id("chat-b"), 3);
  retention::serve(*store, id("chat-b"), 3, false);
  backend_->pass(milliseconds{5});
  clean(*nodes_);
  const std::vector<follow_position> positions{
      {id("chat-a"), {0}}, {id("chat-b"), {0}}, {id("chat-a"), {5}}, {id("chat-a"), {6}}, {id("chat-a"), {3}}};
  const auto pages = must(updates_->updates_after(positions, 100));
  const bool gone[] = {true, false, false, false, true};
  const std::size_t sizes[] = {0, 3, 1, 0, 0};
  for (std::size_t i = 0; i < positions.size(); ++i) {
    EXPECT_EQ(pages.at(i).gone, gone[i]) << i;
    EXPECT_EQ(pages[i].updates.size(), sizes[i]) << i;
    const auto alone = must(updates_->updates_after(positions[i].session, positions[i].after, 100));
    EXPECT_EQ(alone.gone, gone[i]) << i;
    EXPECT_EQ(alone.updates.size(), sizes[i]) << i;
  }
}

}  // namespace rowcall::conformance
