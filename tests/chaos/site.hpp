#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/chaos/fault.hpp"
#include "tests/chaos/tcp_proxy.hpp"
#include "tests/support/database.hpp"
#include "tests/support/private_nats.hpp"
#include "tests/support/private_postgres.hpp"
#include "tests/support/process.hpp"

namespace rowcall::chaos {

struct site_options {
  std::uint64_t seed = 1;
  std::size_t engines = 3, clients = 3;
  milliseconds transaction_timeout{1'500}, sweep_interval{1'000};
  std::string bug;  ///< empty: the real engine; otherwise the bug of rowcall_chaos_broken_engine
};

/// A small file system for PostgreSQL's data, in a mount namespace of this process and its children: it ends with them.
/// Made before there is a second thread.
class small_disk {
 public:
  /// Tries a loopback device, then tmpfs. Nothing when neither is allowed; `why` says it.
  static std::unique_ptr<small_disk> mount(const std::string& folder, std::size_t bytes, std::string& why);
  ~small_disk();
  small_disk(const small_disk&) = delete;
  [[nodiscard]] const std::string& folder() const { return folder_; }
  [[nodiscard]] const std::string& kind() const { return kind_; }  ///< "loopback ext4" or "tmpfs"
  void fill();
  void empty();

 private:
  small_disk(std::string folder, std::string kind) : folder_(std::move(folder)), kind_(std::move(kind)) {}
  std::string folder_, kind_;
};

/// Everything that can be disturbed: PostgreSQL, NATS, engines and submitting processes, and the ways between them.
/// Plays the supervisor too: a process that was killed is started again at its fault's end; one that is only disturbed
/// is not touched. All calls on the thread that made it (the processes end with it).
class site {
 public:
  site(site_options options, std::unique_ptr<small_disk> disk);
  ~site();
  site(const site&) = delete;

  void start_engines();
  void start_clients();
  /// rowcall-loadgen, on the clients' ways. Returns when it puts load.
  void start_load();
  void begin(const fault& f);
  void during(const fault& f);  ///< every now and then while it lasts
  void end(const fault& f);
  /// After an episode: everything that a fault of it has ended runs again.
  void restore();
  /// SIGTERM to the clients. False: one did not end in time.
  [[nodiscard]] bool stop_clients(milliseconds deadline);
  /// SIGTERM to the load generator, which then waits for what it has submitted: exit code 0, or what it has found.
  [[nodiscard]] std::string stop_load(milliseconds deadline);
  /// SIGTERM to the engines: exit code 0 each, or what is wrong.
  [[nodiscard]] std::string stop_engines(milliseconds deadline);
  /// What has ended without having been told to; empty when nothing has.
  [[nodiscard]] std::string casualties();

  [[nodiscard]] std::string direct_database() const { return postgres_.url(); }
  [[nodiscard]] std::string direct_nats() const { return nats_.url(); }
  /// Through the clients' ways.
  [[nodiscard]] std::string client_database() const;
  [[nodiscard]] std::string client_nats() const;
  [[nodiscard]] std::string prefix() const { return "rowcall"; }
  [[nodiscard]] std::vector<std::string> journals() const;
  /// Of the clients that were killed.
  [[nodiscard]] const std::vector<std::string>& journals_of_killed() const { return journals_of_killed_; }
  /// The ends of all logs, and what the database is busy with. Any thread: only what no other member changes is looked
  /// at.
  [[nodiscard]] std::string dump() const;

 private:
  struct way {
    tcp_proxy postgres, nats;
    way(int postgres_port, int nats_port) : postgres(postgres_port), nats(nats_port) {}
  };
  struct engine {
    std::string log;
    support::process process;
    bool is_down = false;  ///< by our doing
  };
  struct client {
    std::string name, journal;
    support::process process;
  };

  void start_engine(std::size_t i);
  void start_client(std::size_t i);
  void kill_client(client& c, bool is_in_submit);
  void each_way(const fault& f, const std::function<void(way&)>& what);
  void terminate_backends();
  void take_connections();
  void start_postgres();

  site_options options_;
  std::string folder_;
  std::unique_ptr<small_disk> disk_;
  support::private_postgres postgres_;
  support::private_nats nats_;
  std::vector<std::unique_ptr<way>> ways_;  ///< of each engine, and last that of all clients
  std::vector<engine> engines_;
  std::vector<client> clients_;
  std::vector<std::string> journals_, journals_of_killed_;
  support::process load_;
  std::string load_log_;  ///< empty: no load generator was started
  std::vector<std::unique_ptr<support::sql_connection>> hogs_;
  std::unique_ptr<support::sql_connection> snapshot_;
  std::size_t clients_started_ = 0;
};

/// A connection string that names the connection, so that storms leave it alone.
std::string as_conductor(const std::string& url);

}  // namespace rowcall::chaos
