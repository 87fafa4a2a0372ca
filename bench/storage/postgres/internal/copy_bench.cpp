#include "storage/postgres/internal/copy.hpp"

#include <benchmark/benchmark.h>

#include "bench/work.hpp"
#include "engine/result.hpp"

namespace rowcall::storage::postgres::internal {
namespace {

/// The update rows of a turn, as COPY sends them; an item is an update.
void copy_encode_rows(benchmark::State& state) {
  const std::string session = bench::session_name(17), type = "echo", data = bench::command_data(17);
  row_encoder rows;
  for (auto _ : state) {
    rows.clear();
    for (std::int64_t i = 1; i <= state.range(0); ++i)
      rows.number(i).number(i).text(session).text(type).text(data).end_row();
    benchmark::DoNotOptimize(rows.bytes().data());
  }
  const auto last = std::to_string(state.range(0));
  ROWCALL_ASSERT(rows.bytes().ends_with(last + '\t' + last + '\t' + session + '\t' + type + '\t' + data + '\n'));
  state.SetItemsProcessed(state.iterations() * state.range(0));
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(rows.bytes().size()));
}
BENCHMARK(copy_encode_rows)->Arg(1)->Arg(1'000);

/// A value with a backslash in every tenth byte: the path that looks at each one.
void copy_encode_a_text_with_escapes(benchmark::State& state) {
  std::string text;
  for (int i = 0; i < 10; ++i) text += "123456789\\";
  row_encoder rows;
  for (auto _ : state) {
    rows.clear();
    rows.text(text).end_row();
    benchmark::DoNotOptimize(rows.bytes().data());
  }
  ROWCALL_ASSERT(rows.bytes().size() == text.size() + 10 + 1);
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(text.size()));
}
BENCHMARK(copy_encode_a_text_with_escapes);

}  // namespace
}  // namespace rowcall::storage::postgres::internal
