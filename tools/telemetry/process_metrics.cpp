#include "tools/telemetry/process_metrics.hpp"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <ctime>
#include <fstream>
#include <sstream>
#include <string>

namespace rowcall::tools {
namespace {

/// The fields of /proc/self/stat after the program's name, which may contain blanks: [0] is field 3, the state.
std::vector<std::string> stat_fields() {
  std::ifstream file("/proc/self/stat");
  std::string line;
  std::getline(file, line);
  std::vector<std::string> fields;
  const auto name_end = line.rfind(')');
  if (name_end == std::string::npos) return fields;
  std::istringstream rest(line.substr(name_end + 1));
  for (std::string field; rest >> field;) fields.push_back(field);
  return fields;
}

double seconds_of(const timeval& t) { return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6; }

double boot_time_s() {
  std::ifstream file("/proc/stat");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("btime ")) return std::stod(line.substr(6));
  return 0;
}

double open_fds() {
  DIR* folder = opendir("/proc/self/fd");
  if (folder == nullptr) return 0;
  int count = 0;
  while (const auto* entry = readdir(folder))
    if (entry->d_name[0] != '.') ++count;
  closedir(folder);
  return count - 1;  // the folder's own
}

}  // namespace

void add_process_metrics(exposition& out) {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  out.counter("process_cpu_seconds_total", "User and system CPU time of the process.",
              seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime));
  const auto fields = stat_fields();
  constexpr std::size_t threads = 17, start_ticks = 19, resident_pages = 21;  // proc(5): fields 20, 22 and 24
  if (fields.size() > resident_pages) {
    out.gauge("process_resident_memory_bytes", "Resident memory of the process.",
              std::stod(fields[resident_pages]) * static_cast<double>(sysconf(_SC_PAGESIZE)));
    out.gauge("process_threads", "Threads of the process.", std::stod(fields[threads]));
    out.gauge("process_start_time_seconds", "Start of the process, in seconds since the Unix epoch.",
              boot_time_s() + std::stod(fields[start_ticks]) / static_cast<double>(sysconf(_SC_CLK_TCK)));
  }
  out.gauge("process_open_fds", "Open file descriptors.", open_fds());
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
    out.gauge("process_max_fds", "The most file descriptors that may be open.", static_cast<double>(limit.rlim_cur));
}

}  // namespace rowcall::tools
