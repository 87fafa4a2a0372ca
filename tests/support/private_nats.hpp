#pragma once

#include <string>
#include <vector>

#include "tests/support/process.hpp"

namespace rowcall::support {

/// A nats-server of the test's own on a free port of 127.0.0.1, which stays the same over restarts.
class private_nats {
 public:
  struct options {
    std::string configuration;           ///< text of a configuration file; empty: none
    std::vector<std::string> arguments;  ///< further command line arguments
  };

  /// Starts it. Throws std::runtime_error with the log's end when it does not come up.
  explicit private_nats(options how);
  private_nats() : private_nats(options{}) {}
  private_nats(const private_nats&) = delete;
  private_nats& operator=(const private_nats&) = delete;
  ~private_nats();

  [[nodiscard]] std::string url() const { return "nats://127.0.0.1:" + std::to_string(port_); }
  [[nodiscard]] int port() const { return port_; }
  void start();  ///< on the same port again
  void stop();   ///< SIGINT
  void kill9();
  void restart() { stop(), start(); }
  void freeze();  ///< SIGSTOP: connections stay open and nothing answers
  void thaw();
  [[nodiscard]] pid_t pid() const { return server_.pid(); }
  [[nodiscard]] bool running() { return server_.running(); }
  [[nodiscard]] std::string log() const;

 private:
  [[nodiscard]] bool answers() const;

  options options_;
  std::string base_;
  int port_ = 0;
  process server_;
};

}  // namespace rowcall::support
