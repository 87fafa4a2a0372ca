#include "tests/conformance/store_backend.hpp"

namespace rowcall::conformance {

using namespace engine;

TEST_P(update_conformance, a_session_without_updates_is_empty) {
  submit(id("echo-a"));
  for (const auto& session : {id("echo-a"), id("echo-never")}) {
    const auto page = must(updates_->updates_after(session, {}, 10));
    EXPECT_TRUE(page.updates.empty());
    EXPECT_FALSE(page.gone);
    EXPECT_EQ(must(updates_->last(session)), session_cursor{});
    EXPECT_FALSE(must(updates_->snapshot(session)));
    EXPECT_TRUE(must(updates_->receipt_of(session, {1})).updates.empty());
  }
}

TEST_P(update_conformance, pages_are_contiguous_and_a_short_one_is_the_end) {
  const auto store = turns("n1");
  submit(id("echo-a"), 12);
  serve(*store, id("echo-a"));
  update_seq after;
  std::vector<std::size_t> sizes;
  for (;;) {
    const auto page = must(updates_->updates_after(id("echo-a"), after, 5));
    EXPECT_FALSE(page.gone);
    sizes.push_back(page.updates.size());
    for (const auto& u : page.updates) {
      EXPECT_EQ(u.seq, after.next());
      EXPECT_EQ(u.command.value, u.seq.value);
      EXPECT_EQ(u.type, "said");
      EXPECT_SAME_JSON(u.data, numbered(u.seq.value));
      after = u.seq;
    }
    if (page.updates.size() < 5) break;
  }
  EXPECT_EQ(sizes, (std::vector<std::size_t>{5, 5, 2}));
  EXPECT_EQ(after.value, 12);
  EXPECT_TRUE(must(updates_->updates_after(id("echo-a"), {12}, 5)).updates.empty());
  const auto beyond = must(updates_->updates_after(id("echo-a"), {100}, 5));
  EXPECT_TRUE(beyond.updates.empty());
  EXPECT_FALSE(beyond.gone);
  EXPECT_TRUE(beyond.is_ahead);
  EXPECT_FALSE(must(updates_->updates_after(id("echo-a"), {12}, 5)).is_ahead);
  EXPECT_FALSE(must(updates_->updates_after(id("echo-none"), {0}, 5)).is_ahead);
}

TEST_P(update_conformance, a_follower_sees_only_what_is_committed) {
  const auto store = turns("n1");
  submit(id("echo-a"), 2);
  const auto claim = must(store->claim(ask_all({ask(id("echo-a"))})));
  const auto writes = echo(id("echo-a"), {}, claim.sessions[0].commands);
  EXPECT_TRUE(log_of(id("echo-a")).empty());
  EXPECT_EQ(must(updates_->last(id("echo-a"))), session_cursor{});
  must(store->commit({&writes, 1}));
  EXPECT_EQ(log_of(id("echo-a")).size(), 2u);
  EXPECT_EQ(must(updates_->last(id("echo-a"))), (session_cursor{{2}, {2}}));
}

TEST_P(update_conformance, many_positions_are_answered_like_each_alone) {
  const auto store = turns("n1");
  std::vector<follow_position> positions;
  for (int i = 0; i < 25; ++i) {
    const auto session = id("echo-" + std::to_string(i));
    if (i > 0) submit(session, i);
    serve(*store, session);
    positions.push_back({session, {i / 2}});
  }
  positions.push_back({id("echo-never"), {}});
  positions.push_back({id("echo-24"), {}});  // one session twice, from different places
  positions.push_back({id("echo-24"), {24}});
  const auto pages = must(updates_->updates_after(positions, 7));
  ASSERT_EQ(pages.size(), positions.size());
  for (std::size_t i = 0; i < positions.size(); ++i) {
    const auto alone = must(updates_->updates_after(positions[i].session, positions[i].after, 7));
    EXPECT_EQ(pages[i].gone, alone.gone);
    ASSERT_EQ(pages[i].updates.size(), alone.updates.size()) << i;
    for (std::size_t u = 0; u < alone.updates.size(); ++u) {
      EXPECT_EQ(pages[i].updates[u].seq, alone.updates[u].seq);
      EXPECT_EQ(pages[i].updates[u].command, alone.updates[u].command);
      EXPECT_EQ(pages[i].updates[u].type, alone.updates[u].type);
      EXPECT_EQ(pages[i].updates[u].created_at, alone.updates[u].created_at);
      EXPECT_SAME_JSON(pages[i].updates[u].data, alone.updates[u].data);
    }
  }
  EXPECT_TRUE(must(updates_->updates_after(std::span<const follow_position>{}, 7)).empty());
}

TEST_P(update_conformance, a_receipt_holds_all_updates_of_its_command) {
  const auto store = turns("n1");
  submit(id("echo-a"), 5);
  const auto claim = must(store->claim(ask_all({ask(id("echo-a"))})));
  session_writes w{id("echo-a"), {}, {}};
  std::int64_t seq = 0;
  for (int command = 1; command <= 4; ++command)  // command n has n updates
    for (int i = 0; i < command; ++i)
      w.updates.push_back({{++seq}, {command}, "said", numbered(100 * command + i)});
  w.after = {{seq}, {4}};
  must(store->commit({&w, 1}));
  for (int command = 1; command <= 4; ++command) {
    const auto receipt = must(updates_->receipt_of(id("echo-a"), {command}));
    ASSERT_EQ(std::ssize(receipt.updates), command);
    for (int i = 0; i < command; ++i) {
      EXPECT_EQ(receipt.updates[i].seq.value, command * (command - 1) / 2 + i + 1);
      EXPECT_EQ(receipt.updates[i].command.value, command);
      EXPECT_SAME_JSON(receipt.updates[i].data, numbered(100 * command + i));
    }
  }
  EXPECT_TRUE(must(updates_->receipt_of(id("echo-a"), {5})).updates.empty()) << "pending";
  EXPECT_TRUE(must(updates_->receipt_of(id("echo-a"), {6})).updates.empty()) << "not there";
}

TEST_P(update_conformance, the_last_snapshot_is_given) {
  const auto store = turns("n1");
  submit(id("chat-a"), 3);
  for (int i = 1; i <= 3; ++i) {
    const auto claim = must(store->claim(ask_all({ask(id("chat-a"))}, {.commands_per_session_max = 1})));
    auto w = echo(id("chat-a"), claim.sessions[0].image->cursor, claim.sessions[0].commands);
    if (i < 3) w.snapshot = snapshot_row{w.after.update, w.after.command, numbered(i)};
    must(store->commit({&w, 1}));
  }
  const auto snapshot = must(updates_->snapshot(id("chat-a")));
  ASSERT_TRUE(snapshot);
  EXPECT_EQ(snapshot->seq.value, 2);
  EXPECT_EQ(snapshot->command.value, 2);
  EXPECT_SAME_JSON(snapshot->state, numbered(2));
}

}  // namespace rowcall::conformance
