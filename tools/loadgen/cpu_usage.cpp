#include "tools/loadgen/cpu_usage.hpp"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

namespace rowcall::tools::loadgen {

namespace {

std::string read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return in ? text.str() : std::string{};
}

}  // namespace

std::string_view to_string(role r) {
  switch (r) {
    case role::engine: return "engine";
    case role::postgresql: return "postgresql";
    case role::nats: return "nats";
    case role::generator: return "generator";
    case role::other: return "other";
  }
  return "other";
}

std::optional<process_stat> parse_process_stat(std::string_view text) {
  // pid (name, which may hold spaces and brackets) state ppid … utime(14) stime(15) … starttime(22)
  const std::size_t open = text.find('('), close = text.rfind(')');
  if (open == std::string_view::npos || close == std::string_view::npos || close < open) return std::nullopt;
  process_stat p;
  const std::string head(text.substr(0, open));
  if (std::from_chars(head.data(), head.data() + head.size(), p.pid).ec != std::errc{}) return std::nullopt;
  p.name = text.substr(open + 1, close - open - 1);
  std::istringstream rest{std::string(text.substr(close + 1))};
  std::string field;
  std::uint64_t user = 0, system = 0;
  for (int number = 3; number <= 22; ++number) {
    if (!(rest >> field)) return std::nullopt;
    const auto read = [&](auto& value) {
      return std::from_chars(field.data(), field.data() + field.size(), value).ec == std::errc{};
    };
    const bool ok = number == 4 ? read(p.parent)
                    : number == 14 ? read(user)
                    : number == 15 ? read(system)
                    : number == 22 ? read(p.started_ticks)
                                   : true;
    if (!ok) return std::nullopt;
  }
  p.cpu_ticks = user + system;
  return p;
}

std::optional<machine_stat> parse_machine_stat(std::string_view text) {
  std::istringstream line{std::string(text.substr(0, text.find('\n')))};
  std::string name;
  if (!(line >> name) || name != "cpu") return std::nullopt;
  // user nice system idle iowait irq softirq steal (guest time is part of user)
  std::array<std::uint64_t, 8> ticks{};
  std::size_t fields = 0;
  while (fields < ticks.size() && line >> ticks[fields]) ++fields;
  if (fields < 5) return std::nullopt;
  machine_stat m;
  m.idle_ticks = ticks[3] + ticks[4];
  for (const std::size_t i : {0, 1, 2, 5, 6, 7}) m.busy_ticks += ticks[i];
  return m;
}

role cpu_usage::role_of(const process_stat& p, const std::map<int, const process_stat*>& by_pid) const {
  if (p.pid == roles_.own_pid) return role::generator;
  for (const auto& [r, root] : roles_.roots) {
    int pid = p.pid;
    for (int depth = 0; pid > 1 && depth < 64; ++depth) {
      if (pid == root) return r;
      const auto it = by_pid.find(pid);
      if (it == by_pid.end()) break;
      pid = it->second->parent;
    }
  }
  const auto named = [&](role r, std::string_view name) { return !roles_.roots.count(r) && p.name == name; };
  if (named(role::engine, "rowcall")) return role::engine;
  if (named(role::postgresql, "postgres")) return role::postgresql;
  if (named(role::nats, "nats-server")) return role::nats;
  if (named(role::generator, "rowcall-loadgen")) return role::generator;  // others that run side by side
  return role::other;
}

void cpu_usage::add(const sample& s) {
  std::map<int, const process_stat*> by_pid;
  for (const process_stat& p : s.processes) by_pid[p.pid] = &p;
  last_ = totals{};
  last_.cores = cores_;
  std::map<std::pair<int, std::uint64_t>, std::uint64_t> now;
  for (const process_stat& p : s.processes) {
    const role r = role_of(p, by_pid);
    if (r == role::other) continue;  // it is what remains of the machine's busy time
    const std::pair key{p.pid, p.started_ticks};
    now[key] = p.cpu_ticks;
    const auto it = before_.find(key);
    // A process that was not there at the sample before has used all its time since; at the first sample, none.
    const std::uint64_t from = it != before_.end() ? it->second : machine_before_ ? 0 : p.cpu_ticks;
    const double used = p.cpu_ticks > from ? static_cast<double>(p.cpu_ticks - from) / ticks_per_s_ : 0;
    const auto i = static_cast<std::size_t>(r);
    last_.seconds[i] += used;
    last_.present[i] = true;
  }
  before_ = std::move(now);
  if (machine_before_) {
    const double busy = static_cast<double>(s.machine.busy_ticks - std::min(s.machine.busy_ticks, machine_before_->busy_ticks));
    const double idle = static_cast<double>(s.machine.idle_ticks - std::min(s.machine.idle_ticks, machine_before_->idle_ticks));
    busy_ticks_ += busy;
    all_ticks_ += busy + idle;
    last_.machine_busy_share = busy + idle > 0 ? busy / (busy + idle) : 0;
    last_.elapsed_core_seconds = (busy + idle) / ticks_per_s_;
    double known = 0;
    for (std::size_t i = 0; i < role_count; ++i) known += last_.seconds[i];
    const auto other = static_cast<std::size_t>(role::other);
    last_.seconds[other] = std::max(0.0, busy / ticks_per_s_ - known);
    last_.present[other] = true;
  }
  machine_before_ = s.machine;
  for (std::size_t i = 0; i < role_count; ++i) {
    total_.seconds[i] += last_.seconds[i];
    total_.present[i] = total_.present[i] || last_.present[i];
  }
}

cpu_usage::totals cpu_usage::total() const {
  totals t = total_;
  t.cores = cores_;
  t.machine_busy_share = all_ticks_ > 0 ? busy_ticks_ / all_ticks_ : 0;
  t.elapsed_core_seconds = all_ticks_ / ticks_per_s_;
  return t;
}

void cpu_usage::reset() {
  total_ = totals{};
  busy_ticks_ = all_ticks_ = 0;
}

cpu_usage::sample read_proc(const std::string& root) {
  cpu_usage::sample s;
  if (const auto m = parse_machine_stat(read_file(std::filesystem::path(root) / "stat"))) s.machine = *m;
  std::error_code ec;
  for (const auto& entry : std::filesystem::directory_iterator(root, ec)) {
    const std::string name = entry.path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    if (auto p = parse_process_stat(read_file(entry.path() / "stat"))) s.processes.push_back(std::move(*p));
  }
  return s;
}

double ticks_per_second() { return static_cast<double>(sysconf(_SC_CLK_TCK)); }
int core_count() { return std::max(1, static_cast<int>(std::thread::hardware_concurrency())); }

}  // namespace rowcall::tools::loadgen
