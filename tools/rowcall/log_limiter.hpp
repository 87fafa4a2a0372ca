#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace rowcall::tools {

/// Keeps a fault from flooding the log: of the lines with the same key, it admits the first few of each period and
/// counts the rest. Pure: the time is the caller's. One thread at a time.
class log_limiter {
 public:
  using time_point = std::chrono::steady_clock::time_point;

  struct options {
    std::size_t lines_max = 10;  ///< of a key in a period; 0 = no limit
    std::chrono::milliseconds period{10'000};
    std::size_t keys_max = 256;  ///< further keys share one limit
  };
  explicit log_limiter(options o) : options_(o) {}

  /// Whether a line with this key is to be written now.
  bool admits(std::string_view key, time_point now);
  /// The same for what a loop says again and again while it waits: one line with this key in a period, and the others
  /// are not counted, since they say nothing else.
  bool admits_one(std::string_view key, time_point now);

  struct left_out {
    std::string key;  ///< empty: of several
    std::uint64_t count = 0;
  };
  /// What was left out in the periods that have ended since the last call.
  std::vector<left_out> take_ended(time_point now);
  /// The same, whether they have ended or not: at the end.
  std::vector<left_out> take_all();

 private:
  struct entry {
    time_point started{};
    std::size_t written = 0;
    std::uint64_t left_out = 0;
  };
  entry& entry_of(std::string_view key, time_point now);

  options options_;
  std::map<std::string, entry, std::less<>> entries_;
  std::map<std::string, std::uint64_t, std::less<>> ended_;
};

}  // namespace rowcall::tools
