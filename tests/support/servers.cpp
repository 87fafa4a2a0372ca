#include "tests/support/servers.hpp"

#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <random>
#include <stdexcept>

namespace rowcall::support {

namespace {

constexpr const char* what_to_run =
    "; run the tests with ./test or ctest, or start the servers by hand: tests/support/servers start FILE, then set "
    "ROWCALL_TEST_SERVERS=FILE";

}  // namespace

std::string shared_server_value_or_empty(const std::string& key) {
  const char* path = std::getenv("ROWCALL_TEST_SERVERS");
  if (path == nullptr) return {};
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.rfind(key + "=", 0) == 0) return line.substr(key.size() + 1);
  }
  return {};
}

std::string shared_server_value(const std::string& key) {
  const char* path = std::getenv("ROWCALL_TEST_SERVERS");
  if (path == nullptr || *path == '\0') {
    throw std::runtime_error(std::string{"this test needs PostgreSQL and NATS, but ROWCALL_TEST_SERVERS is not set"} +
                             what_to_run);
  }
  if (!std::ifstream(path)) throw std::runtime_error(std::string{"the test servers' file "} + path + " is missing" + what_to_run);
  auto value = shared_server_value_or_empty(key);
  if (value.empty()) throw std::runtime_error(std::string{path} + " has no " + key + what_to_run);
  return value;
}

std::string shared_nats_url() { return shared_server_value("NATS_URL"); }

std::string unique_name() {
  // The random part: a process id may come again after a test that was killed and left its database behind.
  static const auto process = std::to_string(::getpid()) + "x" + std::to_string(std::random_device{}() % 100'000);
  static std::atomic<int> count{0};
  return process + "x" + std::to_string(++count);
}

}  // namespace rowcall::support
