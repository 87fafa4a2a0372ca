#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tools/connect/connect.hpp"
#include "tools/loadgen/finish.hpp"
#include "tools/loadgen/runner.hpp"
#include "tools/loadgen/scenario.hpp"

namespace rowcall::tools::loadgen {

struct run_options {
  connection_options connection;
  scenario_options scenario;
  std::string scenario_file;
  bool has_run_name = false;          ///< given: its sessions may have a history
  std::string rate = "1000", duration = "10s", stages;
  std::string arrival;                ///< empty: what suits the scenario
  std::size_t burst_commands = 1000;
  std::size_t closed_users = 0;       ///< above 0: closed loop
  std::string think = "0s";
  bool has_random_think = false;
  std::string warm_up = "2s", drain = "30s", reconnect_every;
  std::uint64_t seed = 1, commands_max = 0;
  std::size_t in_flight_max = 200'000;
  bool gives_up = false;
  bool has_idempotency_keys = false;
  std::size_t submitters = 1, followers = 1;
  std::string poll_interval;          ///< empty: by the number of sessions
  std::vector<std::string> pids;      ///< ROLE=PID
  bool has_find_max = false;
  std::string p99_bound = "20ms", step = "5s";
  output_options output;
};

struct merge_options {
  std::vector<std::string> files;
  output_options output;
};

/// Reads the command line. Nothing: it has been answered (--help, an error), and `code` is how to end.
struct command_line {
  std::optional<run_options> run;
  std::optional<merge_options> merge;
  int code = 0;
};
command_line read_command_line(int argc, char** argv);

exit_code run(const run_options& options);
exit_code merge_files(const merge_options& options);

}  // namespace rowcall::tools::loadgen
