#include <gtest/gtest.h>

#include <future>

#include "storage/postgres/stores.hpp"
#include "tests/chaos/tcp_proxy.hpp"
#include "tests/support/database.hpp"
#include "tests/support/private_postgres.hpp"

/// A server that acknowledges and says nothing, as behind a stalled proxy or in a frozen machine.
namespace rowcall::storage::postgres {
namespace {

using namespace std::chrono_literals;
using engine::errc;

struct silence_pg_test : testing::Test {
  static void SetUpTestSuite() {
    server = std::make_unique<support::private_postgres>(support::private_postgres::options{.tcp = true});
    support::migrate(server->url());
  }
  static void TearDownTestSuite() { server.reset(); }

  store_config through_proxy() const {
    store_config config;
    config.url = server->url();
    const auto port = ":" + std::to_string(server->port());
    config.url.replace(config.url.find(port), port.size(), ":" + std::to_string(proxy.port()));
    config.statement_timeout = 400ms;
    config.answer_margin = 300ms;
    config.connect_timeout = 2s;
    return config;
  }
  /// A call that never came back would hang the test: its limit says so.
  template <class Call>
  static auto bounded(Call call) {
    auto answer = std::async(std::launch::async, std::move(call));
    if (answer.wait_for(20s) != std::future_status::ready) {
      ADD_FAILURE() << "no end within 20 s";
      std::abort();
    }
    return answer.get();
  }

  static inline std::unique_ptr<support::private_postgres> server;
  chaos::tcp_proxy proxy{server->port()};
};

TEST_F(silence_pg_test, an_answer_that_does_not_come_ends_the_connection_and_the_next_call_makes_another) {
  const auto store = make_update_store(through_proxy());
  ASSERT_TRUE(store->incarnation());
  proxy.stall(true);
  const auto silent = bounded([&] { return store->incarnation(); });
  ASSERT_FALSE(silent);
  EXPECT_EQ(silent.error().code, errc::connection_lost);
  EXPECT_NE(silent.error().message.find("did not answer within 700 ms"), std::string::npos) << silent.error().message;
  const auto unreachable = bounded([&] { return store->incarnation(); });
  ASSERT_FALSE(unreachable);
  EXPECT_EQ(unreachable.error().code, errc::unavailable) << "the connect has a bound of its own";
  proxy.heal();
  EXPECT_TRUE(bounded([&] { return store->incarnation(); }));
}

TEST_F(silence_pg_test, a_commit_without_an_answer_is_in_doubt) {
  const auto store = make_command_store(through_proxy());
  const auto nodes = make_node_store(through_proxy());
  ASSERT_TRUE(nodes->join("a-node", {"echo"}));
  const std::vector<engine::command_request> one{{*engine::session_id::parse("echo-a"), "say", "{}", {}}};
  ASSERT_TRUE(store->submit(one));
  proxy.stall(true);
  const auto silent = bounded([&] { return store->submit(one); });
  ASSERT_FALSE(silent);
  EXPECT_EQ(silent.error().code, errc::commit_in_doubt);
  proxy.heal();
}

TEST_F(silence_pg_test, what_takes_long_and_is_answered_is_left_alone) {
  auto config = through_proxy();
  const auto store = make_update_store(config);
  ASSERT_TRUE(store->incarnation());
  proxy.delay(150ms);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(store->incarnation());
  EXPECT_EQ(proxy.accepted(), 1u);
}

}  // namespace
}  // namespace rowcall::storage::postgres
