#include <gmock/gmock.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <set>
#include <sstream>

#include "tests/e2e/deployment.hpp"
#include "tests/support/process.hpp"

/// docs/operations/rowcall.service, and what it relies on: the engine's notices to the service manager.
namespace rowcall::operations {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

std::string unit_text() {
  std::ifstream file(ROWCALL_OPERATIONS_DOCS "/rowcall.service");
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST(service_e2e_test, the_unit_has_the_form_of_one) {
  std::istringstream lines(unit_text());
  std::set<std::string> sections;
  for (std::string line; std::getline(lines, line);) {
    if (line.empty() || line[0] == '#') continue;
    if (line[0] == '[')
      sections.insert(line);
    else
      EXPECT_NE(line.find('='), std::string::npos) << line;
  }
  EXPECT_EQ(sections, (std::set<std::string>{"[Unit]", "[Service]", "[Install]"}));
}

// It wants the program to be there.
TEST(service_e2e_test, systemd_itself_finds_nothing_wrong_with_the_unit) {
  if (::access("/usr/bin/systemd-analyze", X_OK) != 0) GTEST_SKIP() << "systemd-analyze is not installed";
  auto text = unit_text();
  const std::string program = "/usr/local/bin/rowcall";
  ASSERT_THAT(text, HasSubstr("ExecStart=" + program + " serve"));
  text.replace(text.find(program), program.size(), e2e::rowcall_path());
  const auto folder = support::make_directory();
  std::ofstream{folder + "/rowcall.service"} << text;
  const auto log = folder + "/log";
  support::process verify({"systemd-analyze", "verify", "--man=no", folder + "/rowcall.service"}, {.output = log});
  EXPECT_EQ(verify.wait(30s), 0) << support::tail_of(log);
  EXPECT_EQ(support::tail_of(log), "") << "warnings";
}

// A command that kills the process is parked after retry-attempts-max starts: systemd must not refuse one before that.
TEST(service_e2e_test, the_unit_puts_no_limit_on_restarts) {
  const auto text = unit_text();
  const auto unit = text.substr(0, text.find("[Service]"));
  EXPECT_THAT(unit, HasSubstr("\nStartLimitIntervalSec=0\n"));
  EXPECT_THAT(text, HasSubstr("\nRestart=always\n"));
}

/// A socket as systemd would listen on.
class manager {
 public:
  manager() : path_(support::make_directory() + "/notify"), fd_(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path_.c_str(), sizeof address.sun_path - 1);
    if (bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) throw std::runtime_error("bind");
  }
  ~manager() { close(fd_); }
  manager(const manager&) = delete;
  const std::string& path() const { return path_; }
  /// Waits for a message that contains `text`.
  bool hears(const std::string& text, std::chrono::milliseconds deadline = 20s) {
    const auto end = std::chrono::steady_clock::now() + deadline;
    while (std::chrono::steady_clock::now() < end) {
      pollfd p{fd_, POLLIN, 0};
      if (poll(&p, 1, 100) <= 0) continue;
      char bytes[1024];
      const auto count = recv(fd_, bytes, sizeof bytes, 0);
      if (count > 0 && std::string_view{bytes, static_cast<std::size_t>(count)}.find(text) != std::string_view::npos)
        return true;
    }
    return false;
  }

 private:
  std::string path_;
  int fd_;
};

TEST(service_e2e_test, the_engine_tells_the_service_manager_when_it_is_ready_and_when_it_stops) {
  manager m;
  const auto database = support::fresh_database();
  e2e::engine_process engine(e2e::deployment::shared(database), {}, e2e::rowcall_path(), {"NOTIFY_SOCKET=" + m.path()});
  EXPECT_TRUE(m.hears("READY=1")) << engine.log();
  engine.process().signal(SIGTERM);
  EXPECT_TRUE(m.hears("STOPPING=1")) << engine.log();
  EXPECT_EQ(engine.process().wait(15s), 0);
}

}  // namespace
}  // namespace rowcall::operations
