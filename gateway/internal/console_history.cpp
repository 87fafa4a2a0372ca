#include "gateway/internal/console_history.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace rowcall::gateway::internal {
namespace {

using engine::console_node;
using engine::node_totals;
using std::chrono::duration_cast;
using std::chrono::milliseconds;

constexpr int first_bucket_power = 5;

/// b - a, for each bucket.
std::vector<std::int64_t> difference(const std::vector<std::int64_t>& a, const std::vector<std::int64_t>& b) {
  auto out = b;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) out[i] = std::max<std::int64_t>(0, b[i] - a[i]);
  return out;
}

void add(std::vector<std::int64_t>& sum, const std::vector<std::int64_t>& counts) {
  sum.resize(std::max(sum.size(), counts.size()));
  for (std::size_t i = 0; i < counts.size(); ++i) sum[i] += counts[i];
}

std::optional<console_sample::quantiles> quantiles_of(const std::vector<std::int64_t>& counts) {
  const auto p50 = quantile_us(counts, 0.5), p99 = quantile_us(counts, 0.99);
  if (!p50 || !p99) return std::nullopt;
  return console_sample::quantiles{*p50, *p99};
}

}  // namespace

std::optional<std::int64_t> quantile_us(const std::vector<std::int64_t>& counts, double q) {
  const auto total = std::accumulate(counts.begin(), counts.end(), std::int64_t{0});
  if (total <= 0) return std::nullopt;
  const double rank = q * static_cast<double>(total);
  double below = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const auto here = static_cast<double>(counts[i]);
    if (below + here >= rank && here > 0) {
      // From half the bound to the bound, evenly on a logarithmic scale.
      const double power = first_bucket_power + static_cast<double>(i) - 1 + (rank - below) / here;
      return static_cast<std::int64_t>(std::llround(std::exp2(power)));
    }
    below += here;
  }
  return std::nullopt;
}

void console_history::add(engine::console_overview look) {
  // Numbers of transactions and times only go on, unless the database is another one.
  if (last_ && (look.xid < last_->xid || look.at <= last_->at)) {
    samples_.clear();
    last_.reset();
  }
  if (!last_) {
    last_ = std::move(look);
    return;
  }
  console_sample s;
  s.number = ++count_;
  s.at = look.at;
  s.span = look.at - last_->at;
  s.pending = look.pending_commands;
  s.oldest_pending_ms = look.oldest_pending_age.count();
  s.retrying = look.retrying;
  s.dead = look.dead;
  s.began_xid = last_->xid;
  std::vector<std::int64_t> wait, turn;
  for (const auto& node : look.nodes) {
    const auto before = std::find_if(last_->nodes.begin(), last_->nodes.end(),
                                     [&](const console_node& n) { return n.info.node == node.info.node; });
    node_totals then;
    if (before != last_->nodes.end())
      then = before->totals;
    else if (duration_cast<std::chrono::microseconds>(node.info.uptime) > s.span + std::chrono::seconds{5})
      continue;  // it was silent for a while: when it did what it has done is not known
    const auto& now = node.totals;
    const auto grown = [](std::int64_t a, std::int64_t b) { return std::max<std::int64_t>(0, b - a); };
    s.turns += grown(then.turns, now.turns);
    s.commands += grown(then.commands, now.commands);
    s.updates += grown(then.updates, now.updates);
    s.retries += grown(then.retries, now.retries);
    s.dead_letters += grown(then.dead_letters, now.dead_letters);
    s.lost_wakes += grown(then.lost_wakes, now.lost_wakes);
    internal::add(wait, difference(then.wait_counts, now.wait_counts));
    internal::add(turn, difference(then.turn_counts, now.turn_counts));
  }
  s.wait = quantiles_of(wait);
  s.turn = quantiles_of(turn);
  samples_.push_back(s);
  while (s.at - samples_.front().at > kept_) samples_.pop_front();
  last_ = std::move(look);
}

console_history::window console_history::recent(std::int64_t commands_max, milliseconds length_max) const {
  window w;
  if (!last_) return w;
  w.since_xid = last_->xid;
  std::int64_t commands = 0;
  for (auto s = samples_.rbegin(); s != samples_.rend(); ++s) {
    commands += s->commands;
    const auto began = s->at - s->span;
    if (s != samples_.rbegin() && (commands > commands_max || last_->at - began > length_max)) break;
    w.length = duration_cast<milliseconds>(last_->at - began);
    w.since_xid = s->began_xid;
  }
  return w;
}

}  // namespace rowcall::gateway::internal
