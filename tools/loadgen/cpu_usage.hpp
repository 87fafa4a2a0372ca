#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// Who used the machine: CPU seconds by role, read from /proc (Linux).
namespace rowcall::tools::loadgen {

enum class role { engine, postgresql, nats, generator, other };
constexpr std::size_t role_count = 5;
std::string_view to_string(role r);

/// A line of /proc/<pid>/stat, the parts that matter here.
struct process_stat {
  int pid = 0, parent = 0;
  std::string name;             ///< at most 15 characters
  std::uint64_t cpu_ticks = 0;  ///< user and system
  std::uint64_t started_ticks = 0;
};
/// Nothing when the text is none.
std::optional<process_stat> parse_process_stat(std::string_view text);

/// The first line of /proc/stat, in ticks.
struct machine_stat {
  std::uint64_t busy_ticks = 0, idle_ticks = 0;
};
std::optional<machine_stat> parse_machine_stat(std::string_view text);

/// Which processes play which role: by name (rowcall, postgres, nats-server), unless a root process is named for a role:
/// then that process and its descendants.
struct role_map {
  int own_pid = 0;
  std::map<role, int> roots;
};

/// Takes samples and adds up the differences. A process that comes and goes between two samples is not seen; one that
/// ends loses its last part. One thread at a time.
class cpu_usage {
 public:
  cpu_usage(role_map roles, double ticks_per_s, int cores) : roles_(std::move(roles)), ticks_per_s_(ticks_per_s), cores_(cores) {}

  struct sample {
    std::vector<process_stat> processes;
    machine_stat machine;
  };
  /// The first sample only sets the mark.
  void add(const sample& s);

  struct totals {
    std::array<double, role_count> seconds{};  ///< by role; other: the rest of the machine's busy time
    std::array<bool, role_count> present{};
    double machine_busy_share = 0;  ///< of all cores, 0 to 1
    double elapsed_core_seconds = 0;
    int cores = 1;
    double of(role r) const { return seconds[static_cast<std::size_t>(r)]; }
    bool has(role r) const { return present[static_cast<std::size_t>(r)]; }
  };
  totals total() const;
  /// Since the sample before the last one.
  const totals& last_interval() const { return last_; }
  void reset();

 private:
  role role_of(const process_stat& p, const std::map<int, const process_stat*>& by_pid) const;
  role_map roles_;
  double ticks_per_s_;
  int cores_;
  std::map<std::pair<int, std::uint64_t>, std::uint64_t> before_;  ///< (pid, started) -> ticks
  std::optional<machine_stat> machine_before_;
  totals total_, last_;
  double busy_ticks_ = 0, all_ticks_ = 0;
};

/// Reads /proc (or a copy of one, for tests). What has just ended is left out.
cpu_usage::sample read_proc(const std::string& root = "/proc");
double ticks_per_second();
int core_count();

}  // namespace rowcall::tools::loadgen
