#include <sys/ioctl.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <iostream>
#include <random>
#include <sstream>

#include <fmt/format.h>

#include "tools/loadgen/cpu_sampler.hpp"
#include "tools/loadgen/engine_target.hpp"
#include "tools/loadgen/live_view.hpp"
#include "tools/loadgen/number.hpp"
#include "tools/loadgen/options.hpp"
#include "tools/loadgen/rate_search.hpp"
#include "tools/loadgen/stop_watcher.hpp"

namespace rowcall::tools::loadgen {

namespace {

using engine::errc;
using engine::fail;
using std::chrono::milliseconds;

/// The options as values: all that can be wrong is told before anything is sent.
struct checked_options {
  run_plan plan;
  std::string scenario_text;
  milliseconds poll_interval{0};
  role_map roles;
  nanoseconds p99_bound{0}, step{0};
  double first_rate = 0;
};

std::string new_run_name() {
  // Two processes started together must not share sessions by chance.
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  std::random_device chance;
  random_source random((static_cast<std::uint64_t>(chance()) << 32) ^ static_cast<std::uint64_t>(now.count()));
  return fmt::format("{:08x}", random.next() >> 32);
}

engine::result<checked_options> check(const run_options& o) {
  checked_options c;
  std::optional<engine::error> wrong;
  const auto duration = [&](const std::string& text) {
    const auto d = parse_duration(text);
    if (!d && !wrong) wrong = d.error();
    return d.value_or(nanoseconds{0});
  };
  run_plan& p = c.plan;
  const auto stages = parse_stages(!o.stages.empty() ? o.stages : o.duration + "@" + o.rate);
  if (!stages) return tl::make_unexpected(stages.error());
  p.stages = *stages;
  p.warm_up = duration(o.warm_up);
  p.drain_timeout = duration(o.drain);
  if (o.closed_users > 0) p.closed = closed_loop{o.closed_users, duration(o.think), o.has_random_think};
  const std::string arrival = !o.arrival.empty() ? o.arrival : o.scenario.name == "burst" ? "burst" : "fixed";
  if (arrival == "fixed") p.arrival = arrival_kind::fixed;
  else if (arrival == "poisson") p.arrival = arrival_kind::poisson;
  else if (arrival == "burst") p.arrival = arrival_kind::burst;
  else return fail(errc::invalid_argument, "--arrival: fixed, poisson or burst is expected");
  p.burst_commands = o.burst_commands;
  if (!o.reconnect_every.empty()) p.reconnect_interval = duration(o.reconnect_every);
  else if (o.scenario.name == "reconnect-storm" && o.scenario_file.empty()) p.reconnect_interval = std::chrono::seconds{5};
  p.seed = o.seed;
  p.commands_max = o.commands_max;
  p.in_flight_max = std::max<std::size_t>(1, o.in_flight_max);
  p.gives_up = o.gives_up;
  p.has_idempotency_keys = o.has_idempotency_keys;
  p.has_fresh_sessions = !o.has_run_name;
  c.p99_bound = duration(o.p99_bound);
  c.step = duration(o.step);
  c.poll_interval = !o.poll_interval.empty() ? std::chrono::duration_cast<milliseconds>(duration(o.poll_interval))
                                             : milliseconds{1000 + o.scenario.sessions / 10};
  if (wrong) return tl::make_unexpected(*wrong);
  nanoseconds total{0};
  for (const stage& s : p.stages) total += s.duration;
  if (!o.has_find_max && p.warm_up >= total)
    return fail(errc::invalid_argument, "the warm-up is as long as the load: nothing would be measured (see --warm-up)");
  if (c.poll_interval.count() <= 0) return fail(errc::invalid_argument, "--poll-interval has to be above 0");
  if (o.submitters == 0 || o.followers == 0) return fail(errc::invalid_argument, "at least one submitter and one follower");
  if (o.has_find_max) {
    if (p.closed || !o.stages.empty()) return fail(errc::invalid_argument, "--find-max goes with --rate, not with --stages or --closed");
    c.first_rate = p.stages.front().rate_from;
    if (c.first_rate < 1 || c.step < milliseconds{100}) return fail(errc::invalid_argument, "--find-max: --rate is at least 1, --step at least 100ms");
  }
  c.roles.own_pid = getpid();
  for (const std::string& text : o.pids) {
    const std::size_t at = text.find('=');
    const auto pid = at == std::string::npos ? std::nullopt : to_number(std::string_view(text).substr(at + 1));
    const std::string name = text.substr(0, at);
    if (!pid || *pid < 1) return fail(errc::invalid_argument, "--pid '" + text + "': ROLE=PID is expected");
    if (name == "engine") c.roles.roots[role::engine] = static_cast<int>(*pid);
    else if (name == "postgresql") c.roles.roots[role::postgresql] = static_cast<int>(*pid);
    else if (name == "nats") c.roles.roots[role::nats] = static_cast<int>(*pid);
    else return fail(errc::invalid_argument, "--pid '" + text + "': the role is engine, postgresql or nats");
  }
  if (const auto thresholds = parse_thresholds(o.output); !thresholds) return tl::make_unexpected(thresholds.error());
  if (!o.scenario_file.empty()) {
    std::ifstream in(o.scenario_file, std::ios::binary);
    std::ostringstream text;
    text << in.rdbuf();
    if (!in) return fail(errc::invalid_argument, "'" + o.scenario_file + "' can not be read");
    c.scenario_text = text.str();
  }
  return c;
}

std::vector<std::pair<std::string, std::string>> config_of(const run_options& o, const checked_options& c) {
  const auto text = [](auto n) { return std::to_string(n); };
  std::vector<std::pair<std::string, std::string>> all{
      {"scenario", o.scenario_file.empty() ? o.scenario.name : o.scenario_file},
      {"loop", c.plan.closed ? "closed" : "open"},
      {"run", o.scenario.run},
      {"seed", text(o.seed)},
      {"warm_up", o.warm_up},
      {"drain", o.drain},
      {"count", text(o.commands_max)},
      {"submitters", text(o.submitters)},
      {"followers", text(o.followers)},
      {"poll_interval_ms", text(c.poll_interval.count())},
      {"in_flight_max", text(o.in_flight_max)},
      {"gives_up", o.gives_up ? "yes" : "no"},
      {"idempotency_keys", o.has_idempotency_keys ? "yes" : "no"},
      {"database", without_password(o.connection.database_url)},
      {"nats", without_password(o.connection.nats_url)},
      {"subject_prefix", o.connection.subject_prefix}};
  if (!o.scenario_file.empty()) all.emplace_back("scenario_file", c.scenario_text);
  if (o.scenario.name == "chat" && o.scenario_file.empty()) {
    all.insert(all.end(), {{"room_users", text(o.scenario.room_users)}, {"mix", o.scenario.mix}});
  } else {
    all.emplace_back("sessions", text(o.scenario.sessions));
    if (o.scenario.name == "churn" && o.scenario_file.empty())
      all.emplace_back("session_commands", text(o.scenario.session_commands));
  }
  all.insert(all.end(), {{"chat_users", text(o.scenario.users)}, {"keys", o.scenario.keys}, {"size", o.scenario.size}});
  if (c.plan.closed) {
    all.insert(all.end(), {{"users", text(o.closed_users)},
                           {"think", o.think},
                           {"think_random", o.has_random_think ? "yes" : "no"},
                           {"duration", o.duration}});
  } else if (o.has_find_max) {
    all.insert(all.end(), {{"p99_bound", o.p99_bound}, {"step", o.step}, {"first_rate", o.rate}});
  } else {
    constexpr std::string_view arrivals[] = {"fixed", "poisson", "burst"};
    all.emplace_back("arrival", arrivals[static_cast<std::size_t>(c.plan.arrival)]);
    all.emplace_back("stages", !o.stages.empty() ? o.stages : o.duration + "@" + o.rate);
    if (c.plan.arrival == arrival_kind::burst) all.emplace_back("burst", text(o.burst_commands));
  }
  if (c.plan.reconnect_interval.count() > 0)
    all.emplace_back("reconnect_every_ms", text(c.plan.reconnect_interval.count() / 1'000'000));
  return all;
}

engine::result<std::unique_ptr<scenario>> scenario_of(const run_options& o, const checked_options& c, const std::string& run) {
  scenario_options s = o.scenario;
  s.run = run;
  return o.scenario_file.empty() ? make_scenario(s) : load_scenario(c.scenario_text, s);
}

/// Of stderr, asked anew each time: a window changes its size. 0: it does not say.
std::size_t terminal_columns() {
  winsize size{};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

exit_code say(const engine::error& e) {
  std::cerr << "rowcall-loadgen: " << e.message << '\n';
  return e.code == errc::invalid_argument ? exit_code::usage : exit_code::failed;
}

}  // namespace

exit_code run(const run_options& given) {
  run_options o = given;
  if (!o.has_run_name) o.scenario.run = new_run_name();
  auto checked = check(o);
  if (!checked) return say(checked.error());
  // Made once before anything is connected: a fault in it is a fault of the command line.
  if (const auto s = scenario_of(o, *checked, o.scenario.run); !s) return say(s.error());

  stop_watcher signals;
  if (const auto ready = check_database(o.connection); !ready) return say(ready.error());
  std::vector<std::unique_ptr<engine::bus>> buses;
  for (std::size_t i = 0; i < o.followers; ++i) {
    auto bus = open_bus(o.connection, "loadgen");
    if (!bus) return say(bus.error());
    buses.push_back(std::move(*bus));
  }
  if (!wait_connected(*buses.front(), o.connection.connect_timeout))
    return say({errc::unavailable, "NATS at " + without_password(o.connection.nats_url) + " does not answer (see --nats)"});

  engine_target_config means;
  auto store_config = store_config_of(o.connection, "loadgen");
  means.make_command_store = [=] { return storage::postgres::make_command_store(store_config); };
  means.make_update_store = [=] { return storage::postgres::make_update_store(store_config); };
  for (const auto& bus : buses) means.buses.push_back(bus.get());
  means.submitters = o.submitters;
  means.followers = o.followers;
  means.poll_interval = checked->poll_interval;
  // The runner's own bound comes first, so that a full queue never looks like a busy engine.
  means.submitter.queue_commands_max = checked->plan.in_flight_max + 1;
  engine_target target(means);
  steady_timeline time;
  cpu_sampler cpu;

  run_observers observers;
  observers.roles = checked->roles;
  observers.sample_cpu = [&cpu](bool fresh) { return cpu.take(fresh); };
  const bool is_terminal = isatty(STDERR_FILENO) == 1;
  bool has_drawn = false;
  if (!o.output.is_quiet)
    observers.on_second = [&](const progress& p) {
      std::cerr << (is_terminal ? progress_table(p, std::exchange(has_drawn, true), terminal_columns())
                                : progress_line(p))
                << std::flush;
    };

  const auto run_once = [&](const run_plan& plan, const std::string& name) -> engine::result<report> {
    auto s = scenario_of(o, *checked, name);
    if (!s) return tl::make_unexpected(s.error());
    run_plan named = plan;
    // A key that an earlier run of this name used would bring its command back instead of storing a new one.
    named.run = name + "." + new_run_name();
    runner load(named, **s, target, time, observers);
    signals.tell([&load] { load.stop(); });
    if (signals.signals() > 0) load.stop();
    auto r = load.run();
    signals.tell({});
    return r;
  };

  if (!o.has_find_max) {
    auto r = run_once(checked->plan, o.scenario.run);
    if (!r) return say(r.error());
    r->config = config_of(o, *checked);
    return finish(*r, o.output);
  }

  rate_search search(checked->first_rate);
  std::optional<report> best, last;
  std::vector<search_step> steps;
  findings all;
  while (const auto rate = search.next()) {
    run_plan plan = checked->plan;
    plan.warm_up = checked->step / 5;
    plan.stages = {{checked->step + plan.warm_up, *rate, *rate}};
    auto r = run_once(plan, fmt::format("{}x{}", o.scenario.run.substr(0, 20), steps.size()));
    if (!r) return say(r.error());
    all.lost += r->found.lost;
    all.duplicated += r->found.duplicated;
    all.reordered += r->found.reordered;
    all.gaps += r->found.gaps;
    all.examples.insert(all.examples.end(), r->found.examples.begin(), r->found.examples.end());
    last = *r;
    if (r->interrupted) break;
    steps.push_back(judge(*rate, *r, {.p99_ms = to_ms(checked->p99_bound)}));
    const search_step& s = steps.back();
    if (!o.output.is_quiet) {
      std::cerr << fmt::format("{:.0f}/s: {:.0f}/s followed, p99 {:.3f} ms: {}\n", s.rate, s.throughput_per_s, s.p99_ms,
                               s.held ? "held" : s.why);
      has_drawn = false;
    }
    search.tell(s.held);
    if (s.held && search.best() == rate) best = std::move(*r);
  }
  report r = best ? std::move(*best) : std::move(*last);
  r.interrupted = last->interrupted;
  r.config = config_of(o, *checked);
  r.search = std::move(steps);
  r.max_rate_per_s = search.best();
  r.found = std::move(all);
  const exit_code code = finish(r, o.output);
  return code == exit_code::ok && !r.max_rate_per_s ? exit_code::threshold : code;
}

}  // namespace rowcall::tools::loadgen
