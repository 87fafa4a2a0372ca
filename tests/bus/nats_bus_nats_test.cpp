#include "bus/nats_bus.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nats/nats.h>

#include <atomic>
#include <filesystem>
#include <mutex>
#include <random>
#include <thread>

#include "bus/internal/nats_connection.hpp"
#include "tests/bus/bus_test.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/private_nats.hpp"

namespace rowcall::bus {
namespace {

using namespace std::chrono_literals;
using engine::session_id;
using engine::update_notice;
using engine::update_row;
using engine::wake;
using support::eventually;

update_notice notice(std::string_view session, std::int64_t seq, std::string data = "{}") {
  return {id(session), {seq}, {seq}, {update_row{{seq}, {seq}, "echoed", std::move(data), {}}}};
}

/// Publishes raw bytes, as a stranger would.
class stranger {
 public:
  explicit stranger(const std::string& url)
      : connection_(*internal::nats_connection::open({.url = url, .name = "stranger"}, internal::send_mode::asap, {[] {}, [] {}})) {}
  void publish(const std::string& subject, std::string_view payload) { EXPECT_TRUE(connection_->publish(subject, payload)); }
  void flush() { EXPECT_TRUE(connection_->flush(5s)); }

 private:
  std::unique_ptr<internal::nats_connection> connection_;
};

std::size_t thread_count() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator{"/proc/self/task"}) ++count;
  return count;
}

class nats_bus : public testing::Test {
 protected:
  std::unique_ptr<engine::bus> connect() {
    auto b = connect_nats({.url = server.url()});
    EXPECT_TRUE(b) << b.error().message;
    return *std::move(b);
  }
  support::private_nats server;
};

TEST_F(nats_bus, carries_wakes_between_processes) {
  const auto sender = connect(), receiver = connect();
  std::atomic<std::int64_t> last{0};
  const auto s = receiver->on_wakes([&](wake w) {
    EXPECT_EQ(w.session, id("chat-1"));
    last = w.last.value;
  });
  ASSERT_TRUE(receiver->flush(5s));
  publish(*sender, wake{id("chat-1"), {17}});
  EXPECT_TRUE(eventually(5s, [&] { return last == 17; }));
}

TEST_F(nats_bus, carries_notices_with_their_updates_to_all_handlers_of_a_session) {
  const auto b = connect();
  std::mutex mutex;
  std::vector<std::string> seen;
  const auto handler = [&](const update_notice& n) {
    const std::lock_guard lock{mutex};
    seen.push_back(n.updates.at(0).data);
  };
  const auto s1 = b->on_updates(id("chat-1"), handler), s2 = b->on_updates(id("chat-1"), handler);
  const auto other = b->on_updates(id("chat-2"), [](const update_notice&) { ADD_FAILURE(); });
  ASSERT_TRUE(b->flush(5s));
  publish(*b, notice("chat-1", 1, R"({"text":"* > . \t"})"));
  EXPECT_TRUE(eventually(5s, [&] {
    const std::lock_guard lock{mutex};
    return seen.size() == 2;
  }));
  EXPECT_THAT(seen, testing::Each(R"({"text":"* > . \t"})"));
}

TEST_F(nats_bus, keeps_the_other_handlers_of_a_session_when_one_ends) {
  const auto b = connect();
  std::atomic<int> calls{0};
  auto s1 = b->on_updates(id("chat-1"), [](const update_notice&) { ADD_FAILURE(); });
  const auto s2 = b->on_updates(id("chat-1"), [&](const update_notice&) { ++calls; });
  s1.reset();
  ASSERT_TRUE(b->flush(5s));
  publish(*b, notice("chat-1", 1));
  EXPECT_TRUE(eventually(5s, [&] { return calls == 1; }));
}

TEST_F(nats_bus, takes_a_plain_empty_message_for_a_wake_and_ignores_what_it_can_not_read) {
  const auto b = connect();
  std::mutex mutex;
  std::vector<std::pair<std::string, std::int64_t>> wakes;
  std::atomic<int> notices{0};
  const auto s1 = b->on_wakes([&](wake w) {
    const std::lock_guard lock{mutex};
    wakes.emplace_back(w.session.str(), w.last.value);
  });
  const auto s2 = b->on_updates(id("chat-1"), [&](const update_notice&) { ++notices; });
  ASSERT_TRUE(b->flush(5s));
  stranger other{server.url()};
  const std::string large(1024 * 1024 - 1024, '{');
  other.publish("rowcall.wake.x", "");
  other.publish("rowcall.wake.chat-$1", "");
  other.publish("rowcall.wake." + std::string(300, 'c') + "-1", "");
  other.publish("rowcall.updates.chat-1", "");
  other.publish("rowcall.updates.chat-1", large);
  other.publish("rowcall.updates.chat-1", R"({"session":"chat-2","first":1,"last":1})");
  other.publish("rowcall.wake.chat-1", "");
  other.publish("rowcall.wake.chat-2", large);
  other.publish("rowcall.wake.chat-3", "\xff\x01garbage");
  other.publish("rowcall.wake.chat-4", R"({"last":4})");
  other.publish("rowcall.updates.chat-1", R"({"session":"chat-1","first":1,"last":1})");
  EXPECT_TRUE(eventually(5s, [&] {
    const std::lock_guard lock{mutex};
    return wakes.size() == 4 && notices == 1 && counters_of(*b).messages_ignored == 6;
  }));
  EXPECT_THAT(wakes, testing::ElementsAre(testing::Pair("chat-1", 0), testing::Pair("chat-2", 0), testing::Pair("chat-3", 0),
                                          testing::Pair("chat-4", 4)));
}

TEST_F(nats_bus, survives_a_handler_that_throws) {
  const auto b = connect();
  std::atomic<int> calls{0};
  const auto s1 = b->on_wakes([](wake) { throw std::runtime_error{"no"}; });
  const auto s2 = b->on_wakes([&](wake) { ++calls; });
  ASSERT_TRUE(b->flush(5s));
  publish(*b, wake{id("chat-1"), {1}});
  EXPECT_TRUE(eventually(5s, [&] { return calls == 1; }));
  EXPECT_EQ(counters_of(*b).handler_failures, 1);
}

TEST_F(nats_bus, delivers_a_burst_whole_and_in_order_for_each_session) {
  const auto b = connect();
  std::atomic<std::int64_t> last{0};
  std::atomic<bool> is_ordered{true};
  const auto s = b->on_updates(id("chat-1"), [&](const update_notice& n) {
    if (n.first.value != last + 1) is_ordered = false;
    last = n.last.value;
  });
  ASSERT_TRUE(b->flush(5s));
  std::int64_t seq = 0;
  for (int burst = 0; burst < 50; ++burst) {
    std::vector<update_notice> notices;
    for (int i = 0; i < 40; ++i) notices.push_back(notice("chat-1", ++seq));
    b->publish(notices);
    // The order across bursts is promised only within one connection: the first ones may still go the short way.
    ASSERT_TRUE(eventually(5s, [&] { return last == seq; }));
  }
  EXPECT_TRUE(is_ordered);
}

TEST_F(nats_bus, follows_ten_thousand_sessions_at_once) {
  constexpr int sessions = 10'000;
  const auto b = connect();
  const auto threads = thread_count();
  std::vector<std::unique_ptr<engine::subscription>> subscriptions;
  std::atomic<int> received{0};
  for (int i = 0; i < sessions; ++i)
    subscriptions.push_back(b->on_updates(id("chat-" + std::to_string(i)), [&](const update_notice&) { ++received; }));
  ASSERT_TRUE(b->flush(10s));
  EXPECT_LE(thread_count(), threads + 4) << "a thread for each subscription";
  std::vector<update_notice> notices;
  for (int i = 0; i < sessions; ++i) notices.push_back(notice("chat-" + std::to_string(i), 1));
  b->publish(notices);
  EXPECT_TRUE(eventually(20s, [&] { return received == sessions; })) << received;
}

TEST_F(nats_bus, calls_nothing_after_a_subscription_ended) {
  const auto b = connect();
  std::atomic<bool> is_stopped{false};
  std::atomic<std::int64_t> received{0};
  std::thread publisher{[&] {
    while (!is_stopped) {
      for (int i = 0; i < 4; ++i) {
        publish(*b, notice("chat-1", 1));
        publish(*b, wake{id("chat-1"), {1}});
      }
      EXPECT_TRUE(b->flush(5s));  // its answer comes after the messages: nothing piles up
    }
  }};
  for (int round = 0; round < 200; ++round) {
    auto alive = std::make_unique<std::atomic<bool>>(true);
    const auto before = received.load();
    auto s1 = b->on_updates(id("chat-1"), [&](const update_notice&) { EXPECT_TRUE(*alive); ++received; });
    auto s2 = b->on_wakes([&](wake) { EXPECT_TRUE(*alive); ++received; });
    EXPECT_TRUE(eventually(5s, [&] { return received > before; }));
    s1.reset();
    s2.reset();
    *alive = false;
    alive.reset();
  }
  is_stopped = true;
  publisher.join();
}

TEST_F(nats_bus, lets_a_handler_end_its_own_subscription) {
  const auto b = connect();
  std::atomic<int> calls{0};
  std::unique_ptr<engine::subscription> s;
  std::atomic<bool> is_set{false};
  s = b->on_updates(id("chat-1"), [&](const update_notice&) {
    while (!is_set) std::this_thread::yield();
    s.reset();
    ++calls;
  });
  is_set = true;
  ASSERT_TRUE(b->flush(5s));
  publish(*b, notice("chat-1", 1));
  publish(*b, notice("chat-1", 2));
  EXPECT_TRUE(eventually(5s, [&] { return calls == 1; }));
  ASSERT_TRUE(b->flush(5s));
  EXPECT_EQ(calls, 1);
}

TEST_F(nats_bus, leaves_no_thread_behind) {
  { const auto warm = connect(); }  // nats.c's own threads of the process come with the first connection
  const auto before = thread_count();
  for (int round = 0; round < 5; ++round) {
    const auto b = connect();
    const auto s = b->on_wakes([](wake) {});
    std::vector<wake> burst(64, wake{id("chat-1"), {1}});
    b->publish(burst);
    ASSERT_TRUE(b->flush(5s));
  }
  EXPECT_TRUE(eventually(5s, [&] { return thread_count() <= before + 4; })) << thread_count() << " were " << before;
}

TEST_F(nats_bus, ends_safely_before_its_subscriptions_and_under_fire) {
  const auto publisher_bus = connect();
  std::atomic<bool> is_stopped{false};
  std::thread publisher{[&] {
    while (!is_stopped) {
      for (int i = 0; i < 20; ++i) publish(*publisher_bus, wake{id("chat-1"), {1}});
      EXPECT_TRUE(publisher_bus->flush(5s));
    }
  }};
  for (int round = 0; round < 50; ++round) {
    std::atomic<int> calls{0};
    auto b = connect();
    auto s = b->on_wakes([&](wake) { ++calls; });
    EXPECT_TRUE(eventually(5s, [&] { return calls > 0; }));
    b.reset();
    s.reset();
  }
  is_stopped = true;
  publisher.join();
}

TEST_F(nats_bus, tells_of_messages_that_a_slow_handler_made_it_drop) {
  const auto b = connect(), sender = connect();
  std::atomic<bool> is_released{false};
  std::atomic<int> connected{0}, received{0};
  const auto c = b->on_connected([&] { ++connected; });
  ASSERT_TRUE(eventually(5s, [&] { return connected == 1; }));  // told as a newcomer
  const auto s = b->on_updates(id("chat-1"), [&](const update_notice&) {
    ++received;
    while (!is_released) std::this_thread::yield();
  });
  ASSERT_TRUE(b->flush(5s));
  std::vector<update_notice> burst;
  for (int i = 1; i <= 10'000; ++i) burst.push_back(notice("chat-1", i));
  sender->publish(burst);
  EXPECT_TRUE(eventually(10s, [&] { return connected >= 2; }));
  EXPECT_GE(counters_of(*b).overflows, 1);
  is_released = true;
  // It goes on afterwards.
  EXPECT_TRUE(eventually(10s, [&] {
    const auto before = received.load();
    publish(*sender, notice("chat-1", 20'000));
    return received > before && received > 4'000;
  }));
}

}  // namespace
}  // namespace rowcall::bus
