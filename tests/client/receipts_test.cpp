#include "client/receipts.hpp"

#include <gtest/gtest.h>

#include <thread>

#include "tests/client/fakes.hpp"
#include "tests/support/eventually.hpp"

namespace rowcall::client {
namespace {

using namespace std::chrono_literals;
using engine::errc;

class receipts : public testing::Test {
 protected:
  /// Runs `act` as soon as somebody listens and has looked once.
  template <class Act>
  std::thread when_waiting(Act act) {
    return std::thread{[this, act] {
      EXPECT_TRUE(support::eventually(5s, [this] { return log.reads > 0; }));
      act();
    }};
  }
  fake_bus bus;
  fake_log log;
  std::unique_ptr<engine::update_store> store = log.store();
};

TEST_F(receipts, are_returned_at_once_when_they_are_there) {
  log.append(id("chat-1"));
  const auto r = wait_receipt(*store, bus, id("chat-1"), {1}, 5s);
  ASSERT_TRUE(r);
  EXPECT_EQ(r->updates.at(0).seq.value, 1);
}

TEST_F(receipts, come_with_the_notice_without_another_read) {
  auto other = when_waiting([&] { bus.publish(log.append(id("chat-1"))); });
  const auto r = wait_receipt(*store, bus, id("chat-1"), {1}, 20s, 20s);
  other.join();
  ASSERT_TRUE(r);
  EXPECT_EQ(r->updates.at(0).data, R"({"n":1})");
  EXPECT_EQ(log.reads, 1);
}

TEST_F(receipts, are_read_after_a_notice_without_updates) {
  auto other = when_waiting([&] { bus.publish(log.append(id("chat-1"), false)); });
  const auto r = wait_receipt(*store, bus, id("chat-1"), {1}, 20s, 20s);
  other.join();
  ASSERT_TRUE(r);
  EXPECT_EQ(r->updates.size(), 1u);
}

TEST_F(receipts, are_found_by_polling_when_the_notice_is_lost) {
  bus.is_up = false;
  auto other = when_waiting([&] { log.append(id("chat-1")); });
  const auto r = wait_receipt(*store, bus, id("chat-1"), {1}, 20s, 10ms);
  other.join();
  EXPECT_TRUE(r);
}

TEST_F(receipts, survive_a_database_that_is_away_for_a_while) {
  log.is_failing = true;
  auto other = when_waiting([&] {
    log.append(id("chat-1"));
    log.is_failing = false;
  });
  const auto r = wait_receipt(*store, bus, id("chat-1"), {1}, 20s, 5ms);
  other.join();
  EXPECT_TRUE(r);
}

TEST_F(receipts, time_out_also_in_a_busy_session) {
  std::atomic<bool> is_over{false};
  auto other = when_waiting([&] {
    while (!is_over) bus.publish(engine::update_notice{id("chat-1"), {9}, {9}, {}});
  });
  const auto r = wait_receipt(*store, bus, id("chat-1"), {1}, 50ms, 10ms);
  is_over = true;
  other.join();
  ASSERT_FALSE(r);
  EXPECT_EQ(r.error().code, errc::timed_out);
}

TEST_F(receipts, tell_the_databases_error_when_it_stays_away) {
  log.is_failing = true;
  const auto r = wait_receipt(*store, bus, id("chat-1"), {1}, 30ms, 5ms);
  ASSERT_FALSE(r);
  EXPECT_EQ(r.error().code, errc::connection_lost);
}

TEST_F(receipts, of_a_command_of_long_ago_are_told_to_be_gone) {
  for (int i = 0; i < 5; ++i) log.append(id("chat-1"));
  log.remove_below(id("chat-1"), 4);
  const auto r = wait_receipt(*store, bus, id("chat-1"), {2}, 20s, 10ms);
  ASSERT_FALSE(r);
  EXPECT_EQ(r.error().code, errc::gone) << r.error().message;
}

}  // namespace
}  // namespace rowcall::client
