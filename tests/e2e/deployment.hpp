#pragma once

#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "client/follower.hpp"
#include "client/submitter.hpp"
#include "engine/ports.hpp"
#include "tests/support/database.hpp"
#include "tests/support/process.hpp"

namespace rowcall::e2e {

/// Where a deployment's servers are, and a NATS prefix of its own.
struct deployment {
  std::string database_url;
  std::string nats_url;
  std::string prefix;

  /// A fresh database on the shared servers.
  static deployment shared(const support::database& database);

  std::unique_ptr<engine::bus> connect() const;
  std::unique_ptr<engine::command_store> command_store() const;
  std::unique_ptr<engine::update_store> update_store() const;
  /// One COPY-free statement over a connection of its own.
  support::rows sql(const std::string& statement) const { return support::query(database_url, statement); }
  std::string value(const std::string& statement) const { return sql(statement).at(0).at(0); }
};

/// `rowcall serve` as a process of the test's own.
class engine_process {
 public:
  enum class program { standard, misbehaving };
  explicit engine_process(const deployment& d, std::vector<std::string> arguments = {}, program which = program::standard);
  /// Of another build of rowcall.
  engine_process(const deployment& d, std::vector<std::string> arguments, const std::string& program_path,
                 std::vector<std::string> environment = {});
  /// Waits until it says that it is ready. Throws with its log when it does not.
  void wait_ready();
  support::process& process() { return process_; }
  std::string log() const;

 private:
  std::string log_file_;
  support::process process_;
};

/// Runs `rowcall` with these arguments to its end; its exit code, and what it printed.
struct run_result {
  int exit_code = -1;
  std::string output;
};
run_result run_rowcall(const deployment& d, std::vector<std::string> arguments);
/// The same with another build of it.
run_result run_program(const std::string& program_path, const deployment& d, std::vector<std::string> arguments);
/// Where `rowcall` is.
std::string rowcall_path();

/// Follows sessions and records what it saw, as a UI would.
class recorder {
 public:
  recorder(const deployment& d, engine::bus& bus);
  void follow(const engine::session_id& session, engine::update_seq after = {});
  /// False when fewer than `count` updates of the session came before the deadline.
  bool wait_for(const engine::session_id& session, std::size_t count, std::chrono::milliseconds deadline = std::chrono::seconds{60});
  std::vector<engine::update_row> seen(const engine::session_id& session) const;
  /// When it was told of each of them.
  std::vector<std::chrono::system_clock::time_point> seen_at(const engine::session_id& session) const;
  int gone_count() const;

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<engine::session_id, std::vector<engine::update_row>> seen_;
  std::map<engine::session_id, std::vector<std::chrono::system_clock::time_point>> seen_at_;
  int gone_ = 0;
  std::unique_ptr<client::follower> follower_;
};

engine::session_id id(const std::string& text);
std::unique_ptr<client::submitter> make_submitter(const deployment& d, engine::bus& bus);

/// Fails the test unless every command of the log has exactly one receipt (for modules that emit one update a
/// command), in order, without a gap.
void expect_every_command_answered_once(const deployment& d, std::size_t commands);
/// Waits until no command is pending. False at the deadline.
bool drained(const deployment& d, std::chrono::milliseconds deadline = std::chrono::seconds{60});

}  // namespace rowcall::e2e
