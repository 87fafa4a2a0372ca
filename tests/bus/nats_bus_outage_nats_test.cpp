#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <set>

#include "bus/nats_bus.hpp"
#include "tests/bus/bus_test.hpp"
#include "tests/chaos/tcp_proxy.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/private_nats.hpp"

namespace rowcall::bus {
namespace {

using namespace std::chrono_literals;
using engine::session_id;
using engine::update_notice;
using engine::wake;
using support::eventually;

std::unique_ptr<engine::bus> connect(const support::private_nats& server) {
  auto b = connect_nats({.url = server.url(), .reconnect_wait = 20ms, .reconnect_wait_max = 200ms});
  EXPECT_TRUE(b) << b.error().message;
  return *std::move(b);
}

TEST(nats_bus_outage, connects_later_when_the_server_is_away_at_the_start) {
  support::private_nats server;
  server.stop();
  const auto b = connect(server);
  EXPECT_FALSE(b->is_connected());
  EXPECT_EQ(b->flush(100ms).error().code, engine::errc::unavailable);
  std::atomic<int> connected{0}, wakes{0};
  const auto c = b->on_connected([&] { ++connected; });
  const auto s = b->on_wakes([&](wake) { ++wakes; });
  publish(*b, wake{id("chat-1"), {1}});  // dropped: nothing old comes after the connect
  server.start();
  ASSERT_TRUE(eventually(10s, [&] { return connected == 1; }));
  EXPECT_TRUE(b->is_connected());
  publish(*b, wake{id("chat-1"), {2}});
  EXPECT_TRUE(eventually(5s, [&] { return wakes == 1; }));
  EXPECT_EQ(counters_of(*b).publications_dropped, 1);
}

/// Something answers for the server that is away, and hangs up: a load balancer, a proxy, a forwarded port. nats.c gives such
/// a first connect up for good.
TEST(nats_bus_outage, connects_later_when_a_proxy_accepts_for_a_server_that_is_away) {
  support::private_nats server;
  chaos::tcp_proxy proxy(server.port());
  server.stop();
  auto opened = connect_nats({.url = "nats://127.0.0.1:" + std::to_string(proxy.port()), .reconnect_wait = 20ms, .reconnect_wait_max = 200ms});
  ASSERT_TRUE(opened) << opened.error().message;
  const auto& b = *opened;
  std::atomic<int> connected{0}, wakes{0}, notices{0};
  const auto c = b->on_connected([&] { ++connected; });
  const auto s = b->on_wakes([&](wake) { ++wakes; });
  const auto u = b->on_updates(id("chat-1"), [&](const update_notice&) { ++notices; });
  const auto attempts = proxy.accepted();
  ASSERT_TRUE(eventually(10s, [&] { return proxy.accepted() >= attempts + 3; })) << "it does not try again";
  server.start();
  ASSERT_TRUE(eventually(10s, [&] { return connected >= 1; }));
  publish(*b, wake{id("chat-1"), {2}});
  const update_notice notice{id("chat-1"), {1}, {1}, {}};
  b->publish(std::span{&notice, 1});
  EXPECT_TRUE(eventually(5s, [&] { return wakes == 1 && notices == 1; }));
}

TEST(nats_bus_outage, opens_another_connection_when_nats_c_has_given_up) {
  support::private_nats server({.configuration = "authorization { user: ann, password: secret }\n", .arguments = {}});
  support::private_nats strict({.configuration = "authorization { user: ann, password: other }\n", .arguments = {}});
  chaos::tcp_proxy proxy(server.port());
  auto opened = connect_nats({.url = "nats://ann:secret@127.0.0.1:" + std::to_string(proxy.port()), .reconnect_wait = 20ms, .reconnect_wait_max = 100ms});
  ASSERT_TRUE(opened) << opened.error().message;
  const auto& b = *opened;
  std::atomic<int> connected{0}, wakes{0};
  const auto c = b->on_connected([&] { ++connected; });
  const auto s = b->on_wakes([&](wake) { ++wakes; });
  ASSERT_TRUE(eventually(5s, [&] { return connected == 1; }));
  // Somebody changes the password, and back again.
  proxy.target(strict.port());
  proxy.cut();
  const auto attempts = proxy.accepted();
  ASSERT_TRUE(eventually(10s, [&] { return proxy.accepted() >= attempts + 5; })) << "it does not try again";
  EXPECT_FALSE(b->is_connected());
  proxy.target(server.port());
  ASSERT_TRUE(eventually(10s, [&] { return connected >= 2; }));
  publish(*b, wake{id("chat-1"), {2}});
  EXPECT_TRUE(eventually(5s, [&] { return wakes == 1; }));
}

TEST(nats_bus_outage, ends_at_once_when_it_never_connected) {
  support::private_nats server;
  server.stop();
  const auto began = std::chrono::steady_clock::now();
  {
    const auto b = connect(server);
    const auto s = b->on_wakes([](wake) {});
  }
  EXPECT_LT(std::chrono::steady_clock::now() - began, 4s);
}

TEST(nats_bus_outage, comes_back_with_its_subscriptions_after_the_server_was_killed) {
  support::private_nats server;
  const auto b = connect(server);
  std::atomic<int> connected{0}, wakes{0};
  std::atomic<bool> was_delivered_after_connect{false};
  const auto c = b->on_connected([&] { ++connected; });
  const auto s = b->on_wakes([&](wake) { ++wakes; });
  ASSERT_TRUE(eventually(5s, [&] { return connected == 1; }));
  for (int round = 2; round <= 4; ++round) {
    server.kill9();
    ASSERT_TRUE(eventually(5s, [&] { return !b->is_connected(); }));
    const auto before = wakes.load();
    std::vector<wake> old(1000, wake{id("chat-1"), {1}});
    b->publish(old);
    server.start();
    ASSERT_TRUE(eventually(10s, [&] { return connected == round; }));
    publish(*b, wake{id("chat-1"), {2}});
    ASSERT_TRUE(eventually(5s, [&] { return wakes > before; }));
    EXPECT_EQ(wakes, before + 1) << "old wakes were replayed";
  }
  EXPECT_EQ(counters_of(*b).publications_dropped, 3000);
}

TEST(nats_bus_outage, loses_nothing_between_the_reconnect_and_the_look_at_the_database) {
  // Whatever is published after an on_connected handler began is received: the subscriptions are in place by then.
  support::private_nats server;
  const auto b = connect(server), other = connect(server);
  constexpr int sessions = 2'000;
  std::mutex mutex;
  std::set<std::string> seen;
  std::vector<std::unique_ptr<engine::subscription>> subscriptions;
  for (int i = 0; i < sessions; ++i)
    subscriptions.push_back(b->on_updates(id("chat-" + std::to_string(i)), [&](const update_notice& n) {
      const std::lock_guard lock{mutex};
      seen.insert(n.session.str());
    }));
  std::atomic<int> connected{0};
  const auto c = b->on_connected([&] { ++connected; });
  ASSERT_TRUE(eventually(5s, [&] { return connected == 1; }));
  server.kill9();
  ASSERT_TRUE(eventually(5s, [&] { return !b->is_connected() && !other->is_connected(); }));
  server.start();
  ASSERT_TRUE(eventually(10s, [&] { return connected == 2 && other->is_connected(); }));
  std::vector<update_notice> notices;
  for (int i = 0; i < sessions; ++i) notices.push_back({id("chat-" + std::to_string(i)), {1}, {1}, {}});
  other->publish(notices);
  EXPECT_TRUE(eventually(5s, [&] {
    const std::lock_guard lock{mutex};
    return seen.size() == sessions;
  }));
}

TEST(nats_bus_outage, bounds_a_flush_while_the_server_hangs) {
  support::private_nats server;
  const auto b = connect(server);
  server.freeze();
  engine::result<void> flushed;
  // The signal takes its time, so the first may still be answered.
  ASSERT_TRUE(eventually(10s, [&] {
    const auto began = std::chrono::steady_clock::now();
    flushed = b->flush(200ms);
    EXPECT_LT(std::chrono::steady_clock::now() - began, 3s);
    return !flushed;
  }));
  EXPECT_EQ(flushed.error().code, engine::errc::timed_out);
  server.thaw();
  EXPECT_TRUE(eventually(5s, [&] { return b->flush(1s).has_value(); }));
}

TEST(nats_bus_outage, says_so_when_the_credentials_are_refused) {
  const support::private_nats server{{.configuration = "authorization { user: ann, password: secret }\n", .arguments = {}}};
  const auto refused = connect_nats({.url = server.url()});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, engine::errc::unavailable);
  const auto mistyped = connect_nats({.url = "nats://ann:sesame@127.0.0.1:" + std::to_string(server.port())});
  ASSERT_FALSE(mistyped);
  EXPECT_EQ(mistyped.error().message.find("sesame"), std::string::npos) << "a password belongs into no log";
  const auto accepted = connect_nats({.url = "nats://ann:secret@127.0.0.1:" + std::to_string(server.port())});
  ASSERT_TRUE(accepted) << accepted.error().message;
  EXPECT_TRUE((*accepted)->is_connected());
}

TEST(nats_bus_outage, counts_what_the_server_does_not_let_the_user_do) {
  const support::private_nats server{
      {.configuration = R"(authorization { users: [ { user: ann, password: secret, permissions: {
         publish: { allow: ["rowcall.wake.*"] }, subscribe: { allow: ["rowcall.updates.*"] } } } ] })",
       .arguments = {}}};
  const auto b = connect_nats({.url = "nats://ann:secret@127.0.0.1:" + std::to_string(server.port())}).value();
  const engine::wake allowed{engine::session_id::parse("echo-a").value(), {1}};
  b->publish({&allowed, 1});
  ASSERT_TRUE(b->flush(5s));
  EXPECT_EQ(counters_of(*b).permissions_refused, 0);
  const auto listening = b->on_wakes([](const engine::wake&) {});
  EXPECT_TRUE(eventually(20s, [&] { return counters_of(*b).permissions_refused >= 1; }));
}

TEST(nats_bus_outage, refuses_a_configuration_that_can_not_work) {
  for (const char* url : {"http//:", "rubbish", "nats://127.0.0.1:4222,rubbish", "nats://", ""})
    EXPECT_EQ(connect_nats({.url = url}).error().code, engine::errc::invalid_argument) << url;
  for (const auto* prefix : {"", ".", "a.", ".a", "a..b", "a b", "a.*", ">", "a\n"})
    EXPECT_EQ(connect_nats({.subject_prefix = prefix}).error().code, engine::errc::invalid_argument) << prefix;
}

}  // namespace
}  // namespace rowcall::bus
