#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace rowcall::bench {

/// CPU seconds used so far and resident memory, from /proc.
struct process_usage {
  double cpu_s = 0;
  double rss_mib = 0;
};
process_usage usage_of(pid_t pid);
/// The most that was ever resident.
double peak_rss_mib_of(pid_t pid);
/// Of the process and its children: a postmaster and its backends (those that have ended count too).
process_usage usage_of_tree(pid_t pid);

/// `rowcall serve` as a child process. Killed by the destructor.
class engine_process {
 public:
  engine_process(const std::string& rowcall, const std::string& database_url, const std::string& nats_url,
                 std::vector<std::string> arguments = {});
  engine_process(const engine_process&) = delete;
  ~engine_process();
  pid_t pid() const { return pid_; }
  bool is_running();

 private:
  pid_t pid_ = -1;
};

}  // namespace rowcall::bench
