#include "actors/metrics.hpp"

#include <benchmark/benchmark.h>

#include "engine/result.hpp"

namespace rowcall::actors {
namespace {

/// What the histograms add to a turn: the clock's readings, a tally of its commands, and one addition for each stage.
/// The argument is the count of commands; an item is a turn. Compare it with what a turn takes
/// (session_actor_decide_a_turn, and the COMMIT).
void metrics_observe_a_turn(benchmark::State& state) {
  static metrics m;
  const auto commands = static_cast<std::uint64_t>(state.range(0));
  const auto before = m.submit_to_claim.sum();
  std::uint64_t turns = 0;
  const auto now = [] { return std::chrono::steady_clock::now(); };
  for (auto _ : state) {
    const auto started = now(), claimed = now(), decided = now(), committed = now();
    duration_histogram::tally waited;
    for (std::uint64_t i = 0; i < commands; ++i) waited.observe(100 + i);
    m.submit_to_claim.add(waited);
    m.turn_commands.observe(commands);
    m.turn_sessions.observe(commands);
    m.claim.observe(microseconds_of(claimed - started));
    m.decide.observe(microseconds_of(decided - claimed));
    m.claim_to_commit.observe(microseconds_of(committed - claimed));
    const auto published = now();
    m.commit_to_notify.observe(microseconds_of(published - committed));
    m.turn_busy_us += microseconds_of(published - started);
    m.store_answered_at_ns.store(committed.time_since_epoch().count(), std::memory_order_relaxed);
    ++turns;
  }
  if (state.threads() == 1)
    ROWCALL_ASSERT(m.submit_to_claim.sum() - before == turns * (commands * 100 + commands * (commands - 1) / 2));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(metrics_observe_a_turn)->Arg(1)->Arg(20)->Arg(1'000)->Arg(4'000);
BENCHMARK(metrics_observe_a_turn)->Arg(20)->Threads(2);

}  // namespace
}  // namespace rowcall::actors
