#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "tests/support/process.hpp"

namespace rowcall::support {

/// A PostgreSQL cluster and server of the test's own, to stop, kill and restart. Reached by a unix socket, and by TCP
/// when asked for. Gone, with its data, at the end of the object; the server also when the test is killed.
class private_postgres {
 public:
  struct options {
    bool tcp = false;      ///< listen on 127.0.0.1 too, on a free port that stays the same over restarts
    bool durable = false;  ///< fsync, full_page_writes and synchronous_commit on; for tests that kill the server keep it on
    std::vector<std::string> settings;  ///< lines for postgresql.conf: "max_connections = 20"
    std::string data_under;             ///< the folder in which the data directory is made; empty: one of its own
  };

  /// Makes the cluster and starts it. Throws std::runtime_error with the log's end when it does not come up.
  explicit private_postgres(options how);
  private_postgres() : private_postgres(options{}) {}
  private_postgres(const private_postgres&) = delete;
  private_postgres& operator=(const private_postgres&) = delete;
  ~private_postgres();

  /// Over the unix socket, or over TCP when there is TCP; database `postgres` unless told.
  [[nodiscard]] std::string url(const std::string& database = "postgres") const;
  void start();
  void stop();     ///< fast shutdown: sessions are cut off, what is open is rolled back
  void kill9();    ///< SIGKILL to the postmaster; returns when its children have noticed and ended
  void restart() { stop(), start(); }
  void replace_data(const std::string& folder);  ///< while it is stopped: the cluster's files become a copy of these
  void freeze();   ///< SIGSTOP to the postmaster: new connections hang, open ones go on
  void thaw();
  [[nodiscard]] pid_t pid() const { return server_.pid(); }
  [[nodiscard]] bool running() { return server_.running(); }
  [[nodiscard]] int port() const { return port_; }
  [[nodiscard]] std::string log() const;  ///< the end of the server's log

 private:
  [[nodiscard]] bool answers() const;
  void wait_for_children_to_end() const;

  options options_;
  std::string base_;
  std::string data_;
  std::string bin_;
  int port_ = 5432;
  process server_;
};

}  // namespace rowcall::support
