#pragma once

#include "bench/macro/settings.hpp"
#include "tools/loadgen/report.hpp"
#include "tools/loadgen/runner.hpp"

namespace rowcall::bench {

/// W's sessions at a fixed rate, latency from the intended start, every update verified: rowcall-loadgen's runner in
/// this process. `stages` are measured apart from each other, the warm-up is the first one's beginning. Throws when
/// something was lost, duplicated, reordered or skipped, or a command failed.
tools::loadgen::report open_loop(const settings& s, std::vector<tools::loadgen::stage> stages, double warm_up_s);
/// One stage of `length_s` behind the usual warm-up.
tools::loadgen::report open_loop(const settings& s, double rate, double length_s);

}  // namespace rowcall::bench
