#include "engine/types.hpp"

#include <benchmark/benchmark.h>

#include "bench/work.hpp"

namespace rowcall::engine {
namespace {

void types_validate_a_session_id(benchmark::State& state) {
  const auto text = bench::session_name(123'456);
  for (auto _ : state) {
    auto id = session_id::parse(text);
    ROWCALL_ASSERT(id);
    benchmark::DoNotOptimize(id);
  }
}
BENCHMARK(types_validate_a_session_id);

void types_shard_of_a_session(benchmark::State& state) {
  const auto id = session_id::parse(bench::session_name(123'456)).value();
  for (auto _ : state) {
    auto shard = shard_of(id, shard_count_default);
    ROWCALL_ASSERT(shard < shard_count_default);
    benchmark::DoNotOptimize(shard);
  }
}
BENCHMARK(types_shard_of_a_session);

void types_validate_a_command(benchmark::State& state) {
  const command_request request{session_id::parse(bench::session_name(17)).value(), "say", bench::command_data(17), "key-17"};
  for (auto _ : state) {
    auto valid = validate(request);
    ROWCALL_ASSERT(valid);
    benchmark::DoNotOptimize(valid);
  }
}
BENCHMARK(types_validate_a_command);

}  // namespace
}  // namespace rowcall::engine
