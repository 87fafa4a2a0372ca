#include <sys/time.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <string>

#include "tests/simulation/simulation.hpp"

namespace rowcall::simulation {
namespace {

char running_text[64] = "simulation: no seed\n";

/// Of processor time. A run takes milliseconds, and is bounded in its steps and store calls; code may go round in
/// circles without either.
constexpr time_t run_max_s = 30;

void tell_seed(int) {
  if (write(STDERR_FILENO, running_text, std::char_traits<char>::length(running_text)) < 0) _exit(3);
}

void tell_seed_and_end(int signal) {
  tell_seed(signal);
  _exit(128 + signal);
}

}  // namespace

report simulate_watched(const options& o) {
  std::snprintf(running_text, sizeof running_text, "simulation: died in seed %llu\n",
                static_cast<unsigned long long>(o.seed));
  std::signal(SIGABRT, tell_seed);
  std::signal(SIGSEGV, tell_seed_and_end);
  std::signal(SIGVTALRM, tell_seed_and_end);
  itimerval watch{{}, {run_max_s, 0}};
  setitimer(ITIMER_VIRTUAL, &watch, nullptr);
  auto result = simulate(o);
  watch.it_value.tv_sec = 0;
  setitimer(ITIMER_VIRTUAL, &watch, nullptr);
  return result;
}

}  // namespace rowcall::simulation
