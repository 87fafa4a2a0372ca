#pragma once

#include <memory>
#include <string>
#include <vector>

struct pg_conn;

namespace rowcall::support {

using rows = std::vector<std::vector<std::string>>;

/// A plain libpq connection, for what a test does besides the code under test: look, lock, disturb. Throws
/// std::runtime_error with the server's message. One thread at a time.
class sql_connection {
 public:
  explicit sql_connection(const std::string& url);
  /// One or more statements; the rows of the last one, NULL as "".
  rows query(const std::string& sql);
  /// The first column of the first row. Throws when there is no row.
  std::string value(const std::string& sql);
  [[nodiscard]] int backend_pid() const;

 private:
  struct closer {
    void operator()(pg_conn* connection) const;
  };
  std::unique_ptr<pg_conn, closer> connection_;
};

/// One statement over a connection of its own.
rows query(const std::string& url, const std::string& sql);

enum class schema { empty, migrated };

/// A database of the test's own, dropped (with everybody who is still connected) at the end.
class database {
 public:
  /// Made on the server of `admin_url`, which names any other database of it.
  database(std::string admin_url, schema content);
  database(database&&) noexcept = default;
  database& operator=(database&&) = delete;
  ~database();
  [[nodiscard]] const std::string& url() const { return url_; }
  [[nodiscard]] const std::string& name() const { return name_; }
  /// A connection to the server's maintenance database: survives what is done to this one.
  [[nodiscard]] const std::string& admin_url() const { return admin_url_; }

 private:
  std::string admin_url_;
  std::string name_;
  std::string url_;
};

/// A new database on the shared test server.
database fresh_database(schema content = schema::migrated);

/// `url` with another database name ("postgresql://user@/name?host=…").
std::string with_database(const std::string& url, const std::string& name);

/// Brings the schema of the database to the newest version. Throws std::runtime_error with the reason.
void migrate(const std::string& url);

}  // namespace rowcall::support
