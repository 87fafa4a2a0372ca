#include "tests/support/private_postgres.hpp"

#include <dirent.h>
#include <libpq-fe.h>
#include <pwd.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <utility>

#include "tests/support/eventually.hpp"
#include "tests/support/servers.hpp"

namespace rowcall::support {

namespace {

using namespace std::chrono_literals;

constexpr auto start_deadline = 60s;
constexpr auto stop_deadline = 30s;

std::string postgres_bin() {
  if (auto known = shared_server_value_or_empty("POSTGRES_BIN"); !known.empty()) return known;
  int newest = 0;
  std::error_code ignored;  // no such folder: the message below says it
  for (const auto& entry : std::filesystem::directory_iterator("/usr/lib/postgresql", ignored)) {
    newest = std::max(newest, std::atoi(entry.path().filename().c_str()));
  }
  if (newest == 0) throw std::runtime_error("PostgreSQL is not installed; run tools/setup/packages");
  return "/usr/lib/postgresql/" + std::to_string(newest) + "/bin";
}

void give_to_postgres(const std::string& path) {
  if (::geteuid() != 0) return;
  const passwd* user = ::getpwnam("postgres");
  if (user == nullptr || ::chown(path.c_str(), user->pw_uid, user->pw_gid) != 0) {
    throw std::runtime_error("can not give " + path + " to the user postgres");
  }
}

}  // namespace

private_postgres::private_postgres(options how)
    : options_(std::move(how)),
      base_(make_directory()),
      data_((options_.data_under.empty() ? base_ : options_.data_under) + "/data"),
      bin_(postgres_bin()) {
  const auto& data = data_;
  const auto log = base_ + "/setup.log";
  try {
    // A cluster that was made before is copied in a fraction of the time that initdb takes.
    const auto prepared = shared_server_value_or_empty("POSTGRES_TEMPLATE");
    if (!prepared.empty()) {
      run_to_end({"cp", "-a", prepared, data}, {.output = log});
    } else {
      ::mkdir(data.c_str(), 0700);
      give_to_postgres(data);
      run_to_end({bin_ + "/initdb", "-D", data, "-U", "rowcall", "-E", "UTF8", "--locale=C.UTF-8", "--auth=trust", "--no-sync"},
                 {.output = log, .user_if_root = "postgres"});
    }
    ::mkdir((base_ + "/socket").c_str(), 0755);
    give_to_postgres(base_ + "/socket");
    std::ofstream settings(data + "/postgresql.conf", std::ios::app);
    const char* durability = options_.durable ? "on" : "off";
    settings << "\nfsync = " << durability << "\nfull_page_writes = " << durability
             << "\nsynchronous_commit = " << durability << "\nmax_connections = 100\nshared_buffers = 32MB\n"
             << "timezone = 'UTC'\nlog_timezone = 'UTC'\n"
             << "listen_addresses = '" << (options_.tcp ? "127.0.0.1" : "") << "'\n";
    for (const auto& line : options_.settings) settings << line << '\n';
    settings.close();
    if (!settings) throw std::runtime_error("can not write " + data + "/postgresql.conf");

    // Somebody else may take the port between the choice and the start: choose again.
    for (int attempt = 1;; ++attempt) {
      if (options_.tcp) port_ = free_port();
      try {
        start();
        break;
      } catch (const std::runtime_error&) {
        if (!options_.tcp || attempt == 5) throw;
      }
    }
  } catch (...) {
    std::filesystem::remove_all(base_);
    throw;
  }
}

private_postgres::~private_postgres() {
  if (server_.running()) {
    server_.signal(SIGCONT);
    server_.signal(SIGQUIT);  // the data is thrown away: no checkpoint
    if (!server_.wait(10s)) kill9();
  }
  std::error_code ignored;  // what can not be removed stays in /tmp
  std::filesystem::remove_all(base_, ignored);
}

std::string private_postgres::url(const std::string& database) const {
  if (options_.tcp) return "postgresql://rowcall@127.0.0.1:" + std::to_string(port_) + "/" + database;
  return "postgresql://rowcall@/" + database + "?host=" + base_ + "/socket&port=" + std::to_string(port_);
}

std::string private_postgres::log() const { return tail_of(base_ + "/postgres.log"); }

bool private_postgres::answers() const {
  return PQping(("host=" + base_ + "/socket port=" + std::to_string(port_)).c_str()) == PQPING_OK;
}

void private_postgres::start() {
  if (server_.running()) return;
  // Left by kill9; postgres would take it for a live server's if the pid were in use again.
  std::filesystem::remove(data_ + "/postmaster.pid");
  server_ = process({bin_ + "/postgres", "-D", data_, "-p", std::to_string(port_), "-k", base_ + "/socket"},
                    {.output = base_ + "/postgres.log",
                     .signal_on_parent_death = SIGQUIT,  // takes its children along, as SIGKILL would not
                     .user_if_root = "postgres"});
  const bool up = eventually(start_deadline, [this] { return answers() || !server_.running(); });
  if (!up || !server_.running()) {
    const auto end = log();
    server_.kill9();
    throw std::runtime_error("PostgreSQL did not start: " + end);
  }
}

void private_postgres::stop() {
  server_.signal(SIGINT);
  if (server_.pid() > 0 && !server_.wait(stop_deadline)) throw std::runtime_error("PostgreSQL did not stop: " + log());
}

void private_postgres::kill9() {
  server_.kill9();
  wait_for_children_to_end();
}

void private_postgres::replace_data(const std::string& folder) {
  const auto data = base_ + "/data";
  std::filesystem::remove_all(data);
  run_to_end({"cp", "-r", folder, data}, {.output = base_ + "/setup.log"});
  run_to_end({"chown", "-R", "--reference=" + base_ + "/socket", data}, {.output = base_ + "/setup.log"});
  run_to_end({"chmod", "0700", data}, {.output = base_ + "/setup.log"});
}

void private_postgres::freeze() { server_.signal(SIGSTOP); }
void private_postgres::thaw() { server_.signal(SIGCONT); }

void private_postgres::wait_for_children_to_end() const {
  // Orphaned backends hold the old shared memory and the sockets; a new postmaster refuses to start next to them. They
  // are found by their working directory, which is the data directory.
  const auto data = std::filesystem::canonical(data_).string();
  const bool gone = eventually(stop_deadline, [&] {
    std::error_code ended;  // a process may end while it is looked at
    for (const auto& entry : std::filesystem::directory_iterator("/proc", ended)) {
      if (std::atoi(entry.path().filename().c_str()) == 0) continue;
      if (std::filesystem::read_symlink(entry.path() / "cwd", ended) == data && !ended) return false;
    }
    return true;
  });
  if (!gone) throw std::runtime_error("backends of the killed PostgreSQL did not end: " + log());
}

}  // namespace rowcall::support
