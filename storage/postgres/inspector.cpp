#include "storage/postgres/inspector.hpp"

#include <algorithm>
#include <array>
#include <map>

#include "storage/postgres/internal/call.hpp"
#include "storage/postgres/internal/link.hpp"
#include "storage/postgres/internal/rows.hpp"
#include "storage/postgres/internal/schema_objects.hpp"
#include "storage/postgres/internal/sql.hpp"

namespace rowcall::storage::postgres {
namespace {

using namespace engine;
using internal::call;
using std::chrono::duration_cast;
using std::chrono::microseconds;

result<void> read_settings(internal::link& link, inspection& out) {
  auto rows = link.exec(call("inspect_settings").str());
  if (!rows) return tl::make_unexpected(rows.error());
  std::map<std::string, std::string, std::less<>> values;
  for (const auto& row : *rows) values.emplace(internal::string(row[0]), internal::string(row[1]));
  const auto text = [&](std::string_view name) {
    const auto found = values.find(name);
    ROWCALL_ASSERT(found != values.end());
    return found->second;
  };
  const auto number = [&](std::string_view name) { return std::strtoll(text(name).c_str(), nullptr, 10); };
  out.version_num = static_cast<int>(number("version_num"));
  out.version = text("version").substr(0, text("version").find(' '));
  out.encoding = text("encoding");
  out.is_standby = text("is_standby") == "true";
  out.fsync = text("fsync");
  out.full_page_writes = text("full_page_writes");
  out.synchronous_commit = text("synchronous_commit");
  out.autovacuum = text("autovacuum") == "on";
  out.track_counts = text("track_counts") == "on";
  out.connections_max = static_cast<int>(number("connections_max"));
  out.connections_used = static_cast<int>(number("connections_used"));
  out.role_connections_max = static_cast<int>(number("role_connections_max"));
  out.role_connections_used = static_cast<int>(number("role_connections_used"));
  out.xid_age = number("xid_age");
  out.multixact_age = number("multixact_age");
  out.sees_all = text("sees_all") == "true";
  return {};
}

/// The fastest of a few round trips bounds the offset best: the answer was made somewhere within it.
result<void> read_clock(internal::link& link, inspection& out) {
  std::array<microseconds, 5> trips{};
  auto best = microseconds::max();
  for (auto& trip : trips) {
    const auto sent = std::chrono::steady_clock::now();
    const auto sent_at = std::chrono::system_clock::now();
    auto rows = link.exec(call("inspect_clock").str());
    if (!rows) return tl::make_unexpected(rows.error());
    trip = duration_cast<microseconds>(std::chrono::steady_clock::now() - sent);
    if (trip >= best) continue;
    best = trip;
    const microseconds theirs{internal::number((*rows)[0][0])};
    const auto ours = duration_cast<microseconds>(sent_at.time_since_epoch()) + trip / 2;
    out.clock_ahead = theirs - ours;
    out.clock_unsure = trip / 2;
  }
  std::nth_element(trips.begin(), trips.begin() + trips.size() / 2, trips.end());
  out.round_trip = trips[trips.size() / 2];
  return {};
}

result<void> read_objects(internal::link& link, inspection& out) {
  auto rows = link.exec(call("inspect_objects").str());
  if (!rows) return tl::make_unexpected(rows.error());
  std::set<schema_object> there;
  for (const auto& row : *rows) {
    schema_object object{internal::string(row[0]), internal::string(row[1])};
    if (internal::text(row[2]) != "t") out.invalid.push_back(object);
    if (internal::text(row[3]) == "t") out.tables_without_autovacuum.push_back(object.name);
    there.insert(std::move(object));
  }
  if (!there.contains({"table", "migrations"})) return {};  // no schema: that is another finding
  auto applied = link.exec("SELECT version FROM rowcall.migrations");
  if (!applied) return tl::make_unexpected(applied.error());
  std::set<int> versions;
  for (const auto& row : *applied) versions.insert(static_cast<int>(internal::number(row[0])));
  internal::schema_objects expected;
  for (const auto& m : internal::migrations())
    if (versions.contains(m.version)) expected.apply(m.up);
  for (const auto& object : expected.all())
    if (!there.contains(object)) out.missing.push_back(object);
  return {};
}

result<void> read_holders(internal::link& link, std::chrono::seconds age_min, inspection& out) {
  auto rows = link.exec(call("inspect_holders").number(age_min.count()).str());
  if (!rows) return tl::make_unexpected(rows.error());
  for (const auto& row : *rows)
    out.holders.push_back(
        {internal::string(row[0]), internal::string(row[1]), std::chrono::seconds{internal::number(row[2])}});
  return {};
}

result<void> read_committers(internal::link& link, inspection& out) {
  auto rows = link.exec(call("inspect_commit").str());
  if (!rows) return tl::make_unexpected(rows.error());
  for (const auto& row : *rows) out.asynchronous_committers.push_back(internal::string(row[0]));
  return {};
}

constexpr std::int64_t sessions_looked_at_max = 100'000, damaged_found_max = 5;

}  // namespace

result<std::vector<damaged_session>> find_damaged_sessions(const store_config& config) {
  internal::link link(config, {"inspect_logs"});
  auto rows = link.exec(call("inspect_logs").number(sessions_looked_at_max).number(damaged_found_max).str());
  if (!rows) return tl::make_unexpected(rows.error());
  std::vector<damaged_session> out;
  for (const auto& row : *rows)
    out.push_back({internal::string(row[0]), internal::number(row[1]), internal::number(row[2]),
                   row[3].is_null() ? std::nullopt : std::optional{internal::number(row[3])}});
  return out;
}

result<kept_rows> find_kept_rows(const store_config& config, std::chrono::seconds older_than) {
  internal::link link(config, {"inspect_kept"});
  auto rows = link.exec(call("inspect_kept").number(older_than.count()).number(sessions_looked_at_max).str());
  if (!rows) return tl::make_unexpected(rows.error());
  const auto row = (*rows)[0];
  const auto number = [&](int column) { return internal::number(row[column]); };
  return kept_rows{{number(0), number(1), number(2)}, {number(3), number(4), number(5)}, internal::text(row[6]) == "t"};
}

result<inspection> inspect(const store_config& config, std::chrono::seconds transaction_age_min) {
  internal::link link(config,
                      {"inspect_settings", "inspect_clock", "inspect_objects", "inspect_holders", "inspect_commit"});
  inspection out;
  auto done = read_settings(link, out);
  if (done) done = read_clock(link, out);
  if (done) done = read_objects(link, out);
  if (done) done = read_holders(link, transaction_age_min, out);
  if (done) done = read_committers(link, out);
  if (!done) return tl::make_unexpected(done.error());
  return out;
}

}  // namespace rowcall::storage::postgres
