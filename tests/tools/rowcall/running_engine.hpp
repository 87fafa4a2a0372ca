#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tests/support/database.hpp"
#include "tests/support/servers.hpp"
#include "tests/tools/rowcall/run_rowcall.hpp"

namespace rowcall::test {

/// A database of its own, subjects of its own on the shared NATS, and, when wanted, a `rowcall serve` on them.
class rowcall_world {
 public:
  explicit rowcall_world(support::schema schema = support::schema::migrated)
      : database_(support::fresh_database(schema)) {}

  std::vector<std::string> environment() const {
    return {"ROWCALL_DATABASE_URL=" + database_.url(), "ROWCALL_NATS_URL=" + support::shared_nats_url(),
            "ROWCALL_SUBJECT_PREFIX=" + prefix_, "TZ=UTC"};
  }
  run_result run(std::vector<std::string> arguments, const std::string& input = "") const {
    return run_rowcall(std::move(arguments), environment(), input);
  }
  /// Starts an engine and waits until it says that it is ready.
  bool start_engine(std::vector<std::string> arguments = {}) {
    arguments.insert(arguments.begin(), "serve");
    engine_.emplace(std::move(arguments), environment());
    return engine_->wait_for(" ready");
  }
  running_rowcall& engine() { return *engine_; }
  /// SIGTERM; the exit code.
  int stop_engine() {
    engine_->signal(15);
    return engine_->wait();
  }
  const support::database& database() const { return database_; }

 private:
  support::database database_;
  std::string prefix_ = "test" + support::unique_name();
  std::optional<running_rowcall> engine_;
};

}  // namespace rowcall::test
