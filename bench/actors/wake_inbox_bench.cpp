#include "actors/wake_inbox.hpp"

#include <benchmark/benchmark.h>

#include "bench/work.hpp"

namespace rowcall::actors {
namespace {

/// A thousand wakes from the bus's thread, then one look by the directory; an item is a wake.
void wake_inbox_put_and_take(benchmark::State& state) {
  constexpr std::int64_t wakes = 1'000;
  const engine::wake w{engine::session_id::parse(bench::session_name(17)).value(), {4711}};
  wake_inbox inbox;
  std::vector<engine::wake> taken;
  for (auto _ : state) {
    for (std::int64_t i = 0; i < wakes; ++i) inbox.put(w);
    inbox.take(taken);
    ROWCALL_ASSERT(taken.size() == static_cast<std::size_t>(wakes));
  }
  state.SetItemsProcessed(state.iterations() * wakes);
}
BENCHMARK(wake_inbox_put_and_take);

}  // namespace
}  // namespace rowcall::actors
