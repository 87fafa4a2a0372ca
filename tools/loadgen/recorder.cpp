#include "tools/loadgen/recorder.hpp"

#include <algorithm>

namespace rowcall::tools::loadgen {

namespace {
double to_s(nanoseconds t) { return static_cast<double>(t.count()) * 1e-9; }
}  // namespace

recorder::recorder(const load_profile& profile, bool is_open_loop, nanoseconds warm_up)
    : profile_(profile), is_open_loop_(is_open_loop), warm_up_(warm_up), stages_(profile.stages().size()) {
  for (std::size_t i = 0; i < stages_.size(); ++i) {
    const stage& s = profile.stages()[i];
    stages_[i].from_s = to_s(profile.start_of(i));
    stages_[i].to_s = to_s(profile.start_of(i) + s.duration);
    stages_[i].rate_from = is_open_loop ? s.rate_from : 0;
    stages_[i].rate_to = is_open_loop ? s.rate_to : 0;
  }
}

void recorder::submitted(nanoseconds now, nanoseconds intended) {
  ++in_flight_;
  ++current_.count.submitted;
  if (!is_measured(intended)) {
    ++warm_up_commands_;
    return;
  }
  ++total_.submitted;
  ++stage_of(intended).count.submitted;
  send_lag_.record(now - intended);
}

void recorder::acknowledged(nanoseconds now, nanoseconds intended) {
  --in_flight_;
  ++current_.count.acknowledged;
  if (!is_measured(intended)) return;
  ++total_.acknowledged;
  ++stage_of(intended).count.acknowledged;
  ack_latency_.record(now - intended);
}

void recorder::followed(nanoseconds now, nanoseconds intended) {
  ++current_.count.followed;
  second_latency_.record(now - intended);
  if (!is_measured(intended)) return;
  ++total_.followed;
  last_followed_ = std::max(last_followed_, now);
  latency_.record(now - intended);
  stage_report& s = stage_of(intended);
  ++s.count.followed;
  s.latency.record(now - intended);
}

void recorder::rejected(nanoseconds intended) {
  ++current_.count.rejected;
  if (!is_measured(intended)) return;
  ++total_.rejected;
  ++stage_of(intended).count.rejected;
}

void recorder::read(nanoseconds now, nanoseconds intended, bool ok) {
  if (!ok) {
    ++current_.count.errors;
    ++total_.errors;
    ++errors_["read_failed"];
  } else if (is_measured(intended)) {
    read_latency_.record(now - intended);
  }
}

void recorder::given_up(nanoseconds intended) { count_error(intended, "given_up"); }

void recorder::failed(nanoseconds intended, std::string_view code) {
  --in_flight_;
  count_error(intended, code);
}

void recorder::count_error(nanoseconds intended, std::string_view code) {
  ++current_.count.errors;
  // An error counts wherever it happens; a run whose warm-up fails is no clean run.
  ++total_.errors;
  if (is_measured(intended)) ++stage_of(intended).count.errors;
  const auto it = errors_.find(code);
  if (it != errors_.end()) ++it->second;
  else errors_.emplace(code, 1);
}

second_row recorder::end_second(nanoseconds now, std::uint64_t pending) {
  const nanoseconds middle = now - std::chrono::milliseconds{500};
  current_.second = static_cast<std::int64_t>(seconds_.size());
  current_.offered_per_s = is_open_loop_ && middle.count() >= 0 ? profile_.rate_at(middle) : 0;
  current_.warm_up = middle < warm_up_;
  current_.in_flight = in_flight_;
  current_.pending = pending;
  current_.p50_ms = to_ms(second_latency_.percentile(50));
  current_.p90_ms = to_ms(second_latency_.percentile(90));
  current_.p99_ms = to_ms(second_latency_.percentile(99));
  current_.max_ms = to_ms(second_latency_.max());
  second_latency_.reset();
  seconds_.push_back(current_);
  current_ = second_row{};
  return seconds_.back();
}

void recorder::finish(report& r, nanoseconds load_end) const {
  const nanoseconds end = std::max({load_end, last_followed_, warm_up_});
  r.count = total_;
  r.warm_up_commands = warm_up_commands_;
  r.errors_by_code = {errors_.begin(), errors_.end()};
  // Neither stored nor refused as far as anybody knows: no loss, and no success either.
  if (in_flight_ != 0) {
    r.errors_by_code["unanswered"] = in_flight_;
    r.count.errors += in_flight_;
  }
  r.latency = latency_;
  r.ack_latency = ack_latency_;
  r.read_latency = read_latency_;
  r.send_lag = send_lag_;
  r.stages = stages_;
  // A stage that was not reached, or only warmed up, is no result.
  for (stage_report& s : r.stages)
    s.measured_s = std::max(0.0, std::min(s.to_s, to_s(load_end)) - std::max(s.from_s, to_s(warm_up_)));
  std::erase_if(r.stages, [](const stage_report& s) { return s.measured_s <= 0; });
  r.seconds = seconds_;
  r.duration_s = to_s(end - warm_up_);
  r.measure_from_unix_s = r.started_unix_s + to_s(warm_up_);
  r.measure_to_unix_s = r.started_unix_s + to_s(end);
}

}  // namespace rowcall::tools::loadgen
