#include "tools/rowcall/log_limiter.hpp"

namespace rowcall::tools {

log_limiter::entry& log_limiter::entry_of(std::string_view key, time_point now) {
  auto found = entries_.find(key);
  if (found == entries_.end()) {
    if (entries_.size() >= options_.keys_max) key = {};
    found = entries_.try_emplace(std::string{key}, entry{now}).first;
  }
  auto& e = found->second;
  if (now - e.started >= options_.period) {
    if (e.left_out > 0) ended_[found->first] += e.left_out;
    e = {now};
  }
  return e;
}

bool log_limiter::admits(std::string_view key, time_point now) {
  if (options_.lines_max == 0) return true;
  auto& e = entry_of(key, now);
  if (e.written < options_.lines_max) {
    ++e.written;
    return true;
  }
  ++e.left_out;
  return false;
}

bool log_limiter::admits_one(std::string_view key, time_point now) {
  if (options_.lines_max == 0) return true;
  auto& e = entry_of(key, now);
  if (e.written > 0) return false;
  ++e.written;
  return true;
}

std::vector<log_limiter::left_out> log_limiter::take_ended(time_point now) {
  std::erase_if(entries_, [&](const auto& e) {
    if (now - e.second.started < options_.period) return false;
    if (e.second.left_out > 0) ended_[e.first] += e.second.left_out;
    return true;
  });
  std::vector<left_out> out;
  for (auto& [key, count] : ended_) out.push_back({key, count});
  ended_.clear();
  return out;
}

std::vector<log_limiter::left_out> log_limiter::take_all() { return take_ended(time_point::max()); }

}  // namespace rowcall::tools
