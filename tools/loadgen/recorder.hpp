#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "tools/loadgen/load_profile.hpp"
#include "tools/loadgen/report.hpp"

namespace rowcall::tools::loadgen {

/// Puts what happens into histograms, stages and seconds. Times are since the start of the load; a command belongs to
/// the moment at which it was meant to start, and to the measured part when that lies behind the warm-up.
/// One thread at a time.
class recorder {
 public:
  /// `is_open_loop`: the profile's rates were offered; otherwise they mean nothing.
  recorder(const load_profile& profile, bool is_open_loop, nanoseconds warm_up);

  void submitted(nanoseconds now, nanoseconds intended);
  void acknowledged(nanoseconds now, nanoseconds intended);
  void followed(nanoseconds now, nanoseconds intended);
  void rejected(nanoseconds intended);
  /// A command that was due and not sent, as too many others were on their way.
  void given_up(nanoseconds intended);
  void read(nanoseconds now, nanoseconds intended, bool ok);
  void failed(nanoseconds intended, std::string_view code);

  /// Closes the second that ends now and starts the next. `pending`: acknowledged and not followed, of all sessions.
  second_row end_second(nanoseconds now, std::uint64_t pending);
  std::uint64_t in_flight() const { return in_flight_; }

  /// Fills counts, histograms, stages, seconds and durations. `load_end`: when the last command was due, or the stop.
  void finish(report& r, nanoseconds load_end) const;

 private:
  void count_error(nanoseconds intended, std::string_view code);
  bool is_measured(nanoseconds intended) const { return intended >= warm_up_; }
  stage_report& stage_of(nanoseconds intended) { return stages_[profile_.stage_at(intended)]; }

  const load_profile& profile_;
  bool is_open_loop_;
  nanoseconds warm_up_;
  counts total_;
  std::uint64_t warm_up_commands_ = 0, in_flight_ = 0;
  std::map<std::string, std::uint64_t, std::less<>> errors_;
  histogram latency_, ack_latency_, read_latency_, send_lag_, second_latency_;
  std::vector<stage_report> stages_;
  std::vector<second_row> seconds_;
  second_row current_;
  nanoseconds last_followed_{0};
};

}  // namespace rowcall::tools::loadgen
