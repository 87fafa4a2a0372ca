#include "tests/chaos/site.hpp"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <stdexcept>

#include "tests/chaos/journal.hpp"
#include "tests/chaos/workload.hpp"
#include "tests/support/eventually.hpp"

namespace rowcall::chaos {
namespace {

using namespace std::chrono_literals;
using support::eventually;
using support::sql_connection;

constexpr int connections_max = 60;
constexpr std::string_view conductor_name = "rowcall_chaos";

support::private_postgres::options postgres_options(const small_disk* disk) {
  support::private_postgres::options how;
  how.tcp = true;
  how.durable = true;
  if (disk != nullptr) how.data_under = disk->folder();
  how.settings = {"max_connections = " + std::to_string(connections_max), "max_wal_size = 128MB", "min_wal_size = 64MB",
                  "log_line_prefix = '%m [%p] %a '", "autovacuum_naptime = 20s"};
  return how;
}

std::string through(int port) { return "postgresql://rowcall@127.0.0.1:" + std::to_string(port) + "/postgres"; }

/// A disturbed server is no reason to fail: what could not be done now was not needed.
template <class Action>
void try_to(Action&& action) {
  try {
    action();
  } catch (const std::runtime_error&) {
    return;
  }
}

}  // namespace

std::string as_conductor(const std::string& url) {
  return url + (url.find('?') == std::string::npos ? "?" : "&") + "application_name=" + std::string(conductor_name);
}

// ------------------------------------------------------------ disk

std::unique_ptr<small_disk> small_disk::mount(const std::string& folder, std::size_t bytes, std::string& why) {
  if (::unshare(CLONE_NEWNS) != 0 || ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    why = std::string("no mount namespace of its own: ") + std::strerror(errno);
    return nullptr;
  }
  const auto at = folder + "/disk", image = folder + "/disk.img", log = folder + "/disk.log";
  std::filesystem::create_directory(at);
  std::string kind = "loopback ext4";
  try {
    support::run_to_end({"truncate", "-s", std::to_string(bytes), image}, {.output = log});
    support::run_to_end({"mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=1,lazy_journal_init=1", image},
                        {.output = log});
    support::run_to_end({"mount", "-o", "loop", image, at}, {.output = log});
  } catch (const std::runtime_error& e) {
    why = e.what();
    kind = "tmpfs";
    if (::mount("tmpfs", at.c_str(), "tmpfs", 0, ("size=" + std::to_string(bytes)).c_str()) != 0) {
      why += std::string("; tmpfs: ") + std::strerror(errno);
      return nullptr;
    }
  }
  ::chmod(at.c_str(), 0777);
  return std::unique_ptr<small_disk>(new small_disk(at, kind));
}

small_disk::~small_disk() { ::umount2(folder_.c_str(), MNT_DETACH); }

void small_disk::fill() {
  const int fd = ::open((folder_ + "/filler").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return;  // full already
  struct statvfs space {};
  off_t at = 0;
  // Whatever is freed meanwhile is taken as well, down to single blocks.
  for (int round = 0; round < 20 && ::fstatvfs(fd, &space) == 0; ++round) {
    const auto free_bytes = static_cast<off_t>(space.f_bavail * space.f_frsize);
    for (auto step = std::max<off_t>(free_bytes, 4'096); step >= 4'096; step /= 2)
      if (::posix_fallocate(fd, at, step) == 0) at += step;
    if (free_bytes == 0) break;
  }
  ::close(fd);
}

void small_disk::empty() { ::unlink((folder_ + "/filler").c_str()); }

// ------------------------------------------------------------ site

site::site(site_options options, std::unique_ptr<small_disk> disk)
    : options_(std::move(options)),
      folder_(support::make_directory()),
      disk_(std::move(disk)),
      postgres_(postgres_options(disk_.get())) {
  for (std::size_t i = 0; i < options_.engines + 1; ++i)
    ways_.push_back(std::make_unique<way>(postgres_.port(), nats_.port()));
  support::migrate(postgres_.url());
  engines_.resize(options_.engines);
  clients_.resize(options_.clients);
  for (std::size_t i = 0; i < engines_.size(); ++i) engines_[i].log = folder_ + "/engine" + std::to_string(i) + ".log";
}

site::~site() {
  if (disk_) disk_->empty();
}

void site::start_engines() {
  for (std::size_t i = 0; i < engines_.size(); ++i) start_engine(i);
  // Whoever submits first must find the kinds registered.
  sql_connection sql(as_conductor(direct_database()));
  if (!eventually(20s, [&] {
        return sql.value("SELECT count(*) FROM rowcall.kinds WHERE kind IN ('echo', 'chat', 'user')") == "3";
      }))
    throw std::runtime_error("no engine has started:\n" + dump());
}

void site::start_clients() {
  for (std::size_t i = 0; i < clients_.size(); ++i) start_client(i);
}

void site::start_load() {
  load_log_ = folder_ + "/load.log";
  support::process::options how;
  how.output = load_log_;
  load_ = support::process({ROWCALL_LOADGEN, "--database", client_database(), "--nats", client_nats(), "--subject-prefix",
                            prefix(), "--connect-timeout", "2s", "--rate", "50", "--duration", "48h", "--sessions", "20",
                            "--run", sessions::load_run, "--idempotency-keys", "--seed", std::to_string(options_.seed)},
                           how);
  // Its first line comes after a second of load.
  if (!eventually(20s, [&] { return !support::tail_of(load_log_).empty(); }) || !load_.running())
    throw std::runtime_error("the load generator has not started:\n" + support::tail_of(load_log_));
}

void site::start_engine(std::size_t i) {
  auto& e = engines_.at(i);
  e.is_down = false;
  if (e.process.running()) return;
  const bool is_broken = !options_.bug.empty();
  std::vector<std::string> argv{is_broken ? ROWCALL_CHAOS_BROKEN_ENGINE : ROWCALL_PROGRAM,
                                "--database",
                                through(ways_[i]->postgres.port()),
                                "--nats",
                                "nats://127.0.0.1:" + std::to_string(ways_[i]->nats.port()),
                                "--subject-prefix",
                                prefix(),
                                "--connect-timeout",
                                "2s",
                                "serve",
                                "--transaction-timeout",
                                std::to_string(options_.transaction_timeout.count()) + "ms",
                                "--sweep-interval",
                                std::to_string(options_.sweep_interval.count()) + "ms"};
  support::process::options how;
  how.output = e.log;
  how.environment = {"ROWCALL_CHAOS_BUG=" + options_.bug};
  e.process = support::process(std::move(argv), how);
}

/// In the middle of a submit, when that is asked for and one is begun soon.
void site::kill_client(client& c, bool is_in_submit) {
  // It is looked at while it stands still: what its journal ends with is what it is at.
  const auto holds = [&] {
    c.process.signal(SIGSTOP);
    if (!is_in_submit || is_in_the_middle(journal_text(c.journal))) return true;
    c.process.signal(SIGCONT);
    return false;
  };
  static_cast<void>(eventually(500ms, holds));
  c.process.kill9();
  journals_of_killed_.push_back(c.journal);
}

void site::start_client(std::size_t i) {
  auto& c = clients_.at(i);
  c.name = "c" + std::to_string(clients_started_++);
  c.journal = folder_ + "/" + c.name + ".journal";
  journals_.push_back(c.journal);
  support::process::options how;
  how.output = folder_ + "/clients.log";
  c.process = support::process({ROWCALL_CHAOS_CLIENT, client_database(), client_nats(), prefix(), c.name, c.journal,
                                std::to_string(options_.seed)},
                               how);
}

std::string site::client_database() const { return through(ways_.back()->postgres.port()); }
std::string site::client_nats() const { return "nats://127.0.0.1:" + std::to_string(ways_.back()->nats.port()); }
std::vector<std::string> site::journals() const { return journals_; }

void site::each_way(const fault& f, const std::function<void(way&)>& what) {
  // One of the ways, or all of them.
  const auto chosen = f.target % (ways_.size() + 1);
  for (std::size_t i = 0; i < ways_.size(); ++i)
    if (chosen == i || chosen == ways_.size()) what(*ways_[i]);
}

void site::terminate_backends() {
  try_to([&] {
    sql_connection(as_conductor(direct_database()))
        .query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'rowcall %'");
  });
}

void site::take_connections() {
  try_to([&] {
    for (int i = 0; i <= connections_max; ++i)
      hogs_.push_back(std::make_unique<sql_connection>(as_conductor(direct_database())));
  });
}

void site::start_postgres() {
  try_to([&] { postgres_.start(); });
}

void site::begin(const fault& f) {
  const auto each_direction = f.strength % 2 == 0 ? tcp_proxy::direction::to_server : tcp_proxy::direction::to_client;
  const milliseconds lag{5 + f.strength % 100};
  auto& one_engine = engines_[f.target % engines_.size()];
  switch (f.kind) {
    case fault_kind::engine_kill:
      one_engine.is_down = true;
      one_engine.process.kill9();
      break;
    case fault_kind::engine_kill_all:
      for (auto& e : engines_) e.is_down = true, e.process.kill9();
      break;
    case fault_kind::engine_stop:
    case fault_kind::engine_stop_long:
      one_engine.process.signal(SIGSTOP);
      break;
    case fault_kind::postgres_kill:
      postgres_.kill9();
      start_postgres();
      break;
    case fault_kind::postgres_terminate:
      terminate_backends();
      break;
    case fault_kind::nats_kill:
    case fault_kind::nats_absent:
      nats_.kill9();
      break;
    case fault_kind::postgres_delay:
      each_way(f, [&](way& w) { w.postgres.delay(lag); });
      break;
    case fault_kind::postgres_cut:
      each_way(f, [](way& w) { w.postgres.cut(); });
      break;
    case fault_kind::postgres_half_close:
      each_way(f, [&](way& w) { w.postgres.half_close(each_direction); });
      break;
    case fault_kind::postgres_stall:
      each_way(f, [](way& w) { w.postgres.stall(true); });
      break;
    case fault_kind::nats_delay:
      each_way(f, [&](way& w) { w.nats.delay(lag); });
      break;
    case fault_kind::nats_cut:
      each_way(f, [](way& w) { w.nats.cut(); });
      break;
    case fault_kind::nats_half_close:
      each_way(f, [&](way& w) { w.nats.half_close(each_direction); });
      break;
    case fault_kind::nats_stall:
      each_way(f, [](way& w) { w.nats.stall(true); });
      break;
    case fault_kind::disk_full:
      disk_->fill();
      break;
    case fault_kind::connections_exhausted:
      take_connections();
      terminate_backends();
      take_connections();
      break;
    case fault_kind::snapshot_held:
      try_to([&] {
        snapshot_ = std::make_unique<sql_connection>(as_conductor(direct_database()));
        snapshot_->query("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM rowcall.shards");
      });
      break;
    case fault_kind::client_kill:
      kill_client(clients_[f.target % clients_.size()], f.strength % 10 != 0);
      start_client(f.target % clients_.size());
      break;
  }
}

void site::during(const fault& f) {
  switch (f.kind) {
    case fault_kind::postgres_terminate:
      terminate_backends();
      break;
    case fault_kind::connections_exhausted:
      take_connections();
      break;
    case fault_kind::disk_full:
      disk_->fill();
      break;
    default:
      break;
  }
}

void site::end(const fault& f) {
  const auto engine = f.target % engines_.size();
  switch (f.kind) {
    case fault_kind::engine_kill:
      start_engine(engine);
      break;
    case fault_kind::engine_kill_all:
      for (std::size_t i = 0; i < engines_.size(); ++i) start_engine(i);
      break;
    case fault_kind::engine_stop:
    case fault_kind::engine_stop_long:
      engines_[engine].process.signal(SIGCONT);
      break;
    case fault_kind::nats_kill:
    case fault_kind::nats_absent:
      nats_.start();
      break;
    case fault_kind::postgres_delay:
      each_way(f, [](way& w) { w.postgres.delay(0ms); });
      break;
    case fault_kind::postgres_stall:
      each_way(f, [](way& w) { w.postgres.stall(false); });
      break;
    case fault_kind::nats_delay:
      each_way(f, [](way& w) { w.nats.delay(0ms); });
      break;
    case fault_kind::nats_stall:
      each_way(f, [](way& w) { w.nats.stall(false); });
      break;
    case fault_kind::disk_full:
      disk_->empty();
      start_postgres();  // it may have ended itself
      break;
    case fault_kind::connections_exhausted:
      hogs_.clear();
      break;
    case fault_kind::snapshot_held:
      snapshot_.reset();
      break;
    default:
      break;
  }
}

void site::restore() {
  if (disk_) disk_->empty();
  for (auto& w : ways_) w->postgres.heal(), w->nats.heal();
  hogs_.clear();
  snapshot_.reset();
  postgres_.start();
  nats_.start();
  for (std::size_t i = 0; i < engines_.size(); ++i) {
    engines_[i].process.signal(SIGCONT);
    if (engines_[i].is_down) start_engine(i);
  }
}

bool site::stop_clients(milliseconds deadline) {
  for (auto& c : clients_) c.process.signal(SIGTERM);
  for (auto& c : clients_)
    if (c.process.wait(deadline) != 0) return false;
  return true;
}

std::string site::stop_load(milliseconds deadline) {
  if (load_log_.empty()) return {};
  load_.signal(SIGTERM);
  const auto code = load_.wait(deadline);
  if (code == 0) return {};
  return "the load generator " + (code ? "ended with " + std::to_string(*code) : std::string("did not end")) + "\n" +
         support::tail_of(load_log_);
}

std::string site::stop_engines(milliseconds deadline) {
  std::string wrong;
  for (auto& e : engines_) e.process.signal(SIGTERM);
  for (std::size_t i = 0; i < engines_.size(); ++i)
    if (const auto code = engines_[i].process.wait(deadline); code != 0)
      wrong += "engine " + std::to_string(i) +
               (code ? " ended with " + std::to_string(*code) : std::string(" did not end")) + "\n";
  return wrong;
}

std::string site::casualties() {
  std::string text;
  for (std::size_t i = 0; i < engines_.size(); ++i)
    if (auto& e = engines_[i]; !e.is_down && !e.process.running())
      text += "engine " + std::to_string(i) + " ended by itself with " +
              std::to_string(e.process.wait(0ms).value_or(-1)) + "\n" + support::tail_of(e.log) + "\n";
  for (auto& c : clients_)
    if (!c.name.empty() && !c.process.running())
      text += "client " + c.name + " ended by itself with " + std::to_string(c.process.wait(0ms).value_or(-1)) + "\n" +
              support::tail_of(folder_ + "/clients.log") + "\n";
  if (!load_log_.empty() && !load_.running())
    text += "the load generator ended by itself with " + std::to_string(load_.wait(0ms).value_or(-1)) + "\n" +
            support::tail_of(load_log_) + "\n";
  return text;
}

std::string site::dump() const {
  std::string text;
  constexpr std::size_t tail_bytes = 4'000;
  for (std::size_t i = 0; i < engines_.size(); ++i)
    text += "== engine " + std::to_string(i) + "\n" + support::tail_of(engines_[i].log, tail_bytes) + "\n";
  text += "== clients\n" + support::tail_of(folder_ + "/clients.log", tail_bytes) + "\n";
  text += "== load\n" + support::tail_of(folder_ + "/load.log", tail_bytes) + "\n";
  text += "== PostgreSQL\n" + postgres_.log() + "\n== NATS\n" + nats_.log() + "\n== activity\n";
  try {
    sql_connection sql(as_conductor(direct_database()));
    for (const auto& row : sql.query("SET statement_timeout = '2s'; SELECT pid, application_name, state, wait_event, "
                                     "now() - state_change, left(query, "
                                     "120) FROM pg_stat_activity WHERE backend_type = 'client backend'")) {
      for (const auto& field : row) text += field + " | ";
      text += "\n";
    }
  } catch (const std::runtime_error& e) {
    text += e.what();
  }
  return text;
}

}  // namespace rowcall::chaos
