#include "gateway/internal/console_history.hpp"

#include <gtest/gtest.h>

namespace rowcall::gateway::internal {
namespace {

using namespace std::chrono_literals;

engine::console_overview look(std::chrono::seconds at, std::int64_t xid,
                              std::vector<std::pair<std::string, std::int64_t>> nodes = {}) {
  engine::console_overview o;
  o.at = engine::db_time{at + 1h};
  o.xid = xid;
  for (const auto& [name, commands] : nodes) {
    engine::console_node n;
    n.info.node = name;
    n.info.uptime = 1h;
    n.totals.commands = commands;
    n.totals.updates = 2 * commands;
    o.nodes.push_back(n);
  }
  return o;
}

TEST(console_history, a_sample_is_what_all_nodes_did_between_two_looks) {
  console_history h;
  h.add(look(0s, 100, {{"a", 1'000}, {"b", 50}}));
  EXPECT_TRUE(h.samples().empty());
  h.add(look(2s, 120, {{"a", 1'010}, {"b", 55}}));
  ASSERT_EQ(h.samples().size(), 1u);
  const auto& s = h.samples()[0];
  EXPECT_EQ(s.commands, 15);
  EXPECT_EQ(s.updates, 30);
  EXPECT_EQ(s.span, 2s);
  EXPECT_FALSE(s.wait) << "nothing was counted";
}

TEST(console_history, a_new_node_counts_from_its_start_and_one_that_was_silent_not_at_all) {
  console_history h;
  h.add(look(0s, 100));
  auto o = look(2s, 101, {{"new", 7}, {"silent", 1'000'000}});
  o.nodes[0].info.uptime = 1s;
  h.add(std::move(o));
  EXPECT_EQ(h.samples()[0].commands, 7);
}

TEST(console_history, begins_anew_with_another_database) {
  console_history h;
  h.add(look(0s, 100, {{"a", 10}}));
  h.add(look(2s, 110, {{"a", 20}}));
  h.add(look(4s, 50, {{"a", 5}}));
  EXPECT_TRUE(h.samples().empty());
  h.add(look(6s, 60, {{"a", 8}}));
  ASSERT_EQ(h.samples().size(), 1u);
  EXPECT_EQ(h.samples()[0].commands, 3);
  EXPECT_EQ(h.samples()[0].number, 2) << "numbers go on";
}

TEST(console_history, forgets_what_is_old) {
  console_history h{10s};
  for (int i = 0; i < 100; ++i) h.add(look(std::chrono::seconds{i}, 100 + i));
  EXPECT_EQ(h.samples().size(), 11u);
}

TEST(console_history, the_recent_window_holds_as_many_commands_as_may_be_read) {
  console_history h;
  for (int i = 0; i <= 50; ++i) h.add(look(std::chrono::seconds{2 * i}, 100 + i, {{"a", 1'000 * i}}));
  EXPECT_EQ(h.recent(10'000, 1min).since_xid, 140) << "the last ten spans of 1,000 each";
  EXPECT_EQ(h.recent(10'000, 1min).length, 20s);
  EXPECT_EQ(h.recent(1'000'000, 1min).length, 1min);
  EXPECT_EQ(h.recent(10, 1min).length, 2s) << "one span at least";
  EXPECT_EQ(console_history{}.recent(10, 1min).length, 0s);
}

TEST(quantile_us, lies_in_the_bucket_of_the_value) {
  EXPECT_FALSE(quantile_us({}, 0.5));
  EXPECT_FALSE(quantile_us({0, 0}, 0.5));
  EXPECT_EQ(quantile_us({10}, 1.0), 32);
  const auto p50 = quantile_us({50, 0, 0, 50}, 0.5), p99 = quantile_us({50, 0, 0, 50}, 0.99);
  EXPECT_EQ(p50, 32);
  EXPECT_GT(*p99, 128);
  EXPECT_LE(*p99, 256);
}

}  // namespace
}  // namespace rowcall::gateway::internal
