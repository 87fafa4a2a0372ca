#include "bench/macro/machine.hpp"

#include <sys/utsname.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <pqxx/pqxx>

#include "engine/json.hpp"

namespace rowcall::bench {
namespace {

constexpr const char* settings_that_matter[] = {
    "shared_buffers", "synchronous_commit", "fsync",        "full_page_writes", "wal_compression", "wal_buffers",
    "max_wal_size",   "checkpoint_timeout", "commit_delay", "wal_sync_method",  "autovacuum",      "jit",
    "max_connections"};

/// The value behind the first line that starts with `key` (":" and blanks left out), as in /proc/cpuinfo.
std::string value_in(const char* file, const std::string& key) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    if (line.compare(0, key.size(), key) != 0) continue;
    const auto start = line.find_first_not_of(" \t:", key.size());
    return start == std::string::npos ? "" : line.substr(start);
  }
  return "";
}

}  // namespace

std::string describe_machine(const std::string& database_url) {
  engine::json::writer w;
  utsname system{};
  uname(&system);
  double load[1] = {0};
  getloadavg(load, 1);
  w.begin_object().key("cpu").string(value_in("/proc/cpuinfo", "model name"));
  w.key("cores").number(static_cast<std::int64_t>(sysconf(_SC_NPROCESSORS_ONLN)));
  w.key("memory_mib")
      .number(
          static_cast<std::int64_t>(std::strtoll(value_in("/proc/meminfo", "MemTotal").c_str(), nullptr, 10) / 1024));
  w.key("kernel").string(system.release);
  w.key("load_average_1m").number(load[0]);
  pqxx::connection c(database_url);
  pqxx::nontransaction t(c);
  w.key("postgresql").string(t.exec1("SHOW server_version")[0].as<std::string>());
  w.key("postgresql_settings").begin_object();
  for (const char* name : settings_that_matter)
    w.key(name).string(t.exec1("SELECT current_setting(" + t.quote(name) + ")")[0].as<std::string>());
  w.end_object().end_object();
  return std::move(w).str();
}

}  // namespace rowcall::bench
