#include "engine/json.hpp"

#include <benchmark/benchmark.h>

#include "bench/work.hpp"

namespace rowcall::engine {
namespace {

void set_bytes(benchmark::State& state, std::size_t bytes_each) {
  state.SetBytesProcessed(static_cast<std::int64_t>(bytes_each) * state.iterations());
}

void json_parse_a_command(benchmark::State& state) {
  const auto text = bench::command_data(17);
  json::parser parser;
  for (auto _ : state) {
    auto parsed = parser.parse_object(text);
    ROWCALL_ASSERT(parsed);
    benchmark::DoNotOptimize(parsed);
  }
  set_bytes(state, text.size());
}
BENCHMARK(json_parse_a_command);

void json_look_up_a_member(benchmark::State& state) {
  const auto text = bench::command_data(17);
  json::parser parser;
  const auto object = parser.parse_object(text).value();
  for (auto _ : state) {
    auto sender = json::string_at(object, "sender");
    ROWCALL_ASSERT(sender);
    benchmark::DoNotOptimize(sender);
  }
}
BENCHMARK(json_look_up_a_member);

void json_look_for_nul(benchmark::State& state) {
  const auto text = bench::command_data(17);
  json::parser parser;
  const auto object = parser.parse_object(text).value();
  for (auto _ : state) {
    bool found = json::has_nul(object);
    ROWCALL_ASSERT(!found);
    benchmark::DoNotOptimize(found);
  }
}
BENCHMARK(json_look_for_nul);

void json_write_an_object(benchmark::State& state) {
  const std::string text(80, 'x');
  std::size_t bytes = 0;
  for (auto _ : state) {
    json::writer w;
    w.begin_object().key("chat_id").string("chat-17").key("message_id").number(std::int64_t{4711});
    w.key("text").string(text).key("sender").string("ann").end_object();
    auto out = std::move(w).str();
    bytes = out.size();
    benchmark::DoNotOptimize(out);
  }
  ROWCALL_ASSERT(bytes == text.size() + 64);
  set_bytes(state, bytes);
}
BENCHMARK(json_write_an_object);

/// Text in which about a quarter of the characters needs an escape.
void json_quote_a_text_with_escapes(benchmark::State& state) {
  std::string text;
  for (int i = 0; i < 8; ++i) text += "said \"\xc3\xa9\"\n ";
  std::string out;
  for (auto _ : state) {
    out.clear();
    json::append_quoted(out, text);
    benchmark::DoNotOptimize(out.data());
  }
  ROWCALL_ASSERT(out.size() == text.size() + 2 + 8 * 3);  // in each piece two quotes and a line feed
  set_bytes(state, text.size());
}
BENCHMARK(json_quote_a_text_with_escapes);

}  // namespace
}  // namespace rowcall::engine
