#include <gmock/gmock.h>

#include <fstream>
#include <sstream>

#include "bus/nats_probe.hpp"
#include "bus/signal_channel.hpp"
#include "tests/e2e/deployment.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/private_nats.hpp"

/// docs/operations/nats.conf on a real server: each user does its work, and is refused what is not its own.
namespace rowcall::operations {
namespace {

using namespace std::chrono_literals;
using e2e::deployment;
using e2e::id;

/// The example with passwords, and without what is this machine's: its ports.
std::string example() {
  std::ifstream file(ROWCALL_OPERATIONS_DOCS "/nats.conf");
  std::string text, line;
  for (const auto* name : {"ENGINE", "SUBMITTER", "FOLLOWER", "CLIENT", "GATEWAY"})
    text += std::string{"ROWCALL_NATS_"} + name + "_PASSWORD: \"of-" + name + "\"\n";
  while (std::getline(file, line))
    if (!line.starts_with("listen:") && !line.starts_with("http:")) text += line + "\n";
  return text;
}

struct nats_users_e2e_test : testing::Test {
  support::database database = support::fresh_database();
  support::private_nats nats{{.configuration = example(), .arguments = {}}};

  deployment as(const std::string& user) const {
    std::string password = "of-";
    for (const char c : user) password += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    return {database.url(), "nats://" + user + ":" + password + "@127.0.0.1:" + std::to_string(nats.port()), "rowcall"};
  }
  bus::nats_facts rights_of(const std::string& user) const {
    bus::nats_config config;
    config.url = as(user).nats_url;
    auto facts = bus::probe_nats(config);
    if (!facts) throw std::runtime_error(facts.error().message);
    return *facts;
  }
};

TEST_F(nats_users_e2e_test, each_has_the_rights_of_its_part_and_no_others) {
  const auto rights = [&](const std::string& user) {
    const auto f = rights_of(user);
    return std::string{} + (f.may_wake ? "W" : "-") + (f.may_hear_wakes ? "w" : "-") + (f.may_notify ? "N" : "-") +
           (f.may_hear_updates ? "n" : "-");
  };
  EXPECT_EQ(rights("engine"), "WwN-");
  EXPECT_EQ(rights("submitter"), "W---");
  EXPECT_EQ(rights("follower"), "---n");
  EXPECT_EQ(rights("client"), "W--n");
  EXPECT_EQ(rights("gateway"), "W--n");
  EXPECT_TRUE(rights_of("engine").requires_credentials);
}

TEST_F(nats_users_e2e_test, a_wrong_password_and_nobody_are_refused) {
  for (const auto* user : {"engine:wrong@", ""}) {
    bus::nats_config config;
    config.url = std::string{"nats://"} + user + "127.0.0.1:" + std::to_string(nats.port());
    EXPECT_FALSE(bus::probe_nats(config));
  }
}

TEST_F(nats_users_e2e_test, a_command_goes_from_the_submitter_through_the_engine_to_the_follower) {
  // Neither the sweep nor the follower's poll: what arrives came through NATS.
  e2e::engine_process engine(as("engine"), {"--sweep-interval", "1h"});
  engine.wait_ready();
  auto submitter_bus = as("submitter").connect(), follower_bus = as("follower").connect();
  ASSERT_TRUE(support::eventually(10s, [&] { return submitter_bus->is_connected() && follower_bus->is_connected(); }));
  std::atomic<int> notices{0};
  const auto listening = follower_bus->on_updates(id("echo-b"), [&](const engine::update_notice&) { ++notices; });
  ASSERT_TRUE(follower_bus->flush(5s));
  auto submitter = e2e::make_submitter(as("submitter"), *submitter_bus);
  ASSERT_TRUE(submitter->submit(
      engine::command_request{id("echo-a"), "send", R"({"to":"echo-b","type":"say","data":{"n":1}})", {}}));
  EXPECT_TRUE(support::eventually(20s, [&] { return notices > 0; }))
      << "and a command that the engine itself sends: " << engine.log();
}

TEST_F(nats_users_e2e_test, gateways_hear_each_others_signals_and_nobody_else_can_send_any) {
  const auto channel = [&](const std::string& user, bus::signal_channel::handler on_signal) {
    bus::nats_config config;
    config.url = as(user).nats_url;
    return bus::signal_channel::open(std::move(config), std::move(on_signal)).value();
  };
  std::atomic<int> heard{0}, forged{0};
  const auto hearer = channel("gateway", [&](const engine::session_id&, std::string_view payload) {
    ++(payload == "forged" ? forged : heard);
  });
  const auto speaker = channel("gateway", [](const auto&, auto) {});
  const auto forger = channel("client", [](const auto&, auto) {});
  EXPECT_TRUE(support::eventually(10s, [&] {
    forger->publish(id("chat-a"), "forged");
    speaker->publish(id("chat-a"), "typing");
    return heard >= 3;
  }));
  EXPECT_EQ(forged, 0);
}

TEST_F(nats_users_e2e_test, nobody_but_an_engine_can_forge_a_notice) {
  auto forger = as("submitter").connect(), follower_bus = as("follower").connect(), engine_bus = as("engine").connect();
  std::atomic<int> forgeries{0}, real_ones{0};
  const auto listening = follower_bus->on_updates(
      id("echo-a"), [&](const engine::update_notice& n) { ++(n.last.value == 666 ? forgeries : real_ones); });
  ASSERT_TRUE(follower_bus->flush(5s));
  const engine::update_notice forged{id("echo-a"), {1}, {666}, {}}, real{id("echo-a"), {1}, {1}, {}};
  forger->publish({&forged, 1});
  ASSERT_TRUE(forger->flush(5s));
  follower_bus->publish({&forged, 1});
  ASSERT_TRUE(follower_bus->flush(5s));
  engine_bus->publish({&real, 1});
  ASSERT_TRUE(support::eventually(10s, [&] { return real_ones == 1; }));
  EXPECT_EQ(forgeries, 0) << "what was published before would have come before";
}

}  // namespace
}  // namespace rowcall::operations
