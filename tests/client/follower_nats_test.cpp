#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <thread>

#include "bus/nats_bus.hpp"
#include "client/follower.hpp"
#include "client/receipts.hpp"
#include "tests/client/fakes.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/private_nats.hpp"

namespace rowcall::client {
namespace {

using namespace std::chrono_literals;
using support::eventually;

std::unique_ptr<engine::bus> connect(const support::private_nats& server) {
  auto b = rowcall::bus::connect_nats({.url = server.url(), .reconnect_wait = 10ms, .reconnect_wait_max = 50ms});
  EXPECT_TRUE(b) << b.error().message;
  return *std::move(b);
}

TEST(follower_nats, sees_each_update_once_in_order_while_the_server_is_killed_again_and_again) {
  support::private_nats server;
  const auto writer_bus = connect(server), reader_bus = connect(server);
  fake_log log;
  constexpr int sessions = 20, each = 300;
  std::array<std::atomic<std::int64_t>, sessions> last{};
  std::atomic<bool> is_ordered{true};
  follower f{log.store(),
             *reader_bus,
             {.on_updates =
                  [&](const engine::session_id& session, std::span<const engine::update_row> updates) {
                    auto& l = last[static_cast<std::size_t>(std::stoi(std::string{session.name()}))];
                    for (const auto& row : updates) {
                      if (row.seq.value != l + 1) is_ordered = false;
                      l = row.seq.value;
                    }
                  },
              .on_gone = {},
              .on_incarnation = {},
              .on_error = {},
              .on_live = {}},
             {.poll_interval = 1h}};
  for (int s = 0; s < sessions; ++s) f.follow(id("chat-" + std::to_string(s)), {0});
  for (int i = 0; i < each; ++i) {
    std::vector<engine::update_notice> notices;
    for (int s = 0; s < sessions; ++s) notices.push_back(log.append(id("chat-" + std::to_string(s)), i % 3 != 0));
    writer_bus->publish(notices);
    if (i % 100 == 50) {
      server.kill9();
      ASSERT_TRUE(eventually(5s, [&] { return !reader_bus->is_connected(); }));
    }
    if (i % 100 == 80) {
      server.start();
      ASSERT_TRUE(eventually(10s, [&] { return reader_bus->is_connected() && writer_bus->is_connected(); }));
    }
  }
  for (auto& l : last) EXPECT_TRUE(eventually(10s, [&] { return l == each; })) << l;
  EXPECT_TRUE(is_ordered);
}

TEST(follower_nats, waits_for_a_receipt) {
  const support::private_nats server;
  const auto writer_bus = connect(server), reader_bus = connect(server);
  fake_log log;
  std::thread engine{[&] {
    EXPECT_TRUE(eventually(5s, [&] { return log.reads > 0; }));
    const auto notice = log.append(id("chat-1"));
    writer_bus->publish(std::span{&notice, 1});
  }};
  const auto store = log.store();
  const auto receipt = wait_receipt(*store, *reader_bus, id("chat-1"), {1}, 10s, 10s);
  engine.join();
  ASSERT_TRUE(receipt) << receipt.error().message;
  EXPECT_EQ(log.reads, 1);
}

}  // namespace
}  // namespace rowcall::client
