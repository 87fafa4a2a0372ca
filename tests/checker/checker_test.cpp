#include "tests/checker/checker.hpp"

#include <gtest/gtest.h>

namespace rowcall::checker {
namespace {

/// Two clients, one session each of their own and one that they share; all is well.
history sound() {
  history h;
  h.submits = {{"ann", "room-1", "say", "a1", outcome::acknowledged, 1},
               {"bob", "room-1", "say", "b1", outcome::acknowledged, 2},
               {"ann", "room-1", "say", "a2", outcome::unknown, 0},
               {"ann", "room-1", "say", "a3", outcome::refused, 0},
               {"bob", "room-1", "say", "b2", outcome::unknown, 0}};
  h.sends = {{"room-1", "room-2", "told", "s1"}};
  h.logs["room-1"] = {{{1, "say", "a1"}, {2, "say", "b1"}, {3, "say", "a2"}},
                      {{1, 1, "said", "x"}, {2, 1, "noted", "x"}, {3, 2, "said", "y"}, {4, 3, "said", "z"}}};
  h.logs["room-2"] = {{{1, "told", "s1"}}, {{1, 1, "heard", "s"}}};
  h.followers = {{"eve", "room-1", 0, h.logs["room-1"].updates}, {"joe", "room-1", 3, {{4, 3, "said", "z"}}}};
  return h;
}

void expect_caught(const history& h, rule r) {
  std::string others;
  for (const auto& v : check(h)) {
    if (v.broken == r) return;
    others += std::string(to_string(v.broken)) + " ";
  }
  FAIL() << to_string(r) << " was not caught; found: " << others;
}

TEST(checker_test, a_sound_history_passes) { EXPECT_TRUE(check(sound()).empty()); }

TEST(checker_test, an_acknowledged_command_that_is_not_there_is_caught) {
  auto h = sound();
  h.submits.push_back({"ann", "room-2", "say", "lost", outcome::acknowledged, 2});
  expect_caught(h, rule::acknowledged_once);
}

TEST(checker_test, an_acknowledged_command_that_is_there_twice_is_caught) {
  auto h = sound();
  h.logs["room-1"].commands.push_back({4, "say", "a1"});
  h.logs["room-1"].updates.push_back({5, 4, "said", "x"});
  expect_caught(h, rule::acknowledged_once);
}

TEST(checker_test, an_acknowledgement_of_another_seq_is_caught) {
  auto h = sound();
  h.submits[1].seq = 3;
  expect_caught(h, rule::acknowledged_once);
}

TEST(checker_test, an_unknown_command_that_is_there_twice_is_caught) {
  auto h = sound();
  h.logs["room-1"].commands.push_back({4, "say", "a2"});
  h.logs["room-1"].updates.push_back({5, 4, "said", "z"});
  expect_caught(h, rule::unknown_at_most_once);
}

TEST(checker_test, a_refused_command_that_is_there_is_caught) {
  auto h = sound();
  h.logs["room-1"].commands.push_back({4, "say", "a3"});
  h.logs["room-1"].updates.push_back({5, 4, "said", "z"});
  expect_caught(h, rule::refused_never);
}

TEST(checker_test, a_sent_command_that_is_lost_or_doubled_is_caught) {
  auto h = sound();
  h.sends.push_back({"room-1", "room-2", "told", "s2"});
  expect_caught(h, rule::sent_once);
  h = sound();
  h.logs["room-2"].commands.push_back({2, "told", "s1"});
  expect_caught(h, rule::sent_once);
}

TEST(checker_test, a_command_that_nobody_submitted_is_caught) {
  auto h = sound();
  h.logs["room-2"].commands.push_back({2, "say", "who?"});
  expect_caught(h, rule::no_stranger);
}

TEST(checker_test, a_second_receipt_is_caught) {
  auto h = sound();
  h.logs["room-1"].updates.push_back({5, 2, "said", "y"});
  expect_caught(h, rule::receipt_once);
}

TEST(checker_test, commands_out_of_their_clients_order_are_caught) {
  auto h = sound();
  std::swap(h.logs["room-1"].commands[0].data, h.logs["room-1"].commands[2].data);
  expect_caught(h, rule::submit_order);
}

TEST(checker_test, a_gap_in_the_commands_is_caught) {
  auto h = sound();
  h.logs["room-1"].commands[2].seq = 4;
  expect_caught(h, rule::command_seq_gapless);
}

TEST(checker_test, a_gap_in_the_updates_is_caught) {
  auto h = sound();
  h.logs["room-1"].updates.back().seq = 5;
  expect_caught(h, rule::update_seq_gapless);
  h = sound();
  h.logs["room-2"].updates.front().seq = 2;
  expect_caught(h, rule::update_seq_gapless);
}

TEST(checker_test, a_skipped_command_is_caught) {
  auto h = sound();
  h.logs["room-1"].updates.erase(h.logs["room-1"].updates.begin() + 2);
  expect_caught(h, rule::receipts_in_order);
}

TEST(checker_test, a_receipt_of_a_command_that_is_not_there_is_caught) {
  auto h = sound();
  h.logs["room-2"].updates.push_back({2, 2, "heard", "s"});
  expect_caught(h, rule::receipts_in_order);
}

TEST(checker_test, a_follower_that_missed_doubled_swapped_or_changed_an_update_is_caught) {
  for (int kind = 0; kind < 4; ++kind) {
    auto h = sound();
    auto& seen = h.followers.front().seen;
    if (kind == 0) seen.erase(seen.begin() + 1);
    if (kind == 1) seen.push_back(seen.back());
    if (kind == 2) std::swap(seen[0], seen[1]);
    if (kind == 3) seen[2].data = "other";
    expect_caught(h, rule::followed_is_log);
  }
}

TEST(checker_test, what_a_follower_saw_wrongly_is_told_with_its_time) {
  using namespace std::chrono_literals;
  auto h = sound();
  auto& seen = h.followers.front().seen;
  for (auto& u : seen) u.seen_at = std::chrono::system_clock::time_point{1'000'000'000s + 1ms * u.seq};
  EXPECT_TRUE(check(h).empty()) << "the log has no times";
  seen[2].data = "other";
  EXPECT_EQ(check(h).front().text,
            "eve of room-1 saw 4 of 4 updates, equal up to 2, seen at 2001-09-09 01:46:40.002 UTC, then 3 said at "
            "2001-09-09 01:46:40.003 UTC");
  seen.resize(2);
  EXPECT_EQ(check(h).front().text,
            "eve of room-1 saw 2 of 4 updates, equal up to 2, seen at 2001-09-09 01:46:40.002 UTC, then nothing");
}

TEST(checker_test, a_follower_of_updates_that_were_never_committed_is_caught) {
  auto h = sound();
  h.followers.push_back({"eve", "room-3", 0, {{1, 1, "said", "x"}}});
  expect_caught(h, rule::followed_is_log);
}

TEST(checker_test, a_follower_that_left_early_is_held_to_what_it_saw) {
  auto h = sound();
  h.followers.front().seen.pop_back();
  h.followers.front().has_left = true;
  EXPECT_TRUE(check(h).empty());
  h.followers.front().seen.erase(h.followers.front().seen.begin());
  expect_caught(h, rule::followed_is_log);
}

TEST(checker_test, a_pending_command_is_caught) {
  auto h = sound();
  h.logs["room-2"].updates.clear();
  expect_caught(h, rule::nothing_pending);
}

TEST(checker_test, a_wrong_status_is_caught) {
  auto h = sound();
  auto& log = h.logs["room-1"];
  for (auto& c : log.commands) c.status = "processed";
  log.commands[1].status = "dead";
  log.dead = {2};
  EXPECT_TRUE(check(h).empty());
  log.commands[1].status = "processed";
  expect_caught(h, rule::status_is_true);
  log.commands[1].status = "dead";
  log.commands[2].status = "pending";
  expect_caught(h, rule::status_is_true);
}

TEST(checker_test, a_command_that_the_view_does_not_show_is_caught) {
  auto h = sound();
  for (auto& c : h.logs["room-1"].commands) c.status = "processed";
  EXPECT_TRUE(check(h).empty());
  h.logs["room-1"].commands[1].status = "missing";
  expect_caught(h, rule::status_is_true);
}

TEST(checker_test, rules_are_known_by_their_names) {
  EXPECT_EQ(rule_from("acknowledged_once"), rule::acknowledged_once);
  EXPECT_EQ(rule_from("table_is_fold"), rule::table_is_fold);
  EXPECT_FALSE(rule_from("?"));
}

TEST(checker_test, a_table_that_is_not_the_fold_of_the_logs_is_caught) {
  auto h = sound();
  h.tables = {{"messages", {"a", "b", "b"}, {"b", "a", "b"}}};
  EXPECT_TRUE(check(h).empty());
  h.tables.front().stored.insert("a");
  expect_caught(h, rule::table_is_fold);
  h.tables.front().stored = {"a", "b"};
  expect_caught(h, rule::table_is_fold);
}

}  // namespace
}  // namespace rowcall::checker
