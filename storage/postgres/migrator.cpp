#include "storage/postgres/migrator.hpp"

#include <algorithm>
#include <chrono>
#include <map>
#include <thread>

#include "storage/postgres/internal/call.hpp"
#include "storage/postgres/internal/link.hpp"
#include "storage/postgres/internal/rows.hpp"
#include "storage/postgres/internal/sql.hpp"

namespace rowcall::storage::postgres {
namespace {

using namespace engine;
using internal::migrations;
using internal::migration_text;

/// Advisory lock of migrators ("rcmg"), held by the session: migrations are transactions of their own.
constexpr auto lock_sql = "SELECT pg_advisory_lock(1919118695)";
constexpr auto unlock_sql = "SELECT pg_advisory_unlock(1919118695)";

struct applied_row {
  std::string name, checksum, applied_at;
  int compatible_from = 0;
};
using applied_map = std::map<int, applied_row>;

result<applied_map> applied(internal::link& link) {
  auto exists = link.exec("SELECT to_regclass('rowcall.migrations') IS NOT NULL");
  if (!exists) return tl::make_unexpected(exists.error());
  applied_map out;
  if (internal::text((*exists)[0][0]) != "t") return out;
  // Through JSON: the column is younger than the table.
  auto rows = link.exec(
      "SELECT version, name, checksum, date_trunc('second', applied_at)::text,"
      " coalesce(to_jsonb(m) ->> 'compatible_from', version::text) FROM rowcall.migrations m");
  if (!rows) return tl::make_unexpected(rows.error());
  for (const auto& row : *rows)
    out[static_cast<int>(internal::number(row[0]))] = {internal::string(row[1]), internal::string(row[2]), internal::string(row[3]),
                                                    static_cast<int>(internal::number(row[4]))};
  return out;
}

const migration_text* find(int version) {
  for (const auto& m : migrations())
    if (m.version == version) return &m;
  return nullptr;
}

/// What is newer than this binary is refused; with `or_compatible` only when it can not live with it.
result<void> refuse_foreign(const applied_map& rows, bool or_compatible = false) {
  for (const auto& [version, row] : rows) {
    const auto* m = find(version);
    if (!m && or_compatible && version > migrator::newest() && row.compatible_from <= migrator::newest()) continue;
    if (!m)
      return fail(errc::schema_mismatch, "the database's schema is at version " + std::to_string(rows.rbegin()->first) +
                                             ", this binary knows versions up to " + std::to_string(migrator::newest()) +
                                             ": use a newer binary");
    if (m->checksum != row.checksum)
      return fail(errc::schema_mismatch, "migration " + std::to_string(version) + " (" + row.name +
                                             ") was applied with another text than this binary has: use the binary that "
                                             "made the schema, or undo it with that binary's `rowcall migrate down`");
  }
  return {};
}

/// One migration and its bookkeeping, in one transaction and one round trip.
result<void> apply(internal::link& link, std::string_view sql, const std::string& record) {
  auto done = link.exec("BEGIN;" + std::string{sql} + "\n;" + record + ";COMMIT", internal::on_loss::commit);
  if (done) return {};
  auto error = done.error();
  if (link.is_open() && !link.exec("ROLLBACK")) link.close();
  return tl::make_unexpected(std::move(error));
}

/// Runs body(link, applied rows) under the lock.
template <class Body>
result<int> locked(const store_config& config, Body body) {
  auto unbounded = config;  // a migration takes as long as it takes
  unbounded.statement_timeout = std::chrono::milliseconds{0};
  internal::link link(unbounded, {},
                      "SET lock_timeout = '" + std::to_string(config.statement_timeout.count()) + "ms';");
  if (auto r = link.exec(lock_sql); !r) return tl::make_unexpected(r.error());
  auto rows = applied(link);
  result<int> done = 0;
  if (!rows)
    done = tl::make_unexpected(rows.error());
  else if (auto known = refuse_foreign(*rows); !known)
    done = tl::make_unexpected(known.error());
  else
    done = body(link, *rows);
  // The lock ends with the connection in any case.
  if (link.is_open() && !link.exec(unlock_sql)) link.close();
  return done;
}

constexpr int lock_attempts_max = 100;
constexpr auto lock_pause = std::chrono::milliseconds{200};

/// Tables in use are locked for a moment: not to be had at once, others go first.
result<void> apply_patiently(internal::link& link, std::string_view sql, const std::string& record) {
  for (int attempt = 1;; ++attempt) {
    auto done = apply(link, "SET LOCAL lock_timeout = '1s';" + std::string{sql}, record);
    if (done || done.error().code != errc::timed_out || attempt == lock_attempts_max) return done;
    std::this_thread::sleep_for(lock_pause);
  }
}

/// The engines that run and know the schema only up to a version below `compatible_from`; "" = none.
result<std::string> engines_older_than(internal::link& link, int compatible_from, int schema) {
  auto there = link.exec("SELECT to_regclass('rowcall.nodes') IS NOT NULL");
  if (!there) return tl::make_unexpected(there.error());
  if (internal::text((*there)[0][0]) != "t") return std::string{};
  auto rows = link.exec(
      "SELECT coalesce(string_agg(n.node, ', ' ORDER BY n.node), '') FROM rowcall.nodes n WHERE n.stopped_at IS NULL"
      " AND n.heartbeat_at > clock_timestamp() - interval '5 s'"
      " AND coalesce((to_jsonb(n) ->> 'schema_version')::integer, " + std::to_string(schema) + ") < " + std::to_string(compatible_from));
  if (!rows) return tl::make_unexpected(rows.error());
  return internal::string((*rows)[0][0]);
}

}  // namespace

migrator::migrator(store_config config) : config_(std::move(config)) {}

int migrator::newest() { return static_cast<int>(migrations().size()); }

result<std::vector<migration_status>> migrator::status() {
  internal::link link(config_, {});
  auto rows = applied(link);
  if (!rows) return tl::make_unexpected(rows.error());
  std::vector<migration_status> out;
  for (const auto& m : migrations()) {
    migration_status s{m.version, std::string{m.name}};
    s.compatible_from = m.compatible_from;
    if (const auto found = rows->find(m.version); found != rows->end()) {
      s.applied = true;
      s.changed = found->second.checksum != m.checksum;
      s.applied_at = found->second.applied_at;
      rows->erase(found);
    }
    out.push_back(std::move(s));
  }
  for (const auto& [version, row] : *rows)
    out.push_back({version, row.name, true, row.compatible_from, row.compatible_from > newest(), row.applied_at});
  return out;
}

result<int> migrator::up(bool whatever_runs) {
  return locked(config_, [whatever_runs](internal::link& link, const applied_map& rows) -> result<int> {
    auto encoding = link.exec("SELECT getdatabaseencoding()");
    if (!encoding) return tl::make_unexpected(encoding.error());
    if (const auto name = internal::string((*encoding)[0][0]); name != "UTF8" && rows.empty())
      return fail(errc::invalid_argument,
                  "the database's encoding is " + name +
                      ", in which texts would be lost: make one with UTF8 (createdb -E UTF8 -T template0 …)");
    auto made = link.exec(
        "CREATE SCHEMA IF NOT EXISTS rowcall;"
        "CREATE TABLE IF NOT EXISTS rowcall.migrations (version integer NOT NULL, name text NOT NULL,"
        " checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT clock_timestamp(),"
        " CONSTRAINT migrations_pk PRIMARY KEY (version));"
        "ALTER TABLE rowcall.migrations ADD COLUMN IF NOT EXISTS compatible_from integer;"
        "COMMENT ON COLUMN rowcall.migrations.compatible_from IS"
        " 'The oldest version whose binaries can work with it; NULL: none older than itself.';"
        "COMMENT ON TABLE rowcall.migrations IS 'The migrations applied, with the SHA-256 of their files.'");
    if (!made) return tl::make_unexpected(made.error());
    // Engines that do not say what they know are as old as the schema was.
    const int before = rows.empty() ? 0 : rows.rbegin()->first;
    int count = 0;
    for (const auto& m : migrations()) {
      if (rows.contains(m.version)) continue;
      if (!whatever_runs) {
        auto engines = engines_older_than(link, m.compatible_from, before);
        if (!engines) return tl::make_unexpected(engines.error());
        if (!engines->empty())
          return fail(errc::busy, "migration " + std::to_string(m.version) + " (" + std::string{m.name} + ") does not go with engines of version " +
                                      std::to_string(m.compatible_from - 1) + " or older, and these run: " + *engines +
                                      ". Stop them, or bring them to a version in between.");
      }
      std::string record = "INSERT INTO rowcall.migrations (version, compatible_from, name, checksum) VALUES (" +
                           std::to_string(m.version) + "," + std::to_string(m.compatible_from) + ",";
      internal::append_literal(record, m.name);
      record += ',';
      internal::append_literal(record, m.checksum);
      record += ')';
      if (auto done = apply_patiently(link, m.up, record); !done)
        return fail(done.error().code, "migration " + std::to_string(m.version) + " (" + std::string{m.name} +
                                           "): " + done.error().message);
      ++count;
    }
    return count;
  });
}

result<int> migrator::down(int target) {
  return locked(config_, [target](internal::link& link, const applied_map& rows) -> result<int> {
    int count = 0;
    for (auto it = rows.rbegin(); it != rows.rend() && it->first > target; ++it) {
      const auto* m = find(it->first);
      ROWCALL_ASSERT(m);
      auto done = apply_patiently(link, m->down, "DELETE FROM rowcall.migrations WHERE version = " + std::to_string(m->version));
      if (!done)
        return fail(done.error().code, "undoing migration " + std::to_string(m->version) + " (" + std::string{m->name} +
                                           "): " + done.error().message);
      ++count;
    }
    return count;
  });
}

result<void> migrator::check() {
  internal::link link(config_, {});
  auto rows = applied(link);
  if (!rows) return tl::make_unexpected(rows.error());
  if (auto known = refuse_foreign(*rows, true); !known) return known;
  if (std::any_of(migrations().begin(), migrations().end(), [&](const migration_text& m) { return !rows->contains(m.version); }))
    return fail(errc::schema_mismatch,
                rows->empty() ? std::string{"the database has no Rowcall schema yet: run `rowcall migrate up`"}
                              : "the database's schema is at version " + std::to_string(rows->rbegin()->first) +
                                    ", this binary needs " + std::to_string(newest()) + ": run `rowcall migrate up`");
  return {};
}

}  // namespace rowcall::storage::postgres
