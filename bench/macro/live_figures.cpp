#include <unistd.h>

#include <atomic>
#include <chrono>
#include <numeric>
#include <thread>

#include "bench/macro/engine_process.hpp"
#include "bench/macro/figure_groups.hpp"
#include "bench/macro/live_clients.hpp"

/// Submit, decide, commit, follow, as fast as it goes: W, and W with other keys.
namespace rowcall::bench {
namespace {

using steady = std::chrono::steady_clock;
using namespace std::chrono_literals;

/// CPU seconds of everybody who takes part.
struct cpu_of_all {
  double engine = 0, postgres = 0, nats = 0, clients = 0;
  static cpu_of_all now(const settings& s, const engine_process& engine) {
    return {usage_of(engine.pid()).cpu_s, s.postgres ? usage_of_tree(s.postgres).cpu_s : 0,
            s.nats_server ? usage_of(s.nats_server).cpu_s : 0, usage_of(getpid()).cpu_s};
  }
  cpu_of_all operator-(const cpu_of_all& o) const {
    return {engine - o.engine, postgres - o.postgres, nats - o.nats, clients - o.clients};
  }
  double sum() const { return engine + postgres + nats + clients; }
};

/// What has been followed, ten times a second, for the plot.
class progress_curve {
 public:
  explicit progress_curve(const live_clients& clients)
      : thread_([this, &clients] {
          const auto start = steady::now();
          auto before = clients.followed();
          double before_s = 0;
          for (auto next = start + 100ms; !is_stopping_; next += 100ms) {
            std::this_thread::sleep_until(next);
            const auto followed = clients.followed();
            const double s = std::chrono::duration<double>(steady::now() - start).count();
            points_.emplace_back(s, static_cast<double>(followed - before) / (s - before_s));
            before = followed;
            before_s = s;
          }
        }) {}
  figures::points end() {
    is_stopping_ = true;
    thread_.join();
    return std::move(points_);
  }

 private:
  std::atomic<bool> is_stopping_{false};
  figures::points points_;
  std::thread thread_;  // last: it uses the others
};

/// Commands/s from the first submit to the last followed update. Each session has had one command before, so the engine
/// is up, its actors are loaded and their cursors known.
void live(const settings& s, figures& out, const std::string& name, std::size_t sessions, const std::string& keys) {
  reset(s.database);
  engine_process engine(s.rowcall, s.database, s.nats);
  live_clients clients(s, echo_sessions(sessions));
  clients.follow_all();
  std::vector<std::uint32_t> each(sessions);
  std::iota(each.begin(), each.end(), 0);
  clients.submit_all(each);
  clients.wait_followed(sessions);

  const auto chosen = choose_keys(keys, sessions, s.w.commands, s.seed);
  const bool is_first_round = !out.has(name + "_per_s");
  progress_curve progress(clients);
  const auto before = cpu_of_all::now(s, engine);
  const auto start = steady::now();
  clients.submit_all(chosen);
  clients.wait_followed(s.w.commands + sessions);
  const double took = std::chrono::duration<double>(steady::now() - start).count();
  const auto used = cpu_of_all::now(s, engine) - before;
  auto curve = progress.end();
  out.add(name + "_per_s", static_cast<double>(s.w.commands) / took);
  if (s.postgres && s.nats_server) {
    out.add(name + "_engine_cpu_share", used.engine / used.sum());
    out.add(name + "_cpu_cores", used.sum() / took);
  }
  if (is_first_round) out.add_curve("throughput", "seconds", "commands/s", name, std::move(curve));
}

}  // namespace

void measure_live(const settings& s, figures& out) {
  out.add("live_client_per_s", live_client(s.database, s.w));
  live(s, out, "live", s.w.sessions, "sequential");
}

void measure_zipf(const settings& s, figures& out) { live(s, out, "zipf", s.many_sessions, "zipf:1.0"); }

void measure_hot(const settings& s, figures& out) {
  live(s, out, "hot", 1, "sequential");
  live(s, out, "hot_half", s.w.sessions, "hot:0.5");
}

void measure_many(const settings& s, figures& out) { live(s, out, "many", s.many_sessions, "uniform"); }

}  // namespace rowcall::bench
