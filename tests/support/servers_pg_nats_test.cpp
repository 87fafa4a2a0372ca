#include <gtest/gtest.h>

#include "tests/support/database.hpp"
#include "tests/support/private_nats.hpp"
#include "tests/support/private_postgres.hpp"
#include "tests/support/servers.hpp"

namespace rowcall::support {
namespace {

TEST(fresh_database, is_new_and_is_dropped_at_its_end) {
  std::string admin;
  std::string name;
  {
    const auto first = fresh_database(schema::empty);
    const auto second = fresh_database(schema::empty);
    EXPECT_NE(first.name(), second.name());
    query(first.url(), "CREATE TABLE only_here (i int)");
    EXPECT_EQ(query(second.url(), "SELECT 1 FROM pg_tables WHERE tablename = 'only_here'").size(), 0u);
    sql_connection left_open(first.url());
    admin = first.admin_url();
    name = first.name();
  }
  EXPECT_TRUE(query(admin, "SELECT 1 FROM pg_database WHERE datname = '" + name + "'").empty());
}

TEST(shared_nats, is_there) { EXPECT_EQ(shared_nats_url().rfind("nats://127.0.0.1:", 0), 0u); }

TEST(private_postgres, comes_back_with_what_was_committed_after_it_was_killed) {
  private_postgres server({.tcp = true, .durable = true, .settings = {"max_connections = 11"}});
  EXPECT_EQ(sql_connection(server.url()).value("SHOW max_connections"), "11");
  query(server.url(), "CREATE TABLE kept AS SELECT 42 AS value");
  const auto url = server.url();
  sql_connection open(url);
  server.kill9();
  EXPECT_FALSE(server.running());
  EXPECT_THROW(open.query("SELECT 1"), std::runtime_error);
  EXPECT_THROW(query(url, "SELECT 1"), std::runtime_error);
  server.start();
  EXPECT_EQ(sql_connection(url).value("SELECT value FROM kept"), "42");
}

TEST(private_postgres, listens_on_a_unix_socket_and_restarts) {
  private_postgres server;
  const auto first = server.pid();
  server.restart();
  EXPECT_NE(server.pid(), first);
  EXPECT_EQ(sql_connection(server.url()).value("SHOW listen_addresses"), "");
}

TEST(private_nats, comes_back_on_the_same_port_after_it_was_killed) {
  private_nats server;
  const auto url = server.url();
  server.kill9();
  EXPECT_FALSE(server.running());
  server.start();
  EXPECT_TRUE(server.running());
  EXPECT_EQ(server.url(), url);
}

TEST(private_nats, takes_a_configuration) {
  private_nats server({.configuration = "max_payload: 2048", .arguments = {}});
  EXPECT_TRUE(server.running());
  EXPECT_THROW(private_nats({.configuration = "no_such_option {", .arguments = {}}), std::runtime_error);
}

}  // namespace
}  // namespace rowcall::support
