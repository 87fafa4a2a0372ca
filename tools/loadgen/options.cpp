#include "tools/loadgen/options.hpp"

#include <CLI/CLI.hpp>
#include <iostream>

#include "tools/connect/command_line.hpp"

namespace rowcall::tools::loadgen {

namespace {

void add_output(CLI::App& app, output_options& o) {
  app.add_option("--json", o.json, "write the report as JSON (- is stdout)")->type_name("FILE")->group("Report");
  app.add_option("--csv", o.csv, "write one row a second as CSV")->type_name("FILE")->group("Report");
  app.add_option("--html", o.html, "write a self-contained page with plots")->type_name("FILE")->group("Report");
  app.add_option("--fail-if", o.fail_if, "fail when it holds: 'p99>20ms', 'lost>0', 'throughput<5000'; repeatable")
      ->type_name("CONDITION")
      ->group("Report");
  app.add_flag("-q,--quiet", o.is_quiet, "no live view and no summary")->group("Report");
}

constexpr const char* footer =
    "Exit codes: 0 passed; 1 operating error; 2 invalid command line; 6 something was lost, duplicated, reordered or\n"
    "skipped; 7 a --fail-if condition was met, or --find-max found no rate that holds.\n"
    "Durations: 250ms, 10s, 5m. Latency is counted from the intended start of a command to its update at a follower.";

}  // namespace

command_line read_command_line(int argc, char** argv) {
  CLI::App app{"Puts load on Rowcall and verifies that every acknowledged command is answered exactly once, in order.",
               "rowcall-loadgen"};
  app.footer(footer);
  run_options o;
  merge_options m;
  add_connection_options(app, o.connection);
  const char* load = "Load";
  app.add_option("--rate", o.rate, "commands a second, or a ramp FROM..TO")->capture_default_str()->group(load);
  app.add_option("--duration", o.duration, "how long")->capture_default_str()->group(load);
  app.add_option("--stages", o.stages, "instead of both: 10s@1000,30s@1000..5000")->group(load);
  app.add_option("--arrival", o.arrival, "fixed, poisson or burst (default: fixed; burst for that scenario)")->group(load);
  app.add_option("--burst", o.burst_commands, "commands of one burst")->capture_default_str()->group(load);
  app.add_option("--closed", o.closed_users, "closed loop with so many users, instead of the open loop")->group(load);
  app.add_option("--think", o.think, "closed loop: time from an answer to the next command")->capture_default_str()->group(load);
  app.add_flag("--think-random", o.has_random_think, "closed loop: exponential think times around --think")->group(load);
  app.add_option("--warm-up", o.warm_up, "left out of the figures")->capture_default_str()->group(load);
  app.add_option("--drain", o.drain, "wait so long for answers after the load, without any coming")
      ->capture_default_str()
      ->group(load);
  app.add_option("--count", o.commands_max, "end after so many commands (0: by time only)")->group(load);
  app.add_option("--in-flight-max", o.in_flight_max, "not acknowledged at a time; beyond it the generator waits")
      ->capture_default_str()
      ->group(load);
  app.add_flag("--give-up", o.gives_up, "beyond --in-flight-max, leave commands out (errors: given_up) instead of waiting")
      ->group(load);
  app.add_flag("--find-max", o.has_find_max, "search the highest rate that keeps --p99, from --rate on")->group(load);
  app.add_option("--p99", o.p99_bound, "find-max: bound of the 99th percentile")->capture_default_str()->group(load);
  app.add_option("--step", o.step, "find-max: length of one trial")->capture_default_str()->group(load);

  const char* what = "Scenario";
  app.add_option("--scenario", o.scenario.name, "echo, chat, burst, churn or reconnect-storm")->capture_default_str()->group(what);
  app.add_option("--scenario-file", o.scenario_file, "a mix of one's own (JSON, see tools/loadgen/README.md)")->group(what);
  app.add_option("--sessions", o.scenario.sessions, "sessions (churn: alive at a time)")->capture_default_str()->group(what);
  app.add_option("--keys", o.scenario.keys, "uniform, sequential, zipf:EXPONENT or hot:SHARE")->capture_default_str()->group(what);
  app.add_option("--size", o.scenario.size, "bytes of a text: 80, 50..500, lognormal:100,0.5, exponential:100")
      ->capture_default_str()
      ->group(what);
  app.add_option("--session-commands", o.scenario.session_commands, "churn: commands in a session's life")
      ->capture_default_str()
      ->group(what);
  app.add_option("--chat-users", o.scenario.users, "chat: users")->capture_default_str()->group(what);
  app.add_option("--room-users", o.scenario.room_users, "chat: members of a room")->capture_default_str()->group(what);
  app.add_option("--mix", o.scenario.mix, "chat: weights of the actions")->capture_default_str()->group(what);
  app.add_option("--reconnect-every", o.reconnect_every, "all followers go and come back this often (reconnect-storm: 5s)")
      ->group(what);
  app.add_option("--seed", o.seed, "two runs with one seed send the same commands")->capture_default_str()->group(what);
  auto* run_name = app.add_option("--run", o.scenario.run, "name in the session ids (default: a new one, so that the sessions "
                                                           "are new; a name used before goes on with its sessions)")
                       ->default_str("")
                       ->group(what);
  app.add_flag("--idempotency-keys", o.has_idempotency_keys, "a key for each command: survives commits in doubt")->group(what);

  const char* means = "Means";
  app.add_option("--submitters", o.submitters, "connections that submit")->capture_default_str()->group(means);
  app.add_option("--followers", o.followers, "threads that follow, each with a connection")->capture_default_str()->group(means);
  app.add_option("--poll-interval", o.poll_interval, "followers look at the database this often, should a notice be lost "
                                                     "(default: 1 s, and 1 s more for each 10,000 sessions)")
      ->group(means);
  app.add_option("--pid", o.pids, "engine=PID, postgresql=PID or nats=PID: whose CPU to count (default: by process name)")
      ->group(means);
  add_output(app, o.output);

  auto* merge = app.add_subcommand("merge", "put the JSON reports of several processes together");
  merge->add_option("files", m.files, "reports written with --json")->required()->type_name("FILE");
  add_output(*merge, m.output);
  merge->footer(footer);
  finish_options(app, "ROWCALL_LOADGEN");

  command_line c;
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) {
      c.code = app.exit(e);
      return c;
    }
    const auto fault = fault_of(app, e, {argv + 1, argv + argc});
    std::cerr << "rowcall-loadgen: " << fault.message << "\nSee `rowcall-loadgen" << (fault.command.empty() ? "" : " ")
              << fault.command << " --help`.\n";
    c.code = static_cast<int>(exit_code::usage);
    return c;
  }
  o.has_run_name = run_name->count() > 0;
  if (merge->parsed()) c.merge = std::move(m);
  else c.run = std::move(o);
  return c;
}

}  // namespace rowcall::tools::loadgen
