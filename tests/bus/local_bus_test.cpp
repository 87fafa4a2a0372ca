#include "bus/local_bus.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <thread>

#include "tests/bus/bus_test.hpp"

namespace rowcall::bus {
namespace {

using engine::session_id;
using engine::update_notice;
using engine::wake;


TEST(local_bus, delivers_wakes_to_every_handler_on_the_publishers_thread) {
  const auto b = make_local_bus();
  std::vector<std::int64_t> first, second;
  std::thread::id thread;
  const auto s1 = b->on_wakes([&](wake w) { first.push_back(w.last.value), thread = std::this_thread::get_id(); });
  const auto s2 = b->on_wakes([&](wake w) { second.push_back(w.last.value); });
  publish(*b, wake{id("chat-1"), {7}});
  EXPECT_THAT(first, testing::ElementsAre(7));
  EXPECT_THAT(second, testing::ElementsAre(7));
  EXPECT_EQ(thread, std::this_thread::get_id());
}

TEST(local_bus, delivers_notices_of_the_session_only) {
  const auto b = make_local_bus();
  std::vector<std::int64_t> seen;
  const auto s1 = b->on_updates(id("chat-1"), [&](const update_notice& n) { seen.push_back(n.last.value); });
  const auto s2 = b->on_updates(id("chat-1"), [&](const update_notice& n) { seen.push_back(n.last.value * 10); });
  publish(*b, update_notice{id("chat-1"), {1}, {2}, {}});
  publish(*b, update_notice{id("chat-2"), {1}, {3}, {}});
  EXPECT_THAT(seen, testing::ElementsAre(2, 20));
}

TEST(local_bus, lets_a_handler_end_its_own_subscription) {
  const auto b = make_local_bus();
  int calls = 0;
  std::unique_ptr<engine::subscription> s;
  s = b->on_updates(id("chat-1"), [&](const update_notice&) { ++calls, s.reset(); });
  publish(*b, update_notice{id("chat-1"), {1}, {1}, {}});
  publish(*b, update_notice{id("chat-1"), {2}, {2}, {}});
  EXPECT_EQ(calls, 1);
}

TEST(local_bus, lets_a_handler_publish_and_subscribe) {
  const auto b = make_local_bus();
  int notices = 0;
  std::unique_ptr<engine::subscription> inner;
  const auto outer = b->on_wakes([&](wake w) {
    inner = b->on_updates(w.session, [&](const update_notice&) { ++notices; });
    publish(*b, update_notice{w.session, {1}, {1}, {}});
  });
  publish(*b, wake{id("chat-1"), {1}});
  EXPECT_EQ(notices, 1);
}

TEST(local_bus, waits_for_a_running_callback_when_a_subscription_ends) {
  const auto b = make_local_bus();
  std::latch entered{1}, leave{1};
  std::atomic<bool> is_left{false}, is_ended{false};
  auto s = b->on_wakes([&](wake) {
    entered.count_down();
    leave.wait();
    EXPECT_FALSE(is_ended);
    is_left = true;
  });
  std::thread publisher{[&] { publish(*b, wake{id("chat-1"), {1}}); }};
  entered.wait();
  std::thread ender{[&] {
    s.reset();
    is_ended = true;
    EXPECT_TRUE(is_left);
  }};
  leave.count_down();
  ender.join();
  publisher.join();
  EXPECT_TRUE(is_ended);
}

TEST(local_bus, calls_nothing_after_the_end_while_others_publish) {
  const auto b = make_local_bus();
  std::atomic<bool> is_stopped{false};
  std::thread publisher{[&] {
    while (!is_stopped) publish(*b, update_notice{id("chat-1"), {1}, {1}, {}});
  }};
  for (int round = 0; round < 2000; ++round) {
    auto alive = std::make_unique<std::atomic<bool>>(true);
    auto s = b->on_updates(id("chat-1"), [&](const update_notice&) { EXPECT_TRUE(*alive); });
    if (round % 2) std::this_thread::yield();
    s.reset();
    *alive = false;
    alive.reset();
  }
  is_stopped = true;
  publisher.join();
}

TEST(local_bus, may_end_before_its_subscriptions) {
  auto b = make_local_bus();
  auto s1 = b->on_wakes([](wake) {});
  auto s2 = b->on_updates(id("chat-1"), [](const update_notice&) {});
  b.reset();
  s1.reset();
  s2.reset();
}

}  // namespace
}  // namespace rowcall::bus
