#pragma once

#include <sys/types.h>

#include <cstdint>
#include <set>
#include <string>

#include "bench/macro/yardsticks.hpp"

namespace rowcall::bench {

/// What the command line of rowcall-bench says. The sizes are those of the figures' definitions (bench/README.md); the
/// others are for a quick look, and for the test that keeps every figure alive.
struct settings {
  std::string database, nats;           ///< servers that may be emptied
  std::string subject_prefix;           ///< empty: the default
  std::string rowcall;                  ///< the engine's program
  pid_t postgres = 0, nats_server = 0;  ///< 0: their CPU is not counted, the shares are left out
  std::set<std::string> only;           ///< groups; empty: all but the soak
  int rounds = 3;
  work w;                               ///< W: drain and live
  std::size_t many_sessions = 100'000;  ///< of the Zipf and the uniform figure
  std::size_t singles = 2'000;          ///< commands one at a time
  double open_s = 10;                   ///< length of an open loop at one rate, after open_warm_up_s
  double open_warm_up_s = 2;
  double idle_s = 10;
  std::size_t idle_sessions = 10'000;
  std::size_t visited_sessions = 1'000'000;  ///< memory
  std::size_t active_sessions = 90'000;      ///< memory; an engine lets idle ones go early beyond 100,000
  double passivate_s = 3;                    ///< memory: when an idle session leaves
  std::size_t start_commands = 1'000'000, start_sessions = 100'000;
  double soak_s = 600;
  double soak_share = 0.7;  ///< its rate, as a share of live
  std::uint64_t seed = 1;  ///< of the keys
  std::string commit;      ///< what is measured, for the report
  std::string output;      ///< file; empty: stdout
};

}  // namespace rowcall::bench
