#include <fmt/format.h>

#include "tools/loadgen/report.hpp"

namespace rowcall::tools::loadgen {

std::string to_csv(const report& r) {
  std::string out =
      "second,warm_up,offered_per_s,submitted,acknowledged,followed,rejected,errors,in_flight,pending,p50_ms,p90_ms,p99_ms,"
      "max_ms,cpu_engine,cpu_postgresql,cpu_nats,cpu_generator\n";
  for (const second_row& s : r.seconds)
    out += fmt::format("{},{},{:.3f},{},{},{},{},{},{},{},{:.3f},{:.3f},{:.3f},{:.3f},{:.3f},{:.3f},{:.3f},{:.3f}\n", s.second,
                       s.warm_up ? 1 : 0, s.offered_per_s, s.count.submitted, s.count.acknowledged, s.count.followed,
                       s.count.rejected, s.count.errors, s.in_flight, s.pending, s.p50_ms, s.p90_ms, s.p99_ms, s.max_ms,
                       s.cpu_engine, s.cpu_postgresql, s.cpu_nats, s.cpu_generator);
  return out;
}

}  // namespace rowcall::tools::loadgen
