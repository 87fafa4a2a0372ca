#include "storage/memory/memory_stores.hpp"

#include <benchmark/benchmark.h>

#include "bench/work.hpp"

namespace rowcall::storage::memory {
namespace {

class still_clock final : public engine::clock {
 public:
  time_point now() const override { return time_point{std::chrono::hours{24}}; }
};

/// Sessions of kind echo in a new database, each with one command processed, and a node that knows their cursors.
class served_database {
 public:
  explicit served_database(std::size_t sessions) {
    ROWCALL_ASSERT(make_node_store(db_)->join("node-1", {"echo"}));
    for (std::size_t i = 0; i < sessions; ++i) {
      const auto id = engine::session_id::parse(bench::session_name(i)).value();
      batch_.push_back({id, "say", bench::command_data(i), {}});
      request_.sessions.push_back({id, engine::shard_of(id, engine::shard_count_default), {}, false});
      writes_.push_back({id});
    }
    submit();
    turn();
  }

  /// One command to each session.
  void submit() { ROWCALL_ASSERT(commands_->submit(batch_)); }

  /// Claims them all, answers each with one update, commits.
  void turn() {
    const auto claim = turns_->claim(request_);
    ROWCALL_ASSERT(claim);
    for (std::size_t i = 0; i < request_.sessions.size(); ++i) {
      const auto& claimed = claim->sessions[i];
      auto& cursor = request_.sessions[i].cursor;
      if (claimed.image) cursor = claimed.image->cursor;
      ROWCALL_ASSERT(cursor && claimed.commands.size() == 1);
      const auto& command = claimed.commands.front();
      auto& w = writes_[i];
      w.before = *cursor;
      w.after = {cursor->update.next(), command.seq};
      w.updates.assign(1, {w.after.update, command.seq, "echo", command.data, {}});
      cursor = w.after;
    }
    ROWCALL_ASSERT(turns_->commit(writes_));
  }

 private:
  std::shared_ptr<database> db_ = make_database(std::make_shared<still_clock>());
  std::unique_ptr<engine::turn_store> turns_ = make_turn_store(db_, "node-1");
  std::unique_ptr<engine::command_store> commands_ = make_command_store(db_);
  std::vector<engine::command_request> batch_;
  engine::turn_request request_;
  std::vector<engine::session_writes> writes_;
};

constexpr int turns_per_database = 256;  ///< then a new one: the memory is bounded however long the benchmark runs

/// The argument is the count of sessions in a turn, one command each; an item is a command.
void memory_stores_turn(benchmark::State& state) {
  const auto sessions = static_cast<std::size_t>(state.range(0));
  std::unique_ptr<served_database> db;
  int turns = 0;
  for (auto _ : state) {
    state.PauseTiming();
    if (turns++ % turns_per_database == 0) db = std::make_unique<served_database>(sessions);
    db->submit();
    state.ResumeTiming();
    db->turn();
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(memory_stores_turn)->Arg(1)->Arg(1'000);

void memory_stores_submit(benchmark::State& state) {
  const auto sessions = static_cast<std::size_t>(state.range(0));
  std::unique_ptr<served_database> db;
  int turns = 0;
  for (auto _ : state) {
    state.PauseTiming();
    if (turns++ % turns_per_database == 0) db = std::make_unique<served_database>(sessions);
    state.ResumeTiming();
    db->submit();
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(memory_stores_submit)->Arg(1)->Arg(1'000);

}  // namespace
}  // namespace rowcall::storage::memory
