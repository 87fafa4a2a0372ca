#include "bus/payload.hpp"

#include <benchmark/benchmark.h>

#include "bench/work.hpp"

namespace rowcall::bus {
namespace {

const engine::session_id& room() {
  static const auto id = engine::session_id::parse(bench::session_name(17)).value();
  return id;
}

/// Large enough for every notice here to carry its updates.
constexpr std::size_t inline_bytes_max = 1 << 20;

engine::update_notice notice_of(std::int64_t updates) {
  engine::update_notice n{room(), {1}, {updates}, {}};
  for (std::int64_t i = 1; i <= updates; ++i)
    n.updates.push_back({{i}, {i}, "echo", bench::command_data(17), engine::db_time{std::chrono::microseconds{1'700'000'000'000'000}}});
  return n;
}

void set_processed(benchmark::State& state, std::int64_t items_each, std::size_t bytes_each) {
  state.SetItemsProcessed(state.iterations() * items_each);
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(bytes_each));
}

void payload_encode_a_wake(benchmark::State& state) {
  const engine::wake w{room(), {4711}};
  for (auto _ : state) {
    auto payload = encode(w);
    ROWCALL_ASSERT(payload.find("4711") != payload.npos);
    benchmark::DoNotOptimize(payload);
  }
}
BENCHMARK(payload_encode_a_wake);

void payload_decode_a_wake(benchmark::State& state) {
  const auto payload = encode(engine::wake{room(), {4711}});
  engine::json::parser parser;
  for (auto _ : state) {
    auto w = decode_wake(room(), payload, parser);
    ROWCALL_ASSERT(w.last.value == 4711);
    benchmark::DoNotOptimize(w);
  }
}
BENCHMARK(payload_decode_a_wake);

/// The argument is the count of updates that the notice carries; an item is an update.
void payload_encode_updates(benchmark::State& state) {
  const auto n = notice_of(state.range(0));
  std::size_t bytes = 0;
  for (auto _ : state) {
    auto payload = encode(n, inline_bytes_max);
    bytes = payload.size();
    benchmark::DoNotOptimize(payload);
  }
  ROWCALL_ASSERT(bytes > static_cast<std::size_t>(state.range(0)) * bench::command_data(17).size());
  set_processed(state, state.range(0), bytes);
}
BENCHMARK(payload_encode_updates)->Arg(1)->Arg(20);

void payload_encode_updates_too_large_to_carry(benchmark::State& state) {
  const auto n = notice_of(20);
  for (auto _ : state) {
    auto payload = encode(n, 1'000);
    ROWCALL_ASSERT(!payload.empty() && payload.size() < 1'000);
    benchmark::DoNotOptimize(payload);
  }
}
BENCHMARK(payload_encode_updates_too_large_to_carry);

void payload_decode_updates(benchmark::State& state) {
  const auto payload = encode(notice_of(state.range(0)), inline_bytes_max);
  engine::json::parser parser;
  for (auto _ : state) {
    auto n = decode_updates(room(), payload, parser);
    ROWCALL_ASSERT(n && static_cast<std::int64_t>(n->updates.size()) == state.range(0));
    benchmark::DoNotOptimize(n);
  }
  set_processed(state, state.range(0), payload.size());
}
BENCHMARK(payload_decode_updates)->Arg(1)->Arg(20);

}  // namespace
}  // namespace rowcall::bus
