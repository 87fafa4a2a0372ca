#include "bench/macro/engine_process.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace rowcall::bench {
namespace {

struct stat_line {
  pid_t parent = 0;
  double own_s = 0, waited_children_s = 0;
  double rss_mib = 0;
};

/// Fields of /proc/<pid>/stat, see proc(5). The command's name may hold spaces: what counts stands behind its ')'.
bool read_stat(pid_t pid, stat_line& out) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  if (!std::getline(file, line)) return false;
  std::istringstream fields(line.substr(line.rfind(')') + 2));
  std::string skip;
  long utime = 0, stime = 0, cutime = 0, cstime = 0, rss_pages = 0;
  fields >> skip >> out.parent;
  for (int i = 5; i <= 13; ++i) fields >> skip;
  fields >> utime >> stime >> cutime >> cstime;
  for (int i = 18; i <= 23; ++i) fields >> skip;
  fields >> rss_pages;
  const double tick = static_cast<double>(sysconf(_SC_CLK_TCK));
  out.own_s = static_cast<double>(utime + stime) / tick;
  out.waited_children_s = static_cast<double>(cutime + cstime) / tick;
  out.rss_mib = static_cast<double>(rss_pages) * static_cast<double>(sysconf(_SC_PAGESIZE)) / (1024 * 1024);
  return true;
}

}  // namespace

process_usage usage_of(pid_t pid) {
  stat_line s;
  if (!read_stat(pid, s)) throw std::runtime_error("process " + std::to_string(pid) + " has ended");
  return {s.own_s, s.rss_mib};
}

double peak_rss_mib_of(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(file, line);)
    if (line.rfind("VmHWM:", 0) == 0) return std::stod(line.substr(6)) / 1024;
  throw std::runtime_error("process " + std::to_string(pid) + " has ended");
}

process_usage usage_of_tree(pid_t pid) {
  stat_line root;
  if (!read_stat(pid, root)) throw std::runtime_error("process " + std::to_string(pid) + " has ended");
  process_usage sum{root.own_s + root.waited_children_s, root.rss_mib};
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const auto name = entry.path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    stat_line child;
    if (!read_stat(static_cast<pid_t>(std::stol(name)), child) || child.parent != pid) continue;
    sum.cpu_s += child.own_s;
    sum.rss_mib += child.rss_mib;
  }
  return sum;
}

engine_process::engine_process(const std::string& rowcall, const std::string& database_url, const std::string& nats_url,
                               std::vector<std::string> arguments) {
  std::vector<std::string> argv{rowcall,  "--database",  database_url, "--nats",
                                nats_url, "--log-level", "warn",       "serve"};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  pid_ = fork();
  if (pid_ < 0) throw std::runtime_error("fork failed");
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    std::vector<char*> raw;
    for (auto& a : argv) raw.push_back(a.data());
    raw.push_back(nullptr);
    execv(raw[0], raw.data());
    _exit(127);
  }
}

bool engine_process::is_running() {
  if (pid_ > 0 && waitpid(pid_, nullptr, WNOHANG) == pid_) pid_ = -1;
  return pid_ > 0;
}

engine_process::~engine_process() {
  if (!is_running()) return;
  kill(pid_, SIGTERM);
  for (int i = 0; i < 500; ++i) {
    if (waitpid(pid_, nullptr, WNOHANG) == pid_) return;
    usleep(10'000);
  }
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

}  // namespace rowcall::bench
