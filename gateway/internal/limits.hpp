#pragma once

#include <algorithm>
#include <chrono>
#include <string>
#include <unordered_map>

namespace rowcall::gateway::internal {

/// Token buckets by name (a user, an address). Pure: time comes in. Bounded: the idle are forgotten.
class rate_limit {
 public:
  using time_point = std::chrono::steady_clock::time_point;
  rate_limit(double per_s, double burst) : per_s_(per_s), burst_(burst) {}

  /// Takes `amount` when it is there. An amount above the burst never is.
  bool take(const std::string& name, double amount, time_point now) {
    auto [it, is_new] = buckets_.try_emplace(name, bucket{burst_, now});
    refill(it->second, now);
    if (it->second.level < amount) return false;
    it->second.level -= amount;
    return true;
  }
  /// Drops full buckets; to be called now and then.
  void tidy(time_point now) {
    for (auto it = buckets_.begin(); it != buckets_.end();) {
      refill(it->second, now);
      it = it->second.level >= burst_ ? buckets_.erase(it) : std::next(it);
    }
  }
  std::size_t size() const { return buckets_.size(); }

 private:
  struct bucket {
    double level;
    time_point at;
  };
  void refill(bucket& b, time_point now) const {
    b.level = std::min(burst_, b.level + per_s_ * std::chrono::duration<double>(now - b.at).count());
    b.at = now;
  }
  const double per_s_, burst_;
  std::unordered_map<std::string, bucket> buckets_;
};

}  // namespace rowcall::gateway::internal
