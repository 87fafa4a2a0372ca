#pragma once

#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "storage/postgres/migrator.hpp"
#include "storage/postgres/stores.hpp"
#include "tests/support/database.hpp"
#include "tests/support/eventually.hpp"

namespace rowcall::storage::postgres {

using namespace engine;

template <class T>
T must(result<T> r) {
  if (!r) throw std::runtime_error(std::string{to_string(r.error().code)} + ": " + r.error().message);
  if constexpr (!std::is_void_v<T>) return std::move(*r);
}

inline session_id id(const std::string& text) { return must(session_id::parse(text)); }

inline session_request ask(const session_id& session, std::optional<session_cursor> cursor = {}) {
  return {session, shard_of(session, shard_count_default), cursor, true};
}

/// What a module that echoes would write.
inline session_writes echo(const session_id& session, session_cursor before, const std::vector<command_row>& commands) {
  session_writes w{session, before, before};
  for (const auto& c : commands) {
    w.after = {w.after.update.next(), c.seq};
    w.updates.push_back({w.after.update, c.seq, "said", c.data});
  }
  return w;
}

/// A migrated database where the kind echo is known, and a plain connection to it.
class postgres_test : public ::testing::Test {
 protected:
  postgres_test() { sql_.query("INSERT INTO rowcall.kinds (kind) VALUES ('echo'), ('chat')"); }
  store_config config() const {
    store_config c;
    c.url = database_.url();
    return c;
  }
  /// All but sql_ to this database, as a restart of the server would. They are told before this returns.
  void end_other_connections() {
    const std::string others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    sql_.query("SELECT pg_terminate_backend(pid) " + others);
    ASSERT_TRUE(support::eventually(std::chrono::seconds{10}, [&] { return sql_.value("SELECT count(*) " + others) == "0"; }));
  }
  support::database database_ = support::fresh_database();
  support::sql_connection sql_{database_.url()};
};

}  // namespace rowcall::storage::postgres
