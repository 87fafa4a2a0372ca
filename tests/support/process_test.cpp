#include "tests/support/process.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>

#include "tests/support/database.hpp"
#include "tests/support/servers.hpp"

namespace rowcall::support {
namespace {

using namespace std::chrono_literals;

TEST(process, tells_the_exit_code_of_its_child) {
  process child({"sh", "-c", "exit 7"});
  EXPECT_EQ(child.wait(10s), 7);
  EXPECT_FALSE(child.running());
}

TEST(process, tells_the_signal_that_ended_its_child) {
  process child({"sleep", "60"});
  EXPECT_TRUE(child.running());
  child.signal(SIGTERM);
  EXPECT_EQ(child.wait(10s), 128 + SIGTERM);
}

TEST(process, wait_ends_at_its_deadline) {
  process child({"sleep", "60"});
  EXPECT_EQ(child.wait(20ms), std::nullopt);
}

TEST(process, a_child_does_not_outlive_its_object) {
  pid_t pid = 0;
  {
    process child({"sleep", "60"});
    pid = child.pid();
    ASSERT_EQ(::kill(pid, 0), 0);
  }
  EXPECT_EQ(::kill(pid, 0), -1);
}

TEST(process, run_to_end_tells_what_a_failing_command_printed) {
  const auto directory = make_directory();
  try {
    run_to_end({"sh", "-c", "echo the reason; exit 3"}, {.output = directory + "/log"});
    ADD_FAILURE() << "did not throw";
  } catch (const std::runtime_error& e) {
    EXPECT_NE(std::string{e.what()}.find("the reason"), std::string::npos) << e.what();
  }
  run_to_end({"rm", "-r", directory}, {});
}

TEST(servers, a_test_without_servers_fails_and_says_what_to_run) {
  ::unsetenv("ROWCALL_TEST_SERVERS");
  try {
    shared_nats_url();
    ADD_FAILURE() << "did not throw";
  } catch (const std::runtime_error& e) {
    EXPECT_NE(std::string{e.what()}.find("./test"), std::string::npos) << e.what();
  }
}

TEST(with_database, replaces_the_name_and_keeps_the_rest) {
  EXPECT_EQ(with_database("postgresql://rowcall@/postgres?host=/tmp/s&port=5432", "a"),
            "postgresql://rowcall@/a?host=/tmp/s&port=5432");
  EXPECT_EQ(with_database("postgresql://rowcall@127.0.0.1:15432/postgres", "a"), "postgresql://rowcall@127.0.0.1:15432/a");
}

}  // namespace
}  // namespace rowcall::support
