#include "storage/postgres/migrator.hpp"

#include <map>

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
};
using applied_map = std::map<int, applied_row>;

result<applied_map> applied(internal::link& link) {
  auto exists = link.exec("SELECT to_regclass('rowcall.migrations') IS NOT NULL");
  if (!exists) return tl::make_unexpected(exists.error());
  applied_map out;
  if (internal::text((*exists)[0][0]) != "t") return out;
  auto rows = link.exec("SELECT version, name, checksum, date_trunc('second', applied_at)::text FROM rowcall.migrations");
  if (!rows) return tl::make_unexpected(rows.error());
  for (const auto& row : *rows)
    out[static_cast<int>(internal::number(row[0]))] = {internal::string(row[1]), internal::string(row[2]), internal::string(row[3])};
  return out;
}

const migration_text* find(int version) {
  for (const auto& m : migrations())
    if (m.version == version) return &m;
  return nullptr;
}

result<void> refuse_foreign(const applied_map& rows) {
  for (const auto& [version, row] : rows) {
    const auto* m = find(version);
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
  internal::link link(config, {}, "SET lock_timeout = '" + std::to_string(config.statement_timeout.count()) + "ms';");
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
    if (const auto found = rows->find(m.version); found != rows->end()) {
      s.applied = true;
      s.changed = found->second.checksum != m.checksum;
      s.applied_at = found->second.applied_at;
      rows->erase(found);
    }
    out.push_back(std::move(s));
  }
  for (const auto& [version, row] : *rows) out.push_back({version, row.name, true, true, row.applied_at});
  return out;
}

result<int> migrator::up() {
  return locked(config_, [](internal::link& link, const applied_map& rows) -> result<int> {
    auto made = link.exec(
        "CREATE SCHEMA IF NOT EXISTS rowcall;"
        "CREATE TABLE IF NOT EXISTS rowcall.migrations (version integer NOT NULL, name text NOT NULL,"
        " checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT clock_timestamp(),"
        " CONSTRAINT migrations_pk PRIMARY KEY (version));"
        "COMMENT ON TABLE rowcall.migrations IS 'The migrations applied, with the SHA-256 of their files.'");
    if (!made) return tl::make_unexpected(made.error());
    int count = 0;
    for (const auto& m : migrations()) {
      if (rows.contains(m.version)) continue;
      std::string record = "INSERT INTO rowcall.migrations (version, name, checksum) VALUES (" + std::to_string(m.version) + ",";
      internal::append_literal(record, m.name);
      record += ',';
      internal::append_literal(record, m.checksum);
      record += ')';
      if (auto done = apply(link, m.up, record); !done)
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
      auto done = apply(link, m->down, "DELETE FROM rowcall.migrations WHERE version = " + std::to_string(m->version));
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
  if (auto known = refuse_foreign(*rows); !known) return known;
  if (static_cast<int>(rows->size()) < newest())
    return fail(errc::schema_mismatch,
                rows->empty() ? std::string{"the database has no Rowcall schema yet: run `rowcall migrate up`"}
                              : "the database's schema is at version " + std::to_string(rows->rbegin()->first) +
                                    ", this binary needs " + std::to_string(newest()) + ": run `rowcall migrate up`");
  return {};
}

}  // namespace rowcall::storage::postgres
