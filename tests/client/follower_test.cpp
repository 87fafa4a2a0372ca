#include "client/follower.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <thread>

#include "tests/client/fakes.hpp"
#include "tests/support/eventually.hpp"

namespace rowcall::client {
namespace {

using namespace std::chrono_literals;
using engine::session_id;
using engine::update_row;
using support::eventually;

constexpr auto never = 1h;  // a poll interval that no test lives to see

class follower_test : public testing::Test {
 protected:
  follow_handler handler() {
    return {
        .on_updates =
            [this](const session_id& session, std::span<const update_row> updates) {
              const std::lock_guard lock{mutex};
              for (const auto& row : updates) seen[session].push_back(row.seq.value);
              if (gate) gate();
            },
        .on_gone =
            [this](const session_id& session, const std::optional<engine::snapshot_row>& snapshot) {
              const std::lock_guard lock{mutex};
              seen[session].push_back(snapshot ? -snapshot->seq.value : -1'000'000);
            },
        .on_incarnation = {},
        .on_error = {},
        .on_live =
            [this](bool is_live) {
              const std::lock_guard lock{mutex};
              lives.push_back(is_live);
            },
    };
  }
  follower& make(follower_config config = {.poll_interval = never}) {
    made = std::make_unique<follower>(log.store(), bus, handler(), config);
    return *made;
  }
  bool is_live() {
    const std::lock_guard lock{mutex};
    return !lives.empty() && lives.back();
  }
  std::vector<std::int64_t> seen_of(std::string_view session) {
    const std::lock_guard lock{mutex};
    return seen[id(session)];
  }
  /// True when exactly first..last arrive, each once and in order.
  bool sees(std::string_view session, std::int64_t first, std::int64_t last) {
    const auto is_there = eventually(10s, [&] {
      const auto s = seen_of(session);
      return !s.empty() && s.back() >= last;
    });
    const auto s = seen_of(session);
    std::vector<std::int64_t> expected;
    for (auto n = first; n <= last; ++n) expected.push_back(n);
    EXPECT_EQ(s, expected);
    return is_there && s == expected;
  }
  void append(std::string_view session, int count) {
    for (int i = 0; i < count; ++i) log.append(id(session));
  }

  fake_bus bus;
  fake_log log;
  std::mutex mutex;
  std::map<session_id, std::vector<std::int64_t>> seen;
  std::vector<bool> lives;
  std::function<void()> gate;
  std::unique_ptr<follower> made;
};

TEST_F(follower_test, catches_up_from_the_log_and_then_is_live) {
  append("chat-1", 1234);
  make({.poll_interval = never, .page_updates = 100}).follow(id("chat-1"), {0});
  EXPECT_TRUE(sees("chat-1", 1, 1234));
  EXPECT_TRUE(eventually(5s, [&] { return is_live(); }));
  EXPECT_TRUE(eventually(5s, [&] { return made->position(id("chat-1"))->value == 1234; }));
}

TEST_F(follower_test, resumes_after_a_position) {
  append("chat-1", 10);
  make().follow(id("chat-1"), {7});
  EXPECT_TRUE(sees("chat-1", 8, 10));
}

TEST_F(follower_test, reads_what_it_has_subscribed_to_and_the_server_has_seen) {
  std::atomic<int> reads_too_early{0};
  log.on_read = [&] {
    if (bus.subscriptions == 0 || bus.subscriptions_flushed != bus.subscriptions) ++reads_too_early;
  };
  auto& f = make();
  for (int s = 1; s <= 20; ++s) {
    const auto session = "chat-" + std::to_string(s);
    append(session, 2);
    f.follow(id(session), {0});
    ASSERT_TRUE(sees(session, 1, 2));
    EXPECT_EQ(bus.subscriptions, s);
  }
  EXPECT_EQ(reads_too_early, 0);
}

TEST_F(follower_test, delivers_live_notices_without_reading) {
  make().follow(id("chat-1"), {0});
  ASSERT_TRUE(eventually(5s, [&] { return is_live(); }));
  const auto reads = log.reads.load();
  for (int i = 0; i < 100; ++i) bus.publish(log.append(id("chat-1")));
  EXPECT_TRUE(sees("chat-1", 1, 100));
  EXPECT_EQ(log.reads, reads);
}

TEST_F(follower_test, reads_what_a_notice_skips_or_does_not_carry) {
  make().follow(id("chat-1"), {0});
  ASSERT_TRUE(eventually(5s, [&] { return is_live(); }));
  bus.publish(log.append(id("chat-1"), false));
  EXPECT_TRUE(sees("chat-1", 1, 1));
  append("chat-1", 5);  // lost
  bus.publish(log.append(id("chat-1")));
  EXPECT_TRUE(sees("chat-1", 1, 7));
}

TEST_F(follower_test, delivers_the_new_part_of_a_notice_that_overlaps) {
  make().follow(id("chat-1"), {0});
  ASSERT_TRUE(eventually(5s, [&] { return is_live(); }));
  auto first = log.append(id("chat-1"));
  bus.publish(first);
  auto second = log.append(id("chat-1"));
  second.first = first.first;
  second.updates.insert(second.updates.begin(), first.updates[0]);
  const auto reads = log.reads.load();
  bus.publish(second);
  EXPECT_TRUE(sees("chat-1", 1, 2));
  EXPECT_EQ(log.reads, reads);
}

TEST_F(follower_test, sees_each_update_once_in_order_whatever_happens_to_the_notices) {
  for (std::uint32_t seed = 1; seed <= 5; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random{seed};
    const auto session = "chat-" + std::to_string(seed);
    make().follow(id(session), {0});
    std::vector<engine::update_notice> notices;
    constexpr int count = 2'000;
    for (int i = 0; i < count; ++i) {
      auto notice = log.append(id(session), random() % 4 != 0);
      if (random() % 5 != 0) notices.push_back(notice);
      if (random() % 5 == 0) notices.push_back(notice);
      if (notices.size() > 8) {
        std::shuffle(notices.begin(), notices.end(), random);
        for (const auto& n : notices) bus.publish(n);
        notices.clear();
      }
    }
    bus.publish(log.append(id(session)));
    EXPECT_TRUE(sees(session, 1, count + 1));
  }
}

TEST_F(follower_test, is_not_misled_by_notices_that_lie) {
  make().follow(id("chat-1"), {0});
  ASSERT_TRUE(eventually(5s, [&] { return is_live(); }));
  append("chat-1", 3);
  auto holes = engine::update_notice{id("chat-1"), {1}, {3}, {}};
  holes.updates = {update_row{{1}, {1}, "a", "{}", {}}, update_row{{3}, {3}, "a", "{}", {}}};
  bus.publish(holes);
  EXPECT_TRUE(sees("chat-1", 1, 3));
  bus.publish(engine::update_notice{id("chat-1"), {1'000'000}, {2'000'000}, {}});
  bus.publish(log.append(id("chat-1")));
  EXPECT_TRUE(sees("chat-1", 1, 4));
}

TEST_F(follower_test, finds_by_polling_what_no_notice_told) {
  make({.poll_interval = 20ms}).follow(id("chat-1"), {0});
  ASSERT_TRUE(eventually(5s, [&] { return is_live(); }));
  append("chat-1", 3);
  EXPECT_TRUE(sees("chat-1", 1, 3));
}

TEST_F(follower_test, looks_at_once_when_it_is_told_to) {
  auto& f = make();
  f.follow(id("chat-1"), {0});
  ASSERT_TRUE(eventually(5s, [&] { return is_live(); }));
  append("chat-1", 3);
  f.look(id("chat-1"));
  EXPECT_TRUE(sees("chat-1", 1, 3));
  append("chat-1", 2);
  f.look(id("chat-1"));
  f.look(id("chat-1"));
  EXPECT_TRUE(sees("chat-1", 1, 5));
  f.look(id("chat-2"));  // that nobody follows
}

TEST_F(follower_test, checks_everything_on_a_reconnect) {
  auto& f = make();
  for (int i = 0; i < 1'000; ++i) f.follow(id("chat-" + std::to_string(i)), {0});
  ASSERT_TRUE(eventually(5s, [&] { return is_live(); }));
  bus.is_up = false;
  for (int i = 0; i < 1'000; ++i) append("chat-" + std::to_string(i), 2);
  bus.connect();
  for (int i = 0; i < 1'000; ++i) ASSERT_TRUE(sees("chat-" + std::to_string(i), 1, 2));
  EXPECT_LE(log.positions_max, 256);
  EXPECT_LE(log.bulk_reads, 30);
}

TEST_F(follower_test, polls_at_another_pace_while_the_bus_is_away) {
  make({.poll_interval = never, .poll_interval_alone = 20ms}).follow(id("chat-1"), {0});
  ASSERT_TRUE(eventually(5s, [&] { return is_live(); }));
  bus.is_up = false;
  append("chat-1", 3);
  EXPECT_TRUE(sees("chat-1", 1, 3));
}

TEST_F(follower_test, tells_the_errors_of_reads_and_goes_on) {
  std::vector<engine::errc> errors;
  auto h = handler();
  h.on_error = [&](const engine::error& error) {
    const std::lock_guard lock{mutex};
    errors.push_back(error.code);
  };
  log.is_failing = true;
  made = std::make_unique<follower>(log.store(), bus, h, follower_config{.poll_interval = 10ms});
  made->follow(id("chat-1"), {0});
  ASSERT_TRUE(eventually(5s, [&] {
    const std::lock_guard lock{mutex};
    return !errors.empty() && errors.front() == engine::errc::connection_lost;
  }));
  append("chat-1", 1);
  log.is_failing = false;
  EXPECT_TRUE(sees("chat-1", 1, 1));
}

TEST_F(follower_test, tells_the_incarnation_before_anything_of_it) {
  std::vector<std::string> told;
  auto h = handler();
  h.on_incarnation = [&](const std::string& incarnation) {
    const std::lock_guard lock{mutex};
    told.push_back(incarnation);
  };
  h.on_updates = [&](const session_id&, std::span<const update_row> updates) {
    const std::lock_guard lock{mutex};
    for (const auto& row : updates) told.push_back(std::to_string(row.seq.value));
  };
  append("chat-1", 2);
  made = std::make_unique<follower>(log.store(), bus, h, follower_config{.poll_interval = 10ms});
  made->follow(id("chat-1"), {0}, "first");
  const auto has = [&](std::vector<std::string> expected) {
    return eventually(5s, [&] {
      const std::lock_guard lock{mutex};
      return told == expected;
    });
  };
  ASSERT_TRUE(has({"first", "1", "2"}));
  log.restore(id("chat-1"), 1, "second");
  EXPECT_TRUE(has({"first", "1", "2", "second", "1"}));
}

TEST_F(follower_test, begins_without_a_bus) {
  bus.is_up = false;
  append("chat-1", 3);
  make().follow(id("chat-1"), {0});
  EXPECT_TRUE(sees("chat-1", 1, 3));
  EXPECT_FALSE(is_live());
  bus.connect();
  EXPECT_TRUE(eventually(5s, [&] { return is_live(); }));
}

TEST_F(follower_test, goes_on_when_the_database_comes_back_and_tells_it) {
  make().follow(id("chat-1"), {0});
  ASSERT_TRUE(eventually(5s, [&] { return is_live(); }));
  log.is_failing = true;
  append("chat-1", 2);
  bus.publish(log.append(id("chat-1")));
  ASSERT_TRUE(eventually(5s, [&] { return !is_live(); }));
  // A notice that continues another session's position needs no database.
  log.is_failing = false;
  EXPECT_TRUE(sees("chat-1", 1, 3));
  EXPECT_TRUE(eventually(5s, [&] { return is_live(); }));
  const std::lock_guard lock{mutex};
  EXPECT_THAT(lives, testing::ElementsAre(true, false, true));
}

TEST_F(follower_test, starts_from_the_snapshot_when_the_log_is_gone) {
  append("chat-1", 20);
  log.remove_below(id("chat-1"), 16);
  make().follow(id("chat-1"), {3});
  ASSERT_TRUE(eventually(5s, [&] { return is_live(); }));
  EXPECT_THAT(seen_of("chat-1"), testing::ElementsAre(-15, 16, 17, 18, 19, 20));
}

TEST_F(follower_test, goes_to_the_end_when_the_log_is_gone_and_there_is_no_snapshot) {
  append("chat-1", 20);
  log.remove_below(id("chat-1"), 16, false);
  make().follow(id("chat-1"), {3});
  ASSERT_TRUE(eventually(5s, [&] { return is_live(); }));
  EXPECT_THAT(seen_of("chat-1"), testing::ElementsAre(-1'000'000, 20));
}

TEST_F(follower_test, keeps_its_memory_bounded_when_notices_outrun_it) {
  std::atomic<bool> is_entered{false}, is_released{false};
  gate = [&] {
    is_entered = true;
    while (!is_released) std::this_thread::yield();
  };
  append("chat-1", 1);
  make().follow(id("chat-1"), {0});
  ASSERT_TRUE(eventually(5s, [&] { return is_entered.load(); }));
  // More than fit; then even the last notices are lost, so only the overflow can lead to the end of the log.
  for (int i = 0; i < 40'000; ++i) bus.publish(log.append(id("chat-1")));
  append("chat-1", 10);
  is_released = true;
  EXPECT_TRUE(sees("chat-1", 1, 40'011));
}

TEST_F(follower_test, stops_at_unfollow) {
  auto& f = make();
  f.follow(id("chat-1"), {0});
  ASSERT_TRUE(eventually(5s, [&] { return is_live(); }));
  f.unfollow(id("chat-1"));
  EXPECT_EQ(f.position(id("chat-1")), std::nullopt);
  bus.publish(log.append(id("chat-1")));
  f.follow(id("chat-2"), {0});
  bus.publish(log.append(id("chat-2")));
  EXPECT_TRUE(sees("chat-2", 1, 1));
  EXPECT_TRUE(seen_of("chat-1").empty());
}

TEST_F(follower_test, moves_when_it_is_told_to_follow_again) {
  append("chat-1", 5);
  auto& f = make();
  f.follow(id("chat-1"), {0});
  ASSERT_TRUE(sees("chat-1", 1, 5));
  f.follow(id("chat-1"), {3});
  EXPECT_TRUE(eventually(5s, [&] { return seen_of("chat-1").size() == 7; }));
  EXPECT_THAT(seen_of("chat-1"), testing::ElementsAre(1, 2, 3, 4, 5, 4, 5));
}

TEST_F(follower_test, may_be_changed_from_its_own_handler) {
  append("chat-1", 3);
  append("chat-2", 3);
  std::atomic<follower*> f{nullptr};
  gate = [&] {
    while (f == nullptr) std::this_thread::yield();
    f.load()->unfollow(id("chat-1"));
    f.load()->follow(id("chat-2"), {1});
    gate = nullptr;
  };
  make().follow(id("chat-1"), {0});
  f = made.get();
  EXPECT_TRUE(sees("chat-2", 2, 3));
  EXPECT_EQ(made->position(id("chat-1")), std::nullopt);
}

TEST_F(follower_test, polls_many_idle_sessions_in_bounded_chunks) {
  auto& f = make({.poll_interval = 50ms});
  constexpr int sessions = 2'000;
  for (int i = 0; i < sessions; ++i) f.follow(id("chat-" + std::to_string(i)), {0});
  ASSERT_TRUE(eventually(5s, [&] { return is_live(); }));
  const auto before = log.bulk_reads.load();
  ASSERT_TRUE(eventually(10s, [&] { return log.bulk_reads >= before + 16; }));
  EXPECT_LE(log.positions_max, 256);
}

TEST_F(follower_test, starts_from_the_snapshot_when_an_older_database_was_restored) {
  append("echo-a", 10);
  auto& f = make({.poll_interval = 5ms});
  f.follow(id("echo-a"), {0});
  ASSERT_TRUE(sees("echo-a", 1, 10));
  EXPECT_EQ(f.incarnation(), "first");
  log.remove_below(id("echo-a"), 6);
  log.restore(id("echo-a"), 8, "second");
  const std::vector<std::int64_t> expected{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, -5, 6, 7, 8};
  EXPECT_TRUE(eventually(10s, [&] { return seen_of("echo-a") == expected; })) << testing::PrintToString(seen_of("echo-a"));
  EXPECT_EQ(f.incarnation(), "second");
  bus.publish(log.append(id("echo-a")));
  EXPECT_TRUE(eventually(10s, [&] { return seen_of("echo-a").back() == 9; }));
}

TEST_F(follower_test, tells_a_restored_log_from_its_beginning_when_there_is_no_snapshot) {
  append("echo-a", 3);
  auto& f = make({.poll_interval = 5ms});
  f.follow(id("echo-a"), {0});
  ASSERT_TRUE(sees("echo-a", 1, 3));
  // The new history is longer already: only the incarnation tells it from the old one.
  log.restore(id("echo-a"), 1, "second");
  append("echo-a", 4);
  const std::vector<std::int64_t> expected{1, 2, 3, -1'000'000, 1, 2, 3, 4, 5};
  EXPECT_TRUE(eventually(10s, [&] {
    const auto s = seen_of("echo-a");
    return s.size() >= expected.size() && std::equal(expected.rbegin(), expected.rend(), s.rbegin());
  })) << testing::PrintToString(seen_of("echo-a"));
}

TEST_F(follower_test, takes_a_log_that_ends_before_its_position_for_another_one_after_a_while) {
  append("echo-a", 10);
  auto& f = make({.poll_interval = 5ms, .ahead_wait = 50ms});
  f.follow(id("echo-a"), {0});
  ASSERT_TRUE(sees("echo-a", 1, 10));
  log.restore(id("echo-a"), 2, "first");
  const std::vector<std::int64_t> expected{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, -1'000'000, 1, 2};
  EXPECT_TRUE(eventually(10s, [&] { return seen_of("echo-a") == expected; })) << testing::PrintToString(seen_of("echo-a"));
}

TEST_F(follower_test, waits_for_a_replica_that_lags) {
  append("echo-a", 4);
  auto& f = make({.poll_interval = 5ms, .ahead_wait = never});
  f.follow(id("echo-a"), {10});
  ASSERT_TRUE(eventually(10s, [&] { return log.reads >= 3; }));
  append("echo-a", 8);
  EXPECT_TRUE(sees("echo-a", 11, 12));
}

TEST_F(follower_test, does_not_trust_a_position_of_another_incarnation) {
  append("echo-a", 4);
  auto& f = make();
  f.follow(id("echo-a"), {3}, "older");
  f.follow(id("echo-b"), {0}, "first");
  const std::vector<std::int64_t> expected{-1'000'000, 1, 2, 3, 4};
  EXPECT_TRUE(eventually(10s, [&] { return seen_of("echo-a") == expected; })) << testing::PrintToString(seen_of("echo-a"));
}

}  // namespace
}  // namespace rowcall::client
