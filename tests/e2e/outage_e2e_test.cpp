#include <gtest/gtest.h>

#include "tests/e2e/deployment.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/private_nats.hpp"
#include "tests/support/private_postgres.hpp"

/// PostgreSQL and NATS go away and come back; nobody is restarted by hand.
namespace rowcall::e2e {
namespace {

using namespace std::chrono_literals;

void submit(client::submitter& submitter, int first, int count) {
  std::vector<engine::command_request> batch;
  for (int i = first; i < first + count; ++i)
    batch.push_back({id("echo-" + std::to_string(i % 10)), "say", "{}", "key-" + std::to_string(i)});
  for (auto& o : submitter.submit(std::move(batch))) ASSERT_TRUE(o) << o.error().message;
}

TEST(outage_e2e_test, without_nats_everything_flows_at_the_sweeps_pace_and_at_once_when_it_is_back) {
  auto database = support::fresh_database();
  support::private_nats nats;
  deployment d{database.url(), nats.url(), "rowcall"};
  engine_process engine(d);
  engine.wait_ready();
  auto bus = d.connect();
  auto submitter = make_submitter(d, *bus);
  recorder r(d, *bus);
  for (int s = 0; s < 10; ++s) r.follow(id("echo-" + std::to_string(s)));
  submit(*submitter, 0, 100);
  ASSERT_TRUE(r.wait_for(id("echo-9"), 10));

  nats.kill9();
  submit(*submitter, 100, 100);
  EXPECT_TRUE(r.wait_for(id("echo-9"), 20, 5s)) << "the sweep finds it, the follower polls";

  nats.start();
  ASSERT_TRUE(support::eventually(10s, [&] { return bus->is_connected(); }));
  for (int i = 0; i < 10; ++i) submit(*submitter, 200 + i * 10, 10);
  for (int s = 0; s < 10; ++s) {
    const auto session = id("echo-" + std::to_string(s));
    ASSERT_TRUE(r.wait_for(session, 30));
    const auto seen = r.seen(session);
    ASSERT_EQ(seen.size(), 30u);
    for (std::size_t i = 0; i < seen.size(); ++i) EXPECT_EQ(seen[i].seq.value, static_cast<std::int64_t>(i + 1));
  }
  expect_every_command_answered_once(d, 300);
}

TEST(outage_e2e_test, engine_submitter_and_follower_survive_a_crash_of_postgresql) {
  support::private_postgres::options how;
  how.durable = true;
  support::private_postgres postgres(how);
  support::private_nats nats;
  deployment d{postgres.url(), nats.url(), "rowcall"};
  support::migrate(d.database_url);
  engine_process engine(d);
  engine.wait_ready();
  auto bus = d.connect();
  auto submitter = make_submitter(d, *bus);
  recorder r(d, *bus);
  for (int s = 0; s < 10; ++s) r.follow(id("echo-" + std::to_string(s)));
  for (int round = 0; round < 3; ++round) {
    submit(*submitter, round * 200, 100);
    postgres.kill9();
    postgres.start();
    submit(*submitter, round * 200 + 100, 100);
  }
  for (int s = 0; s < 10; ++s) {
    const auto session = id("echo-" + std::to_string(s));
    ASSERT_TRUE(r.wait_for(session, 60)) << engine.log();
    const auto seen = r.seen(session);
    for (std::size_t i = 0; i < seen.size(); ++i) EXPECT_EQ(seen[i].seq.value, static_cast<std::int64_t>(i + 1));
  }
  expect_every_command_answered_once(d, 600);
  EXPECT_TRUE(engine.process().running());
}

}  // namespace
}  // namespace rowcall::e2e
