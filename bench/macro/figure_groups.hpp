#pragma once

#include "bench/macro/figures.hpp"
#include "bench/macro/settings.hpp"

/// The figures by group, a file each; bench/README.md defines every figure. A group empties the logs first.
namespace rowcall::bench {

// Groups that are measured in every round, next to their yardsticks.
void measure_drain(const settings& s, figures& out);
void measure_live(const settings& s, figures& out);
void measure_zipf(const settings& s, figures& out);
void measure_hot(const settings& s, figures& out);
void measure_many(const settings& s, figures& out);
void measure_single(const settings& s, figures& out);
/// At half of the live maximum, which must have been measured before.
void measure_open(const settings& s, figures& out);

// Groups that are measured once.
/// Latency percentiles at several rates, for a plot. Needs the live maximum.
void measure_load_curve(const settings& s, figures& out);
void measure_idle(const settings& s, figures& out);
void measure_memory(const settings& s, figures& out);
void measure_start(const settings& s, figures& out);
/// Needs the live maximum.
void measure_soak(const settings& s, figures& out);

}  // namespace rowcall::bench
