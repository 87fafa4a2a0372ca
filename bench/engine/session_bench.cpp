#include "engine/session.hpp"

#include <benchmark/benchmark.h>

#include "bench/work.hpp"
#include "engine/module.hpp"

namespace rowcall::engine {
namespace {

const module_registry& modules() {
  static const auto registry = standard_modules();
  return registry;
}

session cold_session(const session_id& id) {
  auto config = std::make_shared<session_config>();
  config->node = "node-1";
  return {id, *modules().find(id.kind()), std::move(config)};
}

std::vector<command_row> commands(std::size_t count, const std::string& type, const std::string& data) {
  return std::vector<command_row>(count, command_row{{}, type, data, {}});
}

/// The next commands of the session, as a claim would bring them.
void renumber(std::vector<command_row>& rows, const session& s) {
  auto seq = s.cursor().command;
  for (auto& row : rows) row.seq = seq = seq.next();
}

void decide_all(benchmark::State& state, session& s, std::vector<command_row>& rows, json::parser& parser) {
  for (auto _ : state) {
    renumber(rows, s);
    auto out = s.decide(s.cursor(), rows, parser);
    ROWCALL_ASSERT(out.writes.updates.size() == rows.size() && out.is_loaded);
    benchmark::DoNotOptimize(out);
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(rows.size()));
}

/// The argument is the count of the session's commands in one turn; an item is a command.
void session_decide_echo(benchmark::State& state) {
  json::parser parser;
  auto s = cold_session(session_id::parse(bench::session_name(17)).value());
  ROWCALL_ASSERT(s.load({}, parser));
  auto rows = commands(static_cast<std::size_t>(state.range(0)), "say", bench::command_data(17));
  decide_all(state, s, rows, parser);
}
BENCHMARK(session_decide_echo)->Arg(1)->Arg(20)->Arg(256);

session_image room_of(std::size_t members) {
  session_image image;
  auto append = [&](std::string type, std::string data) {
    const update_seq seq{image.cursor.update.next()};
    const command_seq command{image.cursor.command.next()};
    image.tail.push_back({seq, command, std::move(type), std::move(data), {}});
    image.cursor = {seq, command};
  };
  append("chat_created", R"({"chat_id":"chat-17","name":"bench","user_id":"u0"})");
  for (std::size_t i = 0; i < members; ++i)
    append("member_joined", R"({"chat_id":"chat-17","user_id":"u)" + std::to_string(i) + "\"}");
  return image;
}

/// Posts to a room of 100 members. A snapshot of the room falls due every 256 updates and is part of it.
void session_decide_chat(benchmark::State& state) {
  json::parser parser;
  auto s = cold_session(session_id::parse("chat-17").value());
  ROWCALL_ASSERT(s.load(room_of(100), parser));
  auto rows = commands(static_cast<std::size_t>(state.range(0)), "post_message",
                       "{\"sender\":\"u7\",\"text\":\"" + std::string(80, 'x') + "\",\"request\":4711}");
  decide_all(state, s, rows, parser);
}
BENCHMARK(session_decide_chat)->Arg(1)->Arg(20)->Arg(256);

/// A room of 100 members is loaded from a snapshot and as many updates after it as the argument says.
void session_fold_a_snapshot_and_its_tail(benchmark::State& state) {
  json::parser parser;
  auto image = room_of(100);
  std::string saved = R"({"name":"bench","members":[)";
  for (int i = 0; i < 100; ++i) saved += (i == 0 ? "\"u" : ",\"u") + std::to_string(i) + "\"";
  image.snapshot = snapshot_row{image.cursor.update, image.cursor.command, saved + "]}"};
  image.tail.clear();
  for (std::int64_t i = 0; i < state.range(0); ++i) {
    image.cursor = {image.cursor.update.next(), image.cursor.command.next()};
    image.tail.push_back({image.cursor.update, image.cursor.command, "new_message",
                          "{\"chat_id\":\"chat-17\",\"message_id\":" + std::to_string(image.cursor.update.value) +
                              ",\"text\":\"" + std::string(80, 'x') + "\",\"sender\":\"u7\"}",
                          {}});
  }
  auto s = cold_session(session_id::parse("chat-17").value());
  for (auto _ : state) {
    auto loaded = s.load(image, parser);
    ROWCALL_ASSERT(loaded && s.cursor() == image.cursor);
  }
  state.SetItemsProcessed(state.iterations() * (state.range(0) + 1));
}
BENCHMARK(session_fold_a_snapshot_and_its_tail)->Arg(0)->Arg(128)->Arg(256);

}  // namespace
}  // namespace rowcall::engine
