#pragma once

#include <cstdint>
#include <iosfwd>
#include <set>
#include <string>
#include <vector>

#include "tests/chaos/fault.hpp"
#include "tests/chaos/recovery.hpp"

namespace rowcall::chaos {

struct options {
  std::uint64_t seed = 1;
  std::chrono::seconds lasts{60};  ///< at least this long …
  std::size_t faults_min = 60;     ///< … and at least this many faults
  std::vector<fault_kind> kinds;   ///< empty: all
  std::string bug;                 ///< of the deliberately broken engine; empty: the real one
  double medians_within = 0;       ///< a kind whose median recovery is above so many times its bound fails the run; 0: none
  bool is_strict = false;  ///< a recovery beyond its bound fails the run; otherwise only one that does not come at all
  bool is_quiet = false;   ///< no line for each episode
};

struct report {
  std::vector<std::string> violations;  ///< empty: the promise was kept
  std::set<std::string> broken_rules;   ///< of the checker, by name
  std::vector<std::string> skipped;     ///< kinds that this machine does not allow, and why
  std::vector<recovery_row> rows;
  std::size_t faults = 0, episodes = 0, late = 0;
  std::size_t submits = 0, acknowledged = 0, unknown = 0, updates_followed = 0;
  std::size_t client_kills = 0, client_kills_in_submit = 0;
  double seconds = 0, drain_seconds = 0;
};

/// One run, whole: servers, engines, clients, faults, quiet, judgement. Tells what it does on `log`. A hang of any part
/// ends the process with exit code 3 and the ends of all logs.
report run(const options& o, std::ostream& log);

void print(const report& r, std::ostream& out);

}  // namespace rowcall::chaos
