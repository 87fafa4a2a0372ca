#include <algorithm>

#include "storage/postgres/stores.hpp"
#include "tests/conformance/store_backend.hpp"
#include "tests/support/database.hpp"

namespace rowcall::conformance {
namespace {

class postgres_backend final : public store_backend {
 public:
  std::unique_ptr<engine::turn_store> turns(const std::string& node) override {
    return storage::postgres::make_turn_store(config(), node);
  }
  std::unique_ptr<engine::node_store> nodes() override { return storage::postgres::make_node_store(config()); }
  std::unique_ptr<engine::command_store> commands() override { return storage::postgres::make_command_store(config()); }
  std::unique_ptr<engine::update_store> updates() override { return storage::postgres::make_update_store(config()); }
  std::unique_ptr<engine::admin_store> admin() override { return storage::postgres::make_admin_store(config()); }

  void pass(std::chrono::milliseconds time) override {
    const auto end = now_us() + std::chrono::microseconds{time}.count();
    if (!eventually([&] { return now_us() >= end; })) throw std::runtime_error("the server's clock stands still");
  }
  void make_heartbeat_old(const std::string& node) override {
    const auto changed = sql_.query("UPDATE rowcall.nodes SET heartbeat_at = heartbeat_at - interval '1 hour' WHERE node = '" +
                                    node + "' RETURNING node");
    if (changed.size() != 1) throw std::runtime_error("there is no node " + node);
  }
  void drop_open_turns() override {
    const std::string open =
        "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
        "AND state LIKE 'idle in transaction%'";
    if (sql_.query("SELECT pg_terminate_backend(pid) " + open).empty()) throw std::runtime_error("no turn is open");
    if (!eventually([&] { return sql_.value("SELECT count(*) " + open) == "0"; }))
      throw std::runtime_error("the backends do not end");
  }
  std::vector<row> table(const std::string& name, const std::vector<std::string>& columns) override {
    // A marker before each value: the connection shows NULL as "".
    std::string list;
    for (const auto& column : columns)
      list += (list.empty() ? "'=' || \"" : ", '=' || \"") + column + "\"::text";
    std::vector<row> rows;
    for (const auto& record : sql_.query("SELECT " + list + " FROM rowcall." + name)) {
      auto& r = rows.emplace_back();
      for (const auto& value : record)
        r.push_back(value.empty() ? std::nullopt : std::optional{value.substr(1)});
    }
    std::sort(rows.begin(), rows.end());
    return rows;
  }

 private:
  storage::postgres::store_config config() const {
    storage::postgres::store_config config;
    config.url = database_.url();
    return config;
  }
  std::int64_t now_us() {
    return std::stoll(sql_.value("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"));
  }

  support::database database_ = support::fresh_database();
  support::sql_connection sql_{database_.url()};
};

std::unique_ptr<store_backend> make_postgres_backend() { return std::make_unique<postgres_backend>(); }

}  // namespace

ROWCALL_STORE_CONFORMANCE(postgres, make_postgres_backend);

}  // namespace rowcall::conformance
