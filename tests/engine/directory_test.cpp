#include "engine/directory.hpp"

#include <gtest/gtest.h>

#include <set>

namespace rowcall::engine {
namespace {

using std::chrono::milliseconds;
using wake_result = directory::wake_result;
using status = directory::finished::status;

session_id id(const std::string& text) { return session_id::parse(text).value(); }

struct directory_test : testing::Test {
  directory_config config;
  directory::time_point now{};
  directory_test() { config.overlap_after = std::chrono::milliseconds{0}; }
  directory make() { return directory{config}; }

  directory::finished done(directory::slot s, std::int64_t cursor) {
    directory::finished f;
    f.index = s;
    f.cursor = session_cursor{{cursor}, {cursor}};
    return f;
  }
  void finish_one(directory& d, directory::finished f) { d.finish(std::span{&f, 1}, {}, now); }
};

TEST_F(directory_test, wakes_for_one_session_coalesce) {
  auto d = make();
  EXPECT_EQ(d.wake(id("echo-a"), {}, now), wake_result::made_ready);
  EXPECT_EQ(d.wake(id("echo-a"), {}, now), wake_result::coalesced);
  EXPECT_EQ(d.take(now).sessions.size(), 1u);
  EXPECT_TRUE(d.take(now).sessions.empty());
}

TEST_F(directory_test, a_wake_during_a_turn_makes_the_session_ready_again) {
  auto d = make();
  d.wake(id("echo-a"), {}, now);
  auto turn = d.take(now);
  EXPECT_EQ(d.wake(id("echo-a"), {}, now), wake_result::coalesced);
  finish_one(d, done(turn.sessions[0].index, 1));
  EXPECT_EQ(d.take(now).sessions.size(), 1u);
}

TEST_F(directory_test, a_hint_during_a_turn_counts_only_when_it_is_beyond_what_was_processed) {
  auto d = make();
  d.wake(id("echo-a"), {3}, now);
  auto turn = d.take(now);
  d.wake(id("echo-a"), {4}, now);
  finish_one(d, done(turn.sessions[0].index, 4));
  EXPECT_TRUE(d.take(now).sessions.empty());
  EXPECT_EQ(d.wake(id("echo-a"), {4}, now), wake_result::processed);

  d.wake(id("echo-a"), {5}, now);
  turn = d.take(now);
  d.wake(id("echo-a"), {7}, now);
  finish_one(d, done(turn.sessions[0].index, 6));
  EXPECT_EQ(d.take(now).sessions.size(), 1u);
}

TEST_F(directory_test, a_hint_during_the_turn_of_a_cold_session_is_not_lost) {
  auto d = make();
  d.wake(id("echo-a"), {1}, now);
  auto turn = d.take(now);
  d.wake(id("echo-a"), {2}, now);
  directory::finished cold;
  cold.index = turn.sessions[0].index;
  finish_one(d, cold);
  EXPECT_EQ(d.take(now).sessions.size(), 1u);
}

TEST_F(directory_test, a_shard_is_in_one_turn_at_a_time) {
  config.shard_count = 1;
  config.workers = 2;
  auto d = make();
  d.wake(id("echo-a"), {}, now);
  auto first = d.take(now);
  d.wake(id("echo-b"), {}, now);
  EXPECT_TRUE(d.take(now).sessions.empty());
  finish_one(d, done(first.sessions[0].index, 1));
  EXPECT_EQ(d.take(now).sessions.size(), 1u);
}

TEST_F(directory_test, a_backlog_gets_one_more_turn_at_a_time) {
  config.workers = 2;
  config.workers_for_backlog = 1;
  auto d = make();
  for (int i = 0; i < 1000; ++i) d.wake(id("echo-" + std::to_string(i)), {}, now);
  /// Ends the turn as one that was full after so many sessions.
  const auto end = [&](const directory::assignment& turn, std::size_t reached) {
    std::vector<directory::finished> sessions;
    for (const auto& s : turn.sessions) {
      sessions.push_back(done(s.index, 1));
      if (sessions.size() > reached) sessions.back().kind = directory::finished::status::not_reached;
    }
    d.finish(sessions, {}, now);
  };
  const auto a = d.take(now), b = d.take(now);
  EXPECT_EQ(d.turns_max(), 2u);
  end(a, a.sessions.size() - 10);
  EXPECT_EQ(d.turns_max(), 2u) << "ten that are left are no backlog";
  end(b, 10);
  EXPECT_EQ(d.turns_max(), 3u);
  const auto c = d.take(now);
  std::set<shard_index> shards;
  for (const auto& s : c.sessions) shards.insert(s.shard);
  EXPECT_EQ(shards.size(), 22u) << "a third";
  end(c, c.sessions.size());
  EXPECT_EQ(d.turns_max(), 2u) << "that turn left nothing behind";
}

TEST_F(directory_test, what_becomes_ready_while_a_short_turn_is_open_waits_for_its_end) {
  config.overlap_after = std::chrono::milliseconds{25};
  auto d = make();
  for (int i = 0; i < 300; ++i) d.wake(id("echo-" + std::to_string(i)), {}, now);
  const auto first = d.take(now);
  EXPECT_EQ(first.sessions.size(), 300u) << "it has all shards";
  d.wake(id("echo-late"), {}, now);
  std::vector<directory::finished> ended;
  for (const auto& s : first.sessions) ended.push_back(done(s.index, 1));
  now += std::chrono::milliseconds{10};
  d.finish(ended, {}, now);
  const auto second = d.take(now);
  ASSERT_EQ(second.sessions.size(), 1u);
  for (int i = 0; i < 100; ++i) d.wake(id("echo-other" + std::to_string(i)), {}, now);
  EXPECT_TRUE(d.take(now).sessions.empty());
  ASSERT_TRUE(d.next_due());
  EXPECT_EQ(*d.next_due(), now + config.overlap_after);
  finish_one(d, done(second.sessions[0].index, 1));
  EXPECT_GE(d.take(now).sessions.size(), 100u);
}

TEST_F(directory_test, a_long_turn_does_not_keep_the_others_waiting) {
  config.overlap_after = std::chrono::milliseconds{25};
  config.workers = 2;
  auto d = make();
  d.wake(id("echo-slow"), {}, now);
  const auto slow = d.take(now);
  for (int i = 0; i < 1000; ++i) d.wake(id("echo-" + std::to_string(i)), {}, now);
  now += config.overlap_after;
  EXPECT_GT(d.take(now).sessions.size(), 900u) << "all but those of the slow one's shard";
  EXPECT_EQ(d.open_turn_count(), 2u);
  now += config.overlap_after;
  finish_one(d, done(slow.sessions[0].index, 1));
  // Turns are long now: the next ones share the shards, and open at once.
  d.wake(id("echo-slow"), {}, now);
  EXPECT_FALSE(d.take(now).sessions.empty());
}

TEST_F(directory_test, a_turn_in_isolation_keeps_nobody_waiting) {
  config.overlap_after = std::chrono::milliseconds{25};
  auto d = make();
  d.wake(id("echo-a"), {}, now);
  auto f = done(d.take(now).sessions[0].index, 0);
  f.kind = directory::finished::status::isolate;
  finish_one(d, f);
  ASSERT_TRUE(d.take(now).isolated);
  d.wake(id("echo-b"), {}, now);
  EXPECT_EQ(d.take(now).sessions.size(), 1u);
}

TEST_F(directory_test, nobody_waits_for_the_turns_of_a_session_with_more) {
  config.overlap_after = std::chrono::milliseconds{25};
  config.workers = 2;
  auto d = make();
  d.wake(id("echo-huge"), {}, now);
  auto part = done(d.take(now).sessions[0].index, 1);
  part.has_more = true;
  finish_one(d, part);
  ASSERT_EQ(d.take(now).sessions.size(), 1u);
  // One after the other, while it is open; the end of a small turn changes nothing.
  for (int i = 0; i < 3; ++i) {
    d.wake(id("echo-b"), {}, now);
    const auto small = d.take(now);
    ASSERT_EQ(small.sessions.size(), 1u) << i;
    d.wake(id("echo-c"), {}, now);
    EXPECT_TRUE(d.take(now).sessions.empty()) << "for the small one they do wait";
    finish_one(d, done(small.sessions[0].index, i + 1));
    const auto waited = d.take(now);
    ASSERT_EQ(waited.sessions.size(), 1u);
    finish_one(d, done(waited.sessions[0].index, i + 1));
  }
  // When it has no more it is like all others.
  part.has_more = false;
  finish_one(d, part);
  d.wake(id("echo-huge"), {}, now);
  ASSERT_EQ(d.take(now).sessions.size(), 1u);
  d.wake(id("echo-b"), {}, now);
  EXPECT_TRUE(d.take(now).sessions.empty());
}

TEST_F(directory_test, no_worker_takes_more_than_its_share_of_the_shards) {
  config.workers = 2;
  auto d = make();
  for (int i = 0; i < 1000; ++i) d.wake(id("echo-" + std::to_string(i)), {}, now);
  auto a = d.take(now);
  auto b = d.take(now);
  std::set<shard_index> sa, sb;
  for (auto& s : a.sessions) sa.insert(s.shard);
  for (auto& s : b.sessions) sb.insert(s.shard);
  EXPECT_EQ(sa.size(), 32u);
  EXPECT_EQ(sb.size(), 32u);
  for (auto s : sa) EXPECT_FALSE(sb.contains(s));
  EXPECT_EQ(a.sessions.size() + b.sessions.size(), 1000u);
}

TEST_F(directory_test, a_turn_is_bounded_in_sessions) {
  config.limits.sessions_max = 10;
  auto d = make();
  for (int i = 0; i < 1000; ++i) d.wake(id("echo-" + std::to_string(i)), {}, now);
  EXPECT_LE(d.take(now).sessions.size(), 10u);
}

TEST_F(directory_test, a_session_with_more_goes_behind_those_that_wait) {
  config.shard_count = 1;
  config.limits.sessions_max = 1;
  auto d = make();
  d.wake(id("echo-greedy"), {}, now);
  d.wake(id("echo-patient"), {}, now);
  auto turn = d.take(now);
  auto f = done(turn.sessions[0].index, 1);
  f.has_more = true;
  finish_one(d, f);
  EXPECT_EQ(d.take(now).sessions[0].session.str(), "echo-patient");
}

TEST_F(directory_test, sessions_not_reached_keep_their_place) {
  config.shard_count = 1;
  auto d = make();
  for (const char* s : {"echo-a", "echo-b", "echo-c"}) d.wake(id(s), {}, now);
  auto turn = d.take(now);
  std::vector<directory::finished> report;
  for (auto& s : turn.sessions) {
    auto f = done(s.index, 1);
    if (s.session.str() != "echo-a") f.kind = status::not_reached;
    report.push_back(f);
  }
  d.wake(id("echo-d"), {}, now);
  d.finish(report, {}, now);
  std::vector<std::string> order;
  for (auto& s : d.take(now).sessions) order.push_back(s.session.str());
  EXPECT_EQ(order, (std::vector<std::string>{"echo-b", "echo-c", "echo-d"}));
}

TEST_F(directory_test, a_skipped_shard_is_left_alone_for_a_while_that_grows) {
  auto d = make();
  d.wake(id("echo-a"), {}, now);
  for (auto wait : {10, 20, 40, 80, 160, 160}) {
    auto turn = d.take(now);
    ASSERT_EQ(turn.sessions.size(), 1u);
    directory::finished f;
    f.index = turn.sessions[0].index;
    f.kind = status::skipped;
    finish_one(d, f);
    EXPECT_TRUE(d.take(now + milliseconds{wait - 1}).sessions.empty());
    EXPECT_EQ(d.next_due(), now + milliseconds{wait});
    now += milliseconds{wait};
  }
}

TEST_F(directory_test, a_held_session_is_ready_again_when_it_is_due_and_not_before) {
  auto d = make();
  d.wake(id("echo-a"), {}, now);
  auto turn = d.take(now);
  auto f = done(turn.sessions[0].index, 1);
  f.retry_in = milliseconds{100};
  finish_one(d, f);
  EXPECT_EQ(d.wake(id("echo-a"), {9}, now), wake_result::coalesced);
  EXPECT_TRUE(d.take(now + milliseconds{99}).sessions.empty());
  EXPECT_EQ(d.take(now + milliseconds{100}).sessions.size(), 1u);
}

TEST_F(directory_test, losing_a_shard_voids_the_cursors_of_its_sessions) {
  config.shard_count = 1;
  auto d = make();
  d.wake(id("echo-a"), {}, now);
  finish_one(d, done(d.take(now).sessions[0].index, 5));
  d.wake(id("echo-b"), {}, now);
  auto turn = d.take(now);
  const std::vector<shard_index> lost{0};
  auto f = done(turn.sessions[0].index, 7);
  d.finish(std::span{&f, 1}, lost, now);
  d.wake(id("echo-a"), {}, now);
  d.wake(id("echo-b"), {}, now);
  turn = d.take(now);
  ASSERT_EQ(turn.sessions.size(), 2u);
  EXPECT_FALSE(turn.sessions[0].cursor.has_value());
  EXPECT_EQ(turn.sessions[1].cursor->command.value, 7);
}

TEST_F(directory_test, an_aborted_session_is_claimed_again_without_a_cursor) {
  auto d = make();
  d.wake(id("echo-a"), {}, now);
  finish_one(d, done(d.take(now).sessions[0].index, 5));
  d.wake(id("echo-a"), {}, now);
  directory::finished f;
  f.index = d.take(now).sessions[0].index;
  f.kind = status::aborted;
  finish_one(d, f);
  auto turn = d.take(now);
  ASSERT_EQ(turn.sessions.size(), 1u);
  EXPECT_FALSE(turn.sessions[0].cursor.has_value());
}

TEST_F(directory_test, an_isolated_session_gets_a_turn_of_its_own) {
  config.shard_count = 1;
  auto d = make();
  d.wake(id("echo-bad"), {}, now);
  directory::finished f;
  f.index = d.take(now).sessions[0].index;
  f.kind = status::isolate;
  finish_one(d, f);
  d.wake(id("echo-good"), {}, now);
  auto turn = d.take(now);
  EXPECT_TRUE(turn.isolated);
  ASSERT_EQ(turn.sessions.size(), 1u);
  finish_one(d, done(turn.sessions[0].index, 1));
  EXPECT_FALSE(d.take(now).isolated);
}

TEST_F(directory_test, there_is_one_isolated_turn_at_a_time) {
  auto d = make();
  for (const char* s : {"echo-a", "echo-b"}) d.wake(id(s), {}, now);
  std::vector<directory::finished> report;
  for (auto& s : d.take(now).sessions) {
    auto f = done(s.index, 1);
    f.has_more = f.isolate_next = true;
    report.push_back(f);
  }
  ASSERT_EQ(report.size(), 2u);
  d.finish(report, {}, now);
  auto first = d.take(now);
  EXPECT_TRUE(first.isolated);
  EXPECT_TRUE(d.take(now).sessions.empty());
  finish_one(d, done(first.sessions[0].index, 2));
  EXPECT_TRUE(d.take(now).isolated);
}

TEST_F(directory_test, idle_sessions_are_passivated_and_their_slots_reused) {
  auto d = make();
  d.wake(id("echo-a"), {}, now);
  const auto slot = d.take(now).sessions[0].index;
  EXPECT_TRUE(d.passivate(now + config.passivate_after).empty()) << "it is in a turn";
  finish_one(d, done(slot, 1));
  EXPECT_TRUE(d.passivate(now + config.passivate_after - milliseconds{1}).empty());
  EXPECT_EQ(d.passivate(now + config.passivate_after), std::vector<directory::slot>{slot});
  EXPECT_EQ(d.known_count(), 0u);
  d.wake(id("echo-b"), {}, now);
  auto again = d.take(now);
  EXPECT_EQ(again.sessions[0].index, slot);
  EXPECT_FALSE(again.sessions[0].cursor.has_value());
}

TEST_F(directory_test, more_idle_sessions_than_the_bound_are_passivated_the_longest_idle_first) {
  config.sessions_known_max = 2;
  auto d = make();
  std::vector<directory::slot> slots;
  for (const char* s : {"echo-a", "echo-b", "echo-c"}) {
    d.wake(id(s), {}, now);
    slots.push_back(d.take(now).sessions[0].index);
    finish_one(d, done(slots.back(), 1));
  }
  EXPECT_EQ(d.passivate(now), std::vector<directory::slot>{slots[0]});
}

TEST_F(directory_test, the_slots_of_a_crowd_that_has_gone_are_given_back) {
  auto d = make();
  d.wake(id("echo-first"), {}, now);
  finish_one(d, done(d.take(now).sessions.at(0).index, 1));
  for (int i = 0; i < 20'000; ++i) d.wake(id("echo-" + std::to_string(i)), {}, now);
  EXPECT_FALSE(d.shrink()) << "all are in use";
  while (d.ready_count() > 0) {
    const auto turn = d.take(now);
    std::vector<directory::finished> ended;
    for (const auto& s : turn.sessions) ended.push_back(done(s.index, 1));
    d.finish(ended, {}, now);
  }
  now += config.passivate_after;
  d.wake(id("echo-first"), {}, now);
  EXPECT_EQ(d.passivate(now).size(), 20'000u);
  EXPECT_EQ(d.slot_count(), 20'001u);
  EXPECT_TRUE(d.shrink());
  EXPECT_LE(d.slot_count(), 4'096u);
  EXPECT_FALSE(d.shrink());
  EXPECT_EQ(d.wake(id("echo-first"), {}, now), directory::wake_result::coalesced) << "it is still known";
  EXPECT_EQ(d.known_count(), 1u);
  EXPECT_EQ(d.take(now).sessions.at(0).session, id("echo-first"));
  for (int i = 0; i < 5'000; ++i) d.wake(id("echo-" + std::to_string(i)), {}, now);
  EXPECT_EQ(d.known_count(), 5'001u);
  EXPECT_EQ(d.slot_count(), 5'001u) << "each has a slot of its own";
}

TEST_F(directory_test, beyond_the_bound_of_ready_sessions_wakes_are_refused) {
  config.sessions_ready_max = 1;
  auto d = make();
  EXPECT_EQ(d.wake(id("echo-a"), {}, now), wake_result::made_ready);
  EXPECT_EQ(d.wake(id("echo-b"), {}, now), wake_result::refused);
  EXPECT_EQ(d.known_count(), 1u);
}

TEST(preferred_node_test, moves_only_the_shards_of_a_node_that_died) {
  const std::vector<std::string> three{"a", "b", "c"}, two{"a", "c"};
  int per_node[3] = {};
  for (int shard = 0; shard < 64; ++shard) {
    const auto before = preferred_node(three, shard);
    ++per_node[before[0] - 'a'];
    if (before != "b") {
      EXPECT_EQ(preferred_node(two, shard), before);
    }
  }
  for (int n : per_node) EXPECT_GT(n, 8) << "about a third each";
  EXPECT_EQ(preferred_node({}, 1), "");
}

}  // namespace
}  // namespace rowcall::engine
