#include "tests/support/database.hpp"

#include <libpq-fe.h>

#include <cstdio>
#include <exception>
#include <stdexcept>

#include "tests/support/servers.hpp"
#ifdef ROWCALL_TEST_MIGRATIONS
#include "storage/postgres/migrator.hpp"
#endif

namespace rowcall::support {

void sql_connection::closer::operator()(pg_conn* connection) const { PQfinish(connection); }

sql_connection::sql_connection(const std::string& url) : connection_(PQconnectdb(url.c_str())) {
  if (PQstatus(connection_.get()) != CONNECTION_OK) throw std::runtime_error(PQerrorMessage(connection_.get()));
  PQsetNoticeProcessor(connection_.get(), [](void*, const char*) {}, nullptr);
}

rows sql_connection::query(const std::string& sql) {
  const std::unique_ptr<PGresult, void (*)(PGresult*)> result(PQexec(connection_.get(), sql.c_str()), PQclear);
  const auto status = PQresultStatus(result.get());
  if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK && status != PGRES_EMPTY_QUERY) {
    throw std::runtime_error(PQerrorMessage(connection_.get()) + ("in: " + sql));
  }
  rows found;
  for (int r = 0; r < PQntuples(result.get()); ++r) {
    auto& row = found.emplace_back();
    for (int c = 0; c < PQnfields(result.get()); ++c) row.emplace_back(PQgetvalue(result.get(), r, c));
  }
  return found;
}

std::string sql_connection::value(const std::string& sql) {
  const auto found = query(sql);
  if (found.empty() || found.front().empty()) throw std::runtime_error("no row: " + sql);
  return found.front().front();
}

int sql_connection::backend_pid() const { return PQbackendPID(connection_.get()); }

rows query(const std::string& url, const std::string& sql) { return sql_connection(url).query(sql); }

std::string with_database(const std::string& url, const std::string& name) {
  const auto scheme = url.find("://");
  const auto slash = scheme == std::string::npos ? scheme : url.find('/', scheme + 3);
  if (slash == std::string::npos) throw std::runtime_error("expected postgresql://…/database, not " + url);
  const auto end = url.find('?', slash);
  return url.substr(0, slash + 1) + name + (end == std::string::npos ? "" : url.substr(end));
}

void migrate(const std::string& url) {
#ifdef ROWCALL_TEST_MIGRATIONS
  storage::postgres::store_config config;
  config.url = url;
  if (const auto applied = storage::postgres::migrator(config).up(); !applied) {
    throw std::runtime_error("migrations: " + applied.error().message);
  }
#else
  throw std::runtime_error("this build has no migrations (target rowcall_storage_postgres): " + url);
#endif
}

database::database(std::string admin_url, schema content)
    : admin_url_(std::move(admin_url)), name_("test_" + unique_name()), url_(with_database(admin_url_, name_)) {
  query(admin_url_, "CREATE DATABASE " + name_);
  if (content == schema::empty) return;
  try {
    migrate(url_);
  } catch (...) {
    query(admin_url_, "DROP DATABASE " + name_ + " WITH (FORCE)");
    throw;
  }
}

database::~database() {
  if (name_.empty()) return;
  try {
    query(admin_url_, "DROP DATABASE IF EXISTS " + name_ + " WITH (FORCE)");
  } catch (const std::exception& e) {
    // The server may be gone on purpose; its data directory goes with it.
    std::fprintf(stderr, "database %s was not dropped: %s\n", name_.c_str(), e.what());
  }
}

database fresh_database(schema content) { return {shared_server_value("POSTGRES_URL"), content}; }

}  // namespace rowcall::support
