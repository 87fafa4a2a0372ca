#include "tests/e2e/deployment.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <stdexcept>

#include "bus/nats_bus.hpp"
#include "storage/postgres/stores.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/servers.hpp"

namespace rowcall::e2e {
namespace {

using namespace std::chrono_literals;

storage::postgres::store_config store_config(const deployment& d) {
  storage::postgres::store_config c;
  c.url = d.database_url;
  c.application_name = "rowcall test";
  return c;
}

std::string read_file(const std::string& name) {
  std::ifstream file(name);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::vector<std::string> command_line(const char* program, const deployment& d, std::vector<std::string> arguments) {
  std::vector<std::string> argv{program, "--database", d.database_url, "--nats", d.nats_url, "--subject-prefix", d.prefix};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  return argv;
}

std::string new_log_file() { return support::make_directory() + "/log"; }

}  // namespace

deployment deployment::shared(const support::database& database) {
  return {database.url(), support::shared_nats_url(), "t" + support::unique_name()};
}

std::unique_ptr<engine::bus> deployment::connect() const {
  bus::nats_config c;
  c.url = nats_url;
  c.subject_prefix = prefix;
  return bus::connect_nats(c).value();
}
std::unique_ptr<engine::command_store> deployment::command_store() const {
  return storage::postgres::make_command_store(store_config(*this));
}
std::unique_ptr<engine::update_store> deployment::update_store() const {
  return storage::postgres::make_update_store(store_config(*this));
}

engine_process::engine_process(const deployment& d, std::vector<std::string> arguments, program which)
    : engine_process(d, std::move(arguments), which == program::standard ? ROWCALL_PROGRAM : ROWCALL_MISBEHAVING_PROGRAM) {}

engine_process::engine_process(const deployment& d, std::vector<std::string> arguments, const std::string& program_path,
                               std::vector<std::string> environment)
    : log_file_(new_log_file()) {
  arguments.insert(arguments.begin(), "serve");
  support::process::options how;
  how.output = log_file_;
  how.environment = std::move(environment);
  process_ = support::process(command_line(program_path.c_str(), d, std::move(arguments)), how);
}

std::string engine_process::log() const { return read_file(log_file_); }

void engine_process::wait_ready() {
  if (!support::eventually(20s, [&] { return log().find("info ready") != std::string::npos || !process_.running(); }) ||
      !process_.running())
    throw std::runtime_error("the engine did not become ready:\n" + log());
}

std::string rowcall_path() { return ROWCALL_PROGRAM; }

run_result run_rowcall(const deployment& d, std::vector<std::string> arguments) {
  return run_program(ROWCALL_PROGRAM, d, std::move(arguments));
}

run_result run_program(const std::string& program_path, const deployment& d, std::vector<std::string> arguments) {
  const auto file = new_log_file();
  support::process::options how;
  how.output = file;
  support::process p(command_line(program_path.c_str(), d, std::move(arguments)), how);
  const auto code = p.wait(60s);
  return {code.value_or(-1), read_file(file)};
}

recorder::recorder(const deployment& d, engine::bus& bus) {
  client::follow_handler handler;
  handler.on_updates = [this](const engine::session_id& session, std::span<const engine::update_row> rows) {
    const std::lock_guard lock(mutex_);
    auto& all = seen_[session];
    all.insert(all.end(), rows.begin(), rows.end());
    seen_at_[session].resize(all.size(), std::chrono::system_clock::now());
    changed_.notify_all();
  };
  handler.on_gone = [this](const engine::session_id&, const std::optional<engine::snapshot_row>&) {
    const std::lock_guard lock(mutex_);
    ++gone_;
    changed_.notify_all();
  };
  follower_ = std::make_unique<client::follower>(d.update_store(), bus, handler);
}

void recorder::follow(const engine::session_id& session, engine::update_seq after) { follower_->follow(session, after); }

bool recorder::wait_for(const engine::session_id& session, std::size_t count, std::chrono::milliseconds deadline) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, deadline, [&] { return seen_[session].size() >= count; });
}

std::vector<engine::update_row> recorder::seen(const engine::session_id& session) const {
  const std::lock_guard lock(mutex_);
  auto known = seen_.find(session);
  return known == seen_.end() ? std::vector<engine::update_row>{} : known->second;
}

std::vector<std::chrono::system_clock::time_point> recorder::seen_at(const engine::session_id& session) const {
  const std::lock_guard lock(mutex_);
  auto known = seen_at_.find(session);
  return known == seen_at_.end() ? std::vector<std::chrono::system_clock::time_point>{} : known->second;
}

int recorder::gone_count() const {
  const std::lock_guard lock(mutex_);
  return gone_;
}

engine::session_id id(const std::string& text) { return engine::session_id::parse(text).value(); }

std::unique_ptr<client::submitter> make_submitter(const deployment& d, engine::bus& bus) {
  std::vector<std::unique_ptr<engine::command_store>> stores;
  stores.push_back(d.command_store());
  client::submitter_config config;
  config.retry_for = 60s;
  return std::make_unique<client::submitter>(std::move(stores), bus, config);
}

void expect_every_command_answered_once(const deployment& d, std::size_t commands) {
  EXPECT_EQ(d.value("SELECT count(*) FROM rowcall.command_log"), std::to_string(commands));
  EXPECT_EQ(d.value("SELECT count(*) FROM (SELECT session_id, command_seq FROM rowcall.update_log GROUP BY 1, 2 "
                    "HAVING count(*) = 1) one"),
            std::to_string(commands));
  EXPECT_EQ(d.value("SELECT count(*) FROM rowcall.update_log"), std::to_string(commands));
  EXPECT_EQ(d.value("SELECT count(*) FROM (SELECT seq, command_seq, row_number() OVER (PARTITION BY session_id ORDER BY "
                    "seq) AS n FROM rowcall.update_log) u WHERE n <> seq OR n <> command_seq"),
            "0");
  EXPECT_EQ(d.value("SELECT count(*) FROM rowcall.commands WHERE status <> 'processed'"), "0");
}

bool drained(const deployment& d, std::chrono::milliseconds deadline) {
  support::sql_connection c(d.database_url);
  return support::eventually(deadline, [&] {
    return c.value("SELECT count(*) FROM (SELECT session_id, max(seq) AS last FROM rowcall.command_log GROUP BY 1) c "
                   "WHERE last > coalesce((SELECT command_seq FROM rowcall.update_log u WHERE u.session_id = "
                   "c.session_id ORDER BY seq DESC LIMIT 1), 0)") == "0";
  });
}

}  // namespace rowcall::e2e
