#include "tests/support/process.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

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
  try {
    run_to_end({"sh", "-c", "echo the reason; exit 3"}, {.output = make_directory() + "/log"});
    ADD_FAILURE() << "did not throw";
  } catch (const std::runtime_error& e) {
    EXPECT_NE(std::string{e.what()}.find("the reason"), std::string::npos) << e.what();
  }
}

TEST(make_directory, is_removed_when_the_process_ends) {
  const auto directory = make_directory();
  EXPECT_EQ(::access(directory.c_str(), W_OK), 0);
  // A child that makes one and ends.
  int pipe_ends[2];
  ASSERT_EQ(::pipe(pipe_ends), 0);
  EXPECT_EXIT(
      {
        const auto made = make_directory();
        if (::write(pipe_ends[1], made.data(), made.size()) != static_cast<ssize_t>(made.size())) ::_exit(1);
        std::exit(0);
      },
      testing::ExitedWithCode(0), "");
  char text[200];
  const auto length = ::read(pipe_ends[0], text, sizeof text);
  ASSERT_GT(length, 0);
  const std::string made(text, static_cast<std::size_t>(length));
  EXPECT_EQ(::access(made.c_str(), F_OK), -1) << made;
  ::close(pipe_ends[0]);
  ::close(pipe_ends[1]);
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
