#include "actors/session_actor.hpp"

#include <benchmark/benchmark.h>

#include "actors/internal/inline_executor.hpp"
#include "bench/work.hpp"
#include "engine/module.hpp"

namespace rowcall::actors {
namespace {

/// An actor system with the scheduler that the engine uses, and sessions of kind echo.
class echo_system {
 public:
  session_actor spawn(std::size_t index) {
    const auto id = engine::session_id::parse(bench::session_name(index)).value();
    return system_.spawn<caf::lazy_init>(session, id, modules_.find("echo"), session_config_);
  }
  std::size_t running() { return system_.registry().running(); }
  void wait_all_ended() { system_.registry().await_running_count_equal(0); }
  caf::actor_system& get() { return system_; }

 private:
  struct config : caf::actor_system_config {
    config() {
      set("scheduler.policy", caf::atom("sharing"));
      set("scheduler.max-threads", std::size_t{2});
      set("scheduler.max-throughput", std::size_t{50});
    }
  };
  engine::module_registry modules_ = engine::standard_modules();
  std::shared_ptr<const engine::session_config> session_config_ = std::make_shared<engine::session_config>();
  config config_;
  caf::actor_system system_{config_};
};

/// An item is a session's actor, made and ended.
void session_actor_spawn_and_passivate(benchmark::State& state) {
  constexpr std::size_t count = 1'000;
  echo_system system;
  std::vector<session_actor> actors(count);
  for (auto _ : state) {
    for (std::size_t i = 0; i < count; ++i) actors[i] = system.spawn(i);
    ROWCALL_ASSERT(system.running() == count);
    for (auto& a : actors) {
      caf::anon_send_exit(a, caf::exit_reason::user_shutdown);
      a = nullptr;
    }
    system.wait_all_ended();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(count));
}
BENCHMARK(session_actor_spawn_and_passivate)->UseRealTime();

/// One turn over loaded sessions, all decided on the calling thread. The arguments are the count of sessions and that of
/// each one's commands; an item is a command.
class deciding_turn {
 public:
  deciding_turn(std::size_t sessions, std::size_t commands) {
    turn_->outcomes.resize(sessions);
    turn_->claim.sessions.resize(sessions);
    turn_->work.sessions.resize(sessions);
    turn_->on_decided = [this](const turn_ptr&) {
      is_decided_ = true;
      is_decided_.notify_one();
    };
    for (std::size_t i = 0; i < sessions; ++i) {
      turn_->actors.push_back(system_.spawn(i));
      turn_->work.sessions[i].session = engine::session_id::parse(bench::session_name(i)).value();
      auto& claim = turn_->claim.sessions[i];
      claim.commands.assign(commands, {{}, "say", bench::command_data(i), {}});
      claim.image.emplace();
    }
    decide();  // loads the sessions
    for (auto& claim : turn_->claim.sessions) claim.image.reset();
  }

  ~deciding_turn() {
    for (const auto& a : turn_->actors) caf::anon_send_exit(a, caf::exit_reason::user_shutdown);
    turn_->actors.clear();
  }

  void decide() {
    for (std::size_t i = 0; i < turn_->actors.size(); ++i) {
      auto& cursor = turn_->work.sessions[i].cursor;
      engine::command_seq seq = cursor ? cursor->command : engine::command_seq{};
      for (auto& row : turn_->claim.sessions[i].commands) row.seq = seq = seq.next();
    }
    is_decided_ = false;
    turn_->undecided = turn_->actors.size();
    for (std::size_t i = 0; i < turn_->actors.size(); ++i)
      executor_.send(turn_->actors[i], decide_request{turn_, static_cast<std::uint32_t>(i)});
    executor_.run();
    is_decided_.wait(false);  // at once, but for an actor that its first scheduler thread had not left yet
    for (std::size_t i = 0; i < turn_->actors.size(); ++i) {
      const auto& out = turn_->outcomes[i];
      ROWCALL_ASSERT(out.kind == engine::session::outcome::status::decided && !out.writes.updates.empty());
      turn_->work.sessions[i].cursor = out.writes.after;
    }
  }

 private:
  echo_system system_;
  std::atomic<bool> is_decided_ = false;
  internal::inline_executor executor_{system_.get()};
  turn_ptr turn_ = std::make_shared<turn>();
};

void session_actor_decide_a_turn(benchmark::State& state) {
  deciding_turn t(static_cast<std::size_t>(state.range(0)), static_cast<std::size_t>(state.range(1)));
  for (auto _ : state) t.decide();
  state.SetItemsProcessed(state.iterations() * state.range(0) * state.range(1));
}
BENCHMARK(session_actor_decide_a_turn)->Args({1, 1})->Args({1'000, 1})->Args({200, 20});

}  // namespace
}  // namespace rowcall::actors
