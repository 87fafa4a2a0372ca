#include "tests/support/private_nats.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <utility>

#include "tests/support/eventually.hpp"

namespace rowcall::support {

using namespace std::chrono_literals;

private_nats::private_nats(options how) : options_(std::move(how)), base_(make_directory()) {
  try {
    if (!options_.configuration.empty()) std::ofstream(base_ + "/nats.conf") << options_.configuration << '\n';
    // Somebody else may take the port between the choice and the start: choose again.
    for (int attempt = 1;; ++attempt) {
      port_ = free_port();
      try {
        start();
        break;
      } catch (const std::runtime_error&) {
        if (attempt == 5) throw;
      }
    }
  } catch (...) {
    std::filesystem::remove_all(base_);
    throw;
  }
}

private_nats::~private_nats() {
  server_.kill9();
  std::error_code ignored;  // what can not be removed stays in /tmp
  std::filesystem::remove_all(base_, ignored);
}

std::string private_nats::log() const { return tail_of(base_ + "/nats.log"); }

bool private_nats::answers() const {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port_));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool connected = ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  ::close(fd);
  return connected;
}

void private_nats::start() {
  if (server_.running()) return;
  std::vector<std::string> argv{"nats-server", "-a", "127.0.0.1", "-p", std::to_string(port_)};
  if (!options_.configuration.empty()) argv.insert(argv.end(), {"-c", base_ + "/nats.conf"});
  argv.insert(argv.end(), options_.arguments.begin(), options_.arguments.end());
  server_ = process(std::move(argv), {.output = base_ + "/nats.log"});
  const bool up = eventually(20s, [this] { return answers() || !server_.running(); });
  if (!up || !server_.running()) {
    const auto end = log();
    server_.kill9();
    throw std::runtime_error("nats-server did not start: " + end);
  }
}

void private_nats::stop() {
  server_.signal(SIGINT);
  if (server_.pid() > 0 && !server_.wait(20s)) throw std::runtime_error("nats-server did not stop: " + log());
}

void private_nats::kill9() { server_.kill9(); }
void private_nats::freeze() { server_.signal(SIGSTOP); }
void private_nats::thaw() { server_.signal(SIGCONT); }

}  // namespace rowcall::support
