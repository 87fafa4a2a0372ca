#include "tools/loadgen/runner.hpp"

#include <sys/resource.h>

#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include <benchmark/benchmark.h>

/// How much load the generator can put on by itself, verification included, when the system under load costs nothing:
/// what it reaches on a real system below this is not its own limit.
namespace rowcall::tools::loadgen {
namespace {

/// Acknowledges and answers at once, on a thread of its own, in groups as the real one does.
class instant_target final : public target {
 public:
  explicit instant_target(std::size_t sessions) : last_(sessions, 0) {}
  ~instant_target() override { stop(); }

  void start(updates on_updates) override {
    on_updates_ = std::move(on_updates);
    is_stopping_ = false;
    thread_ = std::thread([this] { run(); });
  }
  void submit(engine::command_request request, submitted done) override {
    const std::lock_guard lock(mutex_);
    // "echo-<run>-s<index>" or alike: the index stands behind the last letter.
    const auto& id = request.session.str();
    const auto digits = id.find_last_not_of("0123456789") + 1;
    waiting_.push_back({static_cast<session_index>(std::stoul(id.substr(digits))), std::move(done)});
    if (waiting_.size() == 1) changed_.notify_one();
  }
  void follow(std::span<const position>) override {}
  void unfollow(std::span<const position>) override {}
  void reconnect(std::function<std::vector<position>()>) override {}
  void read(engine::session_id, std::function<void(bool)> done) override { done(true); }
  engine::result<engine::session_cursor> cursor(const engine::session_id&) override { return engine::session_cursor{}; }
  bool wait_live(std::chrono::milliseconds) override { return true; }
  void stop() override {
    if (!thread_.joinable()) return;
    {
      const std::lock_guard lock(mutex_);
      is_stopping_ = true;
      changed_.notify_one();
    }
    thread_.join();
  }

 private:
  struct job {
    session_index session;
    submitted done;
  };
  void run() {
    for (;;) {
      std::vector<job> group;
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return !waiting_.empty() || is_stopping_; });
        if (waiting_.empty()) return;
        group.swap(waiting_);
      }
      for (const job& j : group) {
        const auto seq = ++last_[j.session];
        j.done(engine::submit_receipt{engine::submit_receipt::outcome::stored, {seq}});
        engine::update_row row;
        row.seq = {seq};
        row.command = {seq};
        row.type = "echo";
        on_updates_(j.session, std::span(&row, 1));
      }
    }
  }

  std::vector<std::int64_t> last_;
  updates on_updates_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<job> waiting_;
  bool is_stopping_ = false;
  std::thread thread_;
};

double peak_rss_mib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

/// "A few hundred MiB" at a million commands: what the whole process may ever have had, other benchmarks included.
constexpr double peak_rss_mib_max = 300;

void runner_open_loop_against_nothing(benchmark::State& state) {
  const auto commands = static_cast<double>(state.range(0));
  scenario_options options;
  options.sessions = 1'000;
  for (auto _ : state) {
    run_plan plan;
    plan.stages = {{std::chrono::milliseconds{100}, commands * 10, commands * 10}};  // far more than it can: no waiting
    plan.linger = std::chrono::nanoseconds{0};
    const auto s = make_scenario(options).value();
    instant_target target(options.sessions);
    steady_timeline time;
    const auto r = runner(plan, *s, target, time).run();
    ROWCALL_ASSERT(r && r->passed() && r->count.followed + r->warm_up_commands == static_cast<std::uint64_t>(commands));
  }
  ROWCALL_ASSERT(peak_rss_mib() < peak_rss_mib_max);
  state.SetItemsProcessed(state.iterations() * state.range(0));
  state.counters["peak_rss_mib"] = peak_rss_mib();
}
BENCHMARK(runner_open_loop_against_nothing)->Arg(100'000)->Arg(1'000'000)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
}  // namespace rowcall::tools::loadgen
