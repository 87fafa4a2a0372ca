#include "storage/postgres/internal/call.hpp"

#include <benchmark/benchmark.h>

#include <vector>

#include "bench/work.hpp"
#include "engine/turn.hpp"

namespace rowcall::storage::postgres::internal {
namespace {

std::vector<engine::update_row> updates(std::int64_t count) {
  std::vector<engine::update_row> rows;
  for (std::int64_t i = 1; i <= count; ++i) rows.push_back({{i}, {i}, "echo", bench::command_data(17), {}});
  return rows;
}

void call_quote_a_literal(benchmark::State& state) {
  const auto data = bench::command_data(17);
  std::string sql;
  for (auto _ : state) {
    sql.clear();
    append_literal(sql, data);
    benchmark::DoNotOptimize(sql.data());
  }
  ROWCALL_ASSERT(sql.size() >= data.size() + 2);
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(data.size()));
}
BENCHMARK(call_quote_a_literal);

/// The statement that appends a turn's updates, all five arrays of it; an item is an update.
void call_append_updates(benchmark::State& state) {
  const auto rows = updates(state.range(0));
  const std::string session = bench::session_name(17);
  std::size_t bytes = 0;
  for (auto _ : state) {
    call c("update_append");
    c.array(rows, [&](const engine::update_row&) -> const std::string& { return session; })
        .array(rows, [](const engine::update_row& r) { return r.seq.value; })
        .array(rows, [](const engine::update_row& r) { return r.command.value; })
        .array(rows, [](const engine::update_row& r) -> const std::string& { return r.type; })
        .array(rows, [](const engine::update_row& r) -> const std::string& { return r.data; });
    auto sql = c.str();
    bytes = sql.size();
    benchmark::DoNotOptimize(sql);
  }
  ROWCALL_ASSERT(bytes > rows.size() * (rows.front().data.size() + session.size()));
  state.SetItemsProcessed(state.iterations() * state.range(0));
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(bytes));
}
BENCHMARK(call_append_updates)->Arg(1)->Arg(1'000);

}  // namespace
}  // namespace rowcall::storage::postgres::internal
