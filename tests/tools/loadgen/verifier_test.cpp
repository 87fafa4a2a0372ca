#include "tools/loadgen/verifier.hpp"

#include <gtest/gtest.h>

namespace rowcall::tools::loadgen {
namespace {

using ack = verifier::acknowledgement;
using sight = verifier::sight;

struct one_session {
  explicit one_session(bool one_update = true) : v(one_update) { v.open("echo-a-0", {}); }
  ack acked(std::int64_t seq) { return v.acknowledged(0, {seq}); }
  sight seen(std::int64_t seq, std::int64_t command) { return v.seen(0, {seq}, {command}); }
  verifier v;
};

void expect(const findings& f, std::uint64_t lost, std::uint64_t duplicated, std::uint64_t reordered, std::uint64_t gaps) {
  EXPECT_EQ(f.lost, lost);
  EXPECT_EQ(f.duplicated, duplicated);
  EXPECT_EQ(f.reordered, reordered);
  EXPECT_EQ(f.gaps, gaps);
  EXPECT_EQ(f.examples.empty(), f.clean());
}

TEST(verifier, a_good_stream_has_no_findings) {
  one_session s;
  for (int i = 1; i <= 1000; ++i) {
    EXPECT_EQ(s.acked(i), ack::awaited);
    EXPECT_EQ(s.seen(i, i), sight::receipt);
  }
  expect(s.v.result(), 0, 0, 0, 0);
  EXPECT_EQ(s.v.outstanding(), 0u);
}

TEST(verifier, an_acknowledged_command_without_receipt_is_lost_at_the_end_only) {
  one_session s;
  s.acked(1);
  expect(s.v.so_far(), 0, 0, 0, 0);
  expect(s.v.result(), 1, 0, 0, 0);
  EXPECT_EQ(s.v.outstanding_above(0, {0}), 1u);
  EXPECT_EQ(s.v.outstanding_above(0, {1}), 0u);
}

TEST(verifier, what_was_not_acknowledged_can_not_be_lost) {
  one_session s;
  s.seen(1, 1);
  expect(s.v.result(), 0, 0, 0, 0);
}

TEST(verifier, a_skipped_update_is_a_gap_and_its_command_lost) {
  one_session s;
  for (int i = 1; i <= 3; ++i) s.acked(i);
  s.seen(1, 1);
  s.seen(3, 3);
  expect(s.v.result(), 1, 0, 0, 1);
}

TEST(verifier, a_swap_is_reordered_and_leaves_no_gap) {
  one_session s;
  for (int i = 1; i <= 4; ++i) s.acked(i);
  s.seen(1, 1);
  s.seen(3, 3);
  EXPECT_EQ(s.seen(2, 2), sight::receipt);
  s.seen(4, 4);
  expect(s.v.result(), 0, 0, 1, 0);
}

TEST(verifier, late_updates_out_of_a_long_gap_are_matched_one_by_one) {
  one_session s;
  s.seen(10, 10);
  expect(s.v.so_far(), 0, 0, 0, 9);
  for (const int i : {5, 1, 9, 4, 6}) s.seen(i, i);
  expect(s.v.so_far(), 0, 0, 5, 4);
  s.seen(5, 5);
  EXPECT_EQ(s.v.so_far().duplicated, 1u);
}

TEST(verifier, the_same_update_twice_is_a_duplicate) {
  one_session s;
  s.acked(1);
  s.seen(1, 1);
  EXPECT_EQ(s.seen(1, 1), sight::wrong);
  expect(s.v.result(), 0, 1, 0, 0);
}

TEST(verifier, a_duplicate_is_known_long_after_its_memory_was_given_back) {
  one_session s;
  for (int i = 1; i <= 100'000; ++i) {
    s.acked(i);
    s.seen(i, i);
  }
  EXPECT_EQ(s.seen(100'001, 17), sight::wrong);  // processed again, as an update of its own
  EXPECT_EQ(s.seen(23, 23), sight::wrong);
  EXPECT_EQ(s.acked(42), ack::wrong);
  EXPECT_EQ(s.v.result().duplicated, 3u);
  EXPECT_LT(s.v.memory_bytes(), 2000u);
}

TEST(verifier, commands_skipped_by_an_unbroken_stream_are_gaps) {
  one_session s;
  for (int i = 1; i <= 3; ++i) s.acked(i);
  s.seen(1, 1);
  s.seen(2, 3);
  expect(s.v.result(), 1, 0, 0, 1);
}

TEST(verifier, commands_answered_in_the_wrong_order_are_reordered) {
  one_session s;
  for (int i = 1; i <= 3; ++i) s.acked(i);
  s.seen(1, 2);
  s.seen(2, 1);
  s.seen(3, 3);
  const auto f = s.v.result();
  EXPECT_EQ(f.reordered, 1u);
  EXPECT_EQ(f.lost, 0u);
}

TEST(verifier, several_updates_a_command_are_fine_where_they_are_allowed) {
  one_session s(false);
  for (int i = 1; i <= 64; ++i) s.acked(i);
  std::int64_t seq = 0;
  for (int i = 1; i <= 64; ++i) {
    EXPECT_EQ(s.seen(++seq, i), sight::receipt);
    EXPECT_EQ(s.seen(++seq, i), sight::further);  // also behind the last command of a word
  }
  expect(s.v.result(), 0, 0, 0, 0);
  EXPECT_EQ(s.seen(++seq, 3), sight::wrong);  // apart from its own
  EXPECT_EQ(s.v.result().duplicated, 1u);
}

TEST(verifier, one_seq_for_two_submits_is_a_duplicate) {
  one_session s;
  s.acked(1);
  EXPECT_EQ(s.acked(1), ack::wrong);
  EXPECT_EQ(s.v.so_far().duplicated, 1u);
}

TEST(verifier, an_absurd_seq_is_a_finding_and_takes_no_memory) {
  one_session s;
  s.seen(1, std::int64_t{1} << 60);
  s.acked(std::int64_t{1} << 60);
  EXPECT_FALSE(s.v.so_far().clean());
  EXPECT_LT(s.v.memory_bytes(), 10'000u);
}

TEST(verifier, sessions_do_not_mix) {
  verifier v(true);
  v.open("echo-a-0", {});
  v.open("echo-a-1", {{7}, {5}});
  v.acknowledged(1, {6});
  EXPECT_EQ(v.seen(0, {1}, {1}), sight::receipt);
  EXPECT_EQ(v.seen(1, {8}, {6}), sight::receipt);
  expect(v.result(), 0, 0, 0, 0);
  EXPECT_EQ(v.position(1).value, 8);
}

TEST(verifier, a_million_commands_in_100000_sessions_take_less_than_50_mebibytes) {
  verifier v(true);
  constexpr int sessions = 100'000;
  for (int i = 0; i < sessions; ++i) v.open("echo-some_run_name-" + std::to_string(i), {});
  for (int round = 1; round <= 10; ++round)
    for (int i = 0; i < sessions; ++i) v.acknowledged(static_cast<session_index>(i), {round});
  EXPECT_EQ(v.outstanding(), 1'000'000u);
  EXPECT_LT(v.memory_bytes(), 50u << 20);
}

TEST(verifier, ten_million_commands_of_one_session_of_which_none_is_answered_take_few_mebibytes) {
  one_session s;
  for (int i = 1; i <= 10'000'000; ++i) s.acked(i);
  EXPECT_EQ(s.v.result().lost, 10'000'000u);
  EXPECT_LT(s.v.memory_bytes(), 8u << 20);
}

}  // namespace
}  // namespace rowcall::tools::loadgen
