#include "engine/directory.hpp"

#include <benchmark/benchmark.h>

#include "bench/work.hpp"

namespace rowcall::engine {
namespace {

/// A directory whose sessions are all known, as it is after a first turn of each.
class woken_directory {
 public:
  explicit woken_directory(std::size_t sessions) {
    for (std::size_t i = 0; i < sessions; ++i) ids_.push_back(session_id::parse(bench::session_name(i)).value());
    wake_all();
    while (turn() != 0) {
    }
  }

  void wake_all() {
    for (const auto& id : ids_) directory_.wake(id, {}, now_);
  }

  /// One turn that processes one command of each of its sessions. Returns how many sessions it had.
  std::size_t turn() {
    const auto work = directory_.take(now_);
    done_.clear();
    for (const auto& s : work.sessions) {
      const auto next = s.cursor ? s.cursor->command.next() : command_seq{1};
      auto& f = done_.emplace_back();
      f.index = s.index;
      f.cursor = session_cursor{{next.value}, next};
    }
    if (!done_.empty()) directory_.finish(done_, {}, now_);
    return done_.size();
  }

  directory& get() { return directory_; }
  std::size_t session_count() const { return ids_.size(); }

 private:
  directory directory_{directory_config{}};
  directory::time_point now_{};
  std::vector<session_id> ids_;
  std::vector<directory::finished> done_;
};

void directory_route_a_wake(benchmark::State& state) {
  woken_directory d(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) {
    d.wake_all();
    ROWCALL_ASSERT(d.get().ready_count() == d.session_count());
    state.PauseTiming();
    while (d.turn() != 0) {
    }
    state.ResumeTiming();
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(directory_route_a_wake)->Arg(1'000)->Arg(50'000);

void directory_coalesce_a_wake(benchmark::State& state) {
  woken_directory d(static_cast<std::size_t>(state.range(0)));
  d.wake_all();
  for (auto _ : state) d.wake_all();
  ROWCALL_ASSERT(d.get().ready_count() == d.session_count());
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(directory_coalesce_a_wake)->Arg(1'000)->Arg(50'000);

/// An item is a session that is taken into a turn and finished.
void directory_take_and_finish(benchmark::State& state) {
  woken_directory d(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) {
    state.PauseTiming();
    d.wake_all();
    state.ResumeTiming();
    std::size_t finished = 0;
    while (const auto n = d.turn()) finished += n;
    ROWCALL_ASSERT(finished == d.session_count());
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(directory_take_and_finish)->Arg(1'000)->Arg(50'000);

void directory_preferred_node(benchmark::State& state) {
  const std::vector<std::string> nodes{"node-a", "node-b", "node-c", "node-d"};
  shard_index shard = 0;
  for (auto _ : state) {
    auto node = preferred_node(nodes, shard);
    ROWCALL_ASSERT(!node.empty());
    benchmark::DoNotOptimize(node);
    shard = (shard + 1) % shard_count_default;
  }
}
BENCHMARK(directory_preferred_node);

}  // namespace
}  // namespace rowcall::engine
