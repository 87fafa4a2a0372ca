#include "bench/macro/open_loop.hpp"

#include <chrono>
#include <future>
#include <stdexcept>
#include <string>

#include "bench/macro/live_clients.hpp"
#include "tools/loadgen/engine_target.hpp"
#include "tools/loadgen/scenario.hpp"

namespace rowcall::bench {
namespace {

std::chrono::nanoseconds from_s(double s) { return std::chrono::nanoseconds{static_cast<std::int64_t>(s * 1e9)}; }

}  // namespace

tools::loadgen::report open_loop(const settings& s, std::vector<tools::loadgen::stage> stages, double warm_up_s) {
  namespace load = tools::loadgen;
  const auto bus = connect_bus(s);
  load::engine_target_config means;
  const auto store = store_config_of(s);
  means.make_command_store = [store] { return storage::postgres::make_command_store(store); };
  means.make_update_store = [store] { return storage::postgres::make_update_store(store); };
  means.buses = {bus.get()};
  load::run_plan plan;
  plan.stages = std::move(stages);
  plan.warm_up = from_s(warm_up_s);
  plan.seed = s.seed;
  means.submitter.queue_commands_max = plan.in_flight_max + 1;
  load::engine_target target(means);
  load::scenario_options w;
  w.sessions = s.w.sessions;
  const auto scenario = load::make_scenario(w).value();
  // On a thread of its own, because the timeline asks for precise timers in its thread and the engines that the calling
  // thread starts would inherit that.
  auto r = std::async(std::launch::async, [&] {
             load::steady_timeline time;
             return load::runner(plan, *scenario, target, time).run();
           }).get();
  if (!r) throw std::runtime_error(r.error().message);
  const auto& f = r->found;
  if (f.lost + f.duplicated + f.reordered + f.gaps + r->count.errors > 0)
    throw std::runtime_error("open loop: " + std::to_string(f.lost) + " lost, " + std::to_string(f.duplicated) +
                             " duplicated, " + std::to_string(f.reordered) + " reordered, " + std::to_string(f.gaps) +
                             " gaps, " + std::to_string(r->count.errors) + " errors");
  return *std::move(r);
}

tools::loadgen::report open_loop(const settings& s, double rate, double length_s) {
  return open_loop(s, {{from_s(s.open_warm_up_s + length_s), rate, rate}}, s.open_warm_up_s);
}

}  // namespace rowcall::bench
