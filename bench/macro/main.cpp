#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "bench/macro/engine_process.hpp"
#include "bench/macro/yardsticks.hpp"
#include "bus/nats_bus.hpp"
#include "client/follower.hpp"
#include "client/submitter.hpp"
#include "storage/postgres/stores.hpp"

/// The macro benchmarks: the engine as a process of its own, and the yardsticks, in alternation. One JSON line a figure.
namespace rowcall::bench {
namespace {

using steady = std::chrono::steady_clock;
using namespace std::chrono_literals;

struct settings {
  std::string database, nats, rowcall, only;
  pid_t postgres = 0, nats_server = 0;
  int rounds = 3;
  work w;
  std::size_t singles = 2'000;
  int idle_s = 10;
};

engine::session_id session(std::size_t i) { return engine::session_id::parse(session_name(i)).value(); }

double median(std::vector<double> v) {
  std::sort(v.begin(), v.end());
  return v.empty() ? 0 : v[v.size() / 2];
}
double percentile(std::vector<double> v, double p) {
  std::sort(v.begin(), v.end());
  return v.empty() ? 0 : v[std::min(v.size() - 1, static_cast<std::size_t>(p * static_cast<double>(v.size())))];
}

storage::postgres::store_config store(const settings& s) {
  storage::postgres::store_config c;
  c.url = s.database;
  c.application_name = "rowcall bench";
  return c;
}

/// Blocks until every session's last processed command is its last one.
void wait_drained(const settings& s, engine_process& engine, std::size_t per_session, std::chrono::seconds limit) {
  auto reader = storage::postgres::make_update_store(store(s));
  const auto deadline = steady::now() + limit;
  for (std::size_t i = 0; i < s.w.sessions; ++i)
    for (;;) {
      auto last = reader->last(session(i));
      if (last && last->command.value >= static_cast<std::int64_t>(per_session)) break;
      if (!engine.is_running()) throw std::runtime_error("the engine has ended");
      if (steady::now() > deadline) throw std::runtime_error("not drained in time");
      std::this_thread::sleep_for(10ms);
    }
}

/// From the engine's start to the last update; the start itself (process, schema check, first sweep) included.
double drain(const settings& s, std::map<std::string, std::vector<double>>& out) {
  fill(s.database, s.w);
  const auto postgres_before = s.postgres ? usage_of_tree(s.postgres) : process_usage{};
  const auto start = steady::now();
  engine_process engine(s.rowcall, s.database, s.nats);
  wait_drained(s, engine, s.w.commands / s.w.sessions, 300s);
  const double took = std::chrono::duration<double>(steady::now() - start).count();
  const auto used = usage_of(engine.pid());
  if (s.postgres) {
    const double pg = usage_of_tree(s.postgres).cpu_s - postgres_before.cpu_s;
    out["drain_engine_cpu_share"].push_back(used.cpu_s / (used.cpu_s + pg));
  }
  out["drain_rss_mib"].push_back(used.rss_mib);
  verify(s.database, s.w);
  return static_cast<double>(s.w.commands) / took;
}

/// Submits and follows through the client library.
class live_client_pair {
 public:
  explicit live_client_pair(const settings& s) : bus_(bus::connect_nats(nats(s)).value()) {
    client::follow_handler handler;
    handler.on_updates = [this](const engine::session_id&, std::span<const engine::update_row> rows) {
      {
        std::lock_guard lock(mutex_);
        followed_ += rows.size();
      }
      changed_.notify_all();
    };
    follower_ = std::make_unique<client::follower>(storage::postgres::make_update_store(store(s)), *bus_, handler);
    std::vector<std::unique_ptr<engine::command_store>> stores;
    stores.push_back(storage::postgres::make_command_store(store(s)));
    submitter_ = std::make_unique<client::submitter>(std::move(stores), *bus_);
  }
  static bus::nats_config nats(const settings& s) {
    bus::nats_config c;
    c.url = s.nats;
    return c;
  }
  void follow(std::size_t sessions) {
    for (std::size_t i = 0; i < sessions; ++i) follower_->follow(session(i), {});
    (void)bus_->flush(2s);
  }
  void wait_followed(std::size_t count) {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, 120s, [&] { return followed_ >= count; }))
      throw std::runtime_error("followed only " + std::to_string(followed_) + " of " + std::to_string(count));
  }
  client::submitter& submitter() { return *submitter_; }

 private:
  std::unique_ptr<engine::bus> bus_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t followed_ = 0;
  std::unique_ptr<client::follower> follower_;
  std::unique_ptr<client::submitter> submitter_;
};

double live(const settings& s, std::map<std::string, std::vector<double>>& out) {
  reset(s.database);
  engine_process engine(s.rowcall, s.database, s.nats);
  live_client_pair client(s);
  client.follow(s.w.sessions);
  // A first command to each session: the engine is up and its actors are loaded.
  for (std::size_t i = 0; i < s.w.sessions; ++i)
    client.submitter().submit_async({session(i), "say", command_data(i), {}}, [](client::submitter::outcome o) {
      if (!o) throw std::runtime_error(o.error().message);
    });
  client.wait_followed(s.w.sessions);

  const auto engine_before = usage_of(engine.pid());
  const auto self_before = usage_of(getpid());
  const auto postgres_before = s.postgres ? usage_of_tree(s.postgres) : process_usage{};
  const auto nats_before = s.nats_server ? usage_of(s.nats_server) : process_usage{};
  constexpr std::size_t in_flight_max = 20'000;
  std::mutex mutex;
  std::condition_variable acknowledged;
  std::size_t pending = 0;
  std::atomic<bool> is_refused = false;
  const auto start = steady::now();
  for (std::size_t i = 0; i < s.w.commands; ++i) {
    {
      std::unique_lock lock(mutex);
      acknowledged.wait(lock, [&] { return pending < in_flight_max; });
      ++pending;
    }
    client.submitter().submit_async({session(i % s.w.sessions), "say", command_data(i % s.w.sessions), {}},
                                    [&](client::submitter::outcome o) {
                                      if (!o) is_refused = true;
                                      std::lock_guard lock(mutex);
                                      --pending;
                                      acknowledged.notify_one();
                                    });
  }
  client.wait_followed(s.w.commands + s.w.sessions);
  const double took = std::chrono::duration<double>(steady::now() - start).count();
  if (is_refused) throw std::runtime_error("a submit failed");
  const double engine_cpu = usage_of(engine.pid()).cpu_s - engine_before.cpu_s;
  if (s.postgres) {
    const double all = engine_cpu + usage_of(getpid()).cpu_s - self_before.cpu_s + usage_of_tree(s.postgres).cpu_s -
                       postgres_before.cpu_s + (s.nats_server ? usage_of(s.nats_server).cpu_s - nats_before.cpu_s : 0);
    out["live_engine_cpu_share"].push_back(engine_cpu / all);
  }
  return static_cast<double>(s.w.commands) / took;
}

std::vector<double> single_us(const settings& s, std::vector<double>& submit_us) {
  reset(s.database);
  engine_process engine(s.rowcall, s.database, s.nats);
  live_client_pair client(s);
  client.follow(1);
  std::vector<double> us;
  for (std::size_t i = 0; i < s.singles + 100; ++i) {
    const auto start = steady::now();
    if (auto o = client.submitter().submit({session(0), "say", command_data(0), {}}); !o)
      throw std::runtime_error(o.error().message);
    if (i >= 100) submit_us.push_back(std::chrono::duration<double, std::micro>(steady::now() - start).count());
    client.wait_followed(i + 1);
    if (i >= 100) us.push_back(std::chrono::duration<double, std::micro>(steady::now() - start).count());
  }
  return us;
}

void idle(const settings& s, std::map<std::string, std::vector<double>>& out) {
  settings many = s;
  many.w = {10'000, 10'000};
  fill(s.database, many.w);
  engine_process engine(s.rowcall, s.database, s.nats, {"--passivate-after", "10m"});
  wait_drained(many, engine, 1, 60s);
  std::this_thread::sleep_for(2s);
  const auto before = usage_of(engine.pid());
  const auto nats_before = s.nats_server ? usage_of(s.nats_server) : process_usage{};
  std::this_thread::sleep_for(std::chrono::seconds{s.idle_s});
  const auto after = usage_of(engine.pid());
  double cpu = after.cpu_s - before.cpu_s;
  if (s.nats_server) cpu += usage_of(s.nats_server).cpu_s - nats_before.cpu_s;
  out["idle_core_share"].push_back(cpu / s.idle_s);
  out["idle_rss_mib"].push_back(after.rss_mib);
}

void run(const settings& s) {
  std::map<std::string, std::vector<double>> figures;
  auto wants = [&](const char* name) { return s.only.empty() || s.only.find(name) != std::string::npos; };
  auto add = [&](const char* name, double value) {
    figures[name].push_back(value);
    std::fprintf(stderr, "  %-24s %.1f\n", name, value);
  };
  for (int round = 1; round <= s.rounds; ++round) {
    std::fprintf(stderr, "round %d of %d\n", round, s.rounds);
    if (wants("drain")) {
      fill(s.database, s.w);
      add("limit_client_per_s", limit_client(s.database, s.w));
      verify(s.database, s.w);
      add("drain_per_s", drain(s, figures));
      fill(s.database, s.w);
      add("limit_sql_per_s", limit_sql(s.database, s.w));
      verify(s.database, s.w);
    }
    if (wants("live")) {
      add("live_client_per_s", live_client(s.database, s.w));
      add("live_per_s", live(s, figures));
    }
    if (wants("single")) {
      add("commit_us", median(commit_us(s.database, s.singles)));
      std::vector<double> submit_us;
      const auto us = single_us(s, submit_us);
      add("single_submit_us", median(submit_us));
      add("single_us", median(us));
      add("single_p99_us", percentile(us, 0.99));
    }
  }
  if (wants("idle")) idle(s, figures);

  const std::map<std::string, std::string> against{{"drain_per_s", "limit_client_per_s"}, {"live_per_s", "live_client_per_s"},
                                                   {"single_us", "commit_us"}};
  for (const auto& [name, values] : figures) {
    std::printf("{\"figure\":\"%s\",\"median\":%.4g,\"min\":%.4g,\"max\":%.4g,\"rounds\":%zu", name.c_str(), median(values),
                *std::min_element(values.begin(), values.end()), *std::max_element(values.begin(), values.end()),
                values.size());
    auto ratio = [&](const std::string& key, const std::string& other) {
      std::vector<double> ratios;
      for (std::size_t i = 0; i < values.size(); ++i) ratios.push_back(values[i] / figures.at(other)[i]);
      std::printf(",\"%s\":\"%s\",\"%s_ratio\":%.3f", key.c_str(), other.c_str(), key.c_str(), median(ratios));
    };
    if (auto other = against.find(name); other != against.end()) ratio("against", other->second);
    if (name == "drain_per_s") ratio("also", "limit_sql_per_s");
    std::printf("}\n");
  }
}

int main(int argc, char** argv) {
  settings s;
  auto from_environment = [](const char* name) { return std::string(std::getenv(name) ? std::getenv(name) : ""); };
  s.database = from_environment("ROWCALL_DATABASE_URL");
  s.nats = from_environment("ROWCALL_NATS_URL");
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string key = argv[i], value = argv[i + 1];
    if (key == "--rowcall") s.rowcall = value;
    else if (key == "--rounds") s.rounds = std::stoi(value);
    else if (key == "--commands") s.w.commands = std::stoul(value);
    else if (key == "--sessions") s.w.sessions = std::stoul(value);
    else if (key == "--singles") s.singles = std::stoul(value);
    else if (key == "--only") s.only = value;
    else if (key == "--idle-seconds") s.idle_s = std::stoi(value);
    else if (key == "--postgres-pid") s.postgres = std::stoi(value);
    else if (key == "--nats-pid") s.nats_server = std::stoi(value);
    else {
      std::fprintf(stderr, "unknown option %s\n", key.c_str());
      return 2;
    }
  }
  if (s.database.empty() || s.nats.empty() || s.rowcall.empty()) {
    std::fprintf(stderr, "usage: ROWCALL_DATABASE_URL=… ROWCALL_NATS_URL=… rowcall-bench --rowcall PATH [--rounds N] "
                         "[--commands N] [--only drain,live,single,idle]; bench/run does it all\n");
    return 2;
  }
  try {
    run(s);
    return 0;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "rowcall-bench: %s\n", e.what());
    return 1;
  }
}

}  // namespace
}  // namespace rowcall::bench

int main(int argc, char** argv) { return rowcall::bench::main(argc, argv); }
