#include "tools/rowcall/stop_signal.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <stdexcept>

namespace rowcall::tools {

stop_signal::stop_signal() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGHUP);
  if (pthread_sigmask(SIG_BLOCK, &set, nullptr) != 0) throw std::runtime_error{"pthread_sigmask failed"};
  fd_ = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  if (fd_ < 0) throw std::runtime_error{"signalfd failed"};
}

stop_signal::~stop_signal() { close(fd_); }

bool stop_signal::wait_for(std::chrono::milliseconds timeout) {
  if (stopped_) return true;
  pollfd p{fd_, POLLIN, 0};
  if (poll(&p, 1, static_cast<int>(timeout.count())) <= 0) return false;
  signalfd_siginfo info;
  if (read(fd_, &info, sizeof info) == static_cast<ssize_t>(sizeof info)) stopped_ = true;
  return stopped_;
}

void stop_signal::wait() {
  while (!wait_for(std::chrono::hours{1})) {
  }
}

}  // namespace rowcall::tools
