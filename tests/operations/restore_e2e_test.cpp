#include <gmock/gmock.h>
#include <signal.h>

#include <condition_variable>
#include <filesystem>
#include <fstream>

#include "tests/e2e/deployment.hpp"
#include "tests/e2e/witness.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/private_nats.hpp"
#include "tests/support/private_postgres.hpp"
#include "tests/support/servers.hpp"

/// An older state of the database comes back while followers have seen more.
namespace rowcall::operations {
namespace {

using namespace std::chrono_literals;
using e2e::deployment;
using e2e::engine_process;
using e2e::id;
using support::eventually;
using ::testing::HasSubstr;

/// What a UI would hold: the updates of a session, and how often it had to begin anew.
class screen {
 public:
  screen(const deployment& d, engine::bus& bus) {
    client::follow_handler handler;
    handler.on_updates = [this](const engine::session_id& s, std::span<const engine::update_row> rows) {
      const std::lock_guard lock(mutex_);
      for (const auto& u : rows) shown_[s.str()].push_back(u.seq.value);
    };
    handler.on_gone = [this](const engine::session_id& s, const std::optional<engine::snapshot_row>& snapshot) {
      const std::lock_guard lock(mutex_);
      shown_[s.str()].clear();
      if (snapshot) shown_[s.str()].push_back(snapshot->seq.value);
      ++anew_[s.str()];
    };
    follower_ = std::make_unique<client::follower>(d.update_store(), bus, handler,
                                                   client::follower_config{.poll_interval = 100ms});
  }
  client::follower& follower() { return *follower_; }
  std::vector<std::int64_t> shown(const std::string& s) const {
    const std::lock_guard lock(mutex_);
    const auto found = shown_.find(s);
    return found == shown_.end() ? std::vector<std::int64_t>{} : found->second;
  }
  int anew(const std::string& s) const {
    const std::lock_guard lock(mutex_);
    const auto found = anew_.find(s);
    return found == anew_.end() ? 0 : found->second;
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::vector<std::int64_t>> shown_;
  std::map<std::string, int> anew_;
  std::unique_ptr<client::follower> follower_;
};

std::vector<std::int64_t> from_to(std::int64_t first, std::int64_t last) {
  std::vector<std::int64_t> out;
  for (auto n = first; n <= last; ++n) out.push_back(n);
  return out;
}

struct restore_e2e_test : testing::Test {
  support::private_postgres postgres;
  support::private_nats nats;
  const std::string bin = support::shared_server_value("POSTGRES_BIN");
  const std::string folder = support::make_directory();
  deployment d{postgres.url("shop"), nats.url(), "rowcall"};

  restore_e2e_test() {
    support::query(postgres.url(), "CREATE DATABASE shop");
    support::migrate(d.database_url);
  }
  void run(std::vector<std::string> argv) { support::run_to_end(std::move(argv), {.output = folder + "/log"}); }
  void stop(engine_process& engine) {
    engine.process().signal(SIGTERM);
    ASSERT_EQ(engine.process().wait(15s), 0) << engine.log();
  }
  /// What a restore takes back.
  void submit(client::submitter& submitter, const std::string& session, int count) {
    for (int i = 0; i < count; ++i)
      ASSERT_TRUE(submitter.submit(engine::command_request{id(session), "say", "{}", {}}));
  }
  /// What it does not: acknowledged before the moment that it goes back to, or after it.
  void submit_for_good(e2e::witness& w, client::submitter& submitter, const std::string& session, int count) {
    for (int i = 0; i < count; ++i)
      for (auto& o : w.submit(submitter, {{id(session), "say", {}, {}}})) ASSERT_TRUE(o) << o.error().message;
  }
  /// The checker is satisfied with what a follower sees that begins now.
  void expect_promise_kept(e2e::witness& w, const std::vector<std::string>& sessions) {
    for (const auto& s : sessions) w.follow(s);
    EXPECT_EQ(w.breaches(), "");
  }
};

TEST_F(restore_e2e_test, followers_begin_anew_with_what_a_restored_dump_holds) {
  auto bus = d.connect();
  auto submitter = e2e::make_submitter(d, *bus);
  e2e::witness kept(d, *bus);
  const std::vector<std::string> serve{"--snapshot-interval-updates", "10"};
  {
    engine_process engine(d, serve);
    engine.wait_ready();
    submit_for_good(kept, *submitter, "echo-a", 25);
    submit_for_good(kept, *submitter, "echo-b", 5);
    ASSERT_TRUE(e2e::drained(d));
    stop(engine);
  }
  submit_for_good(kept, *submitter, "echo-p", 3);  // pending while the backup is made
  run({bin + "/pg_dump", "-Fc", "-f", folder + "/dump", d.database_url});

  screen ui(d, *bus);
  {
    engine_process engine(d, serve);
    engine.wait_ready();
    submit(*submitter, "echo-a", 25);
    for (const auto* s : {"echo-a", "echo-b", "echo-p"}) ui.follower().follow(id(s), {0});
    ASSERT_TRUE(
        eventually(20s, [&] { return ui.shown("echo-a") == from_to(1, 50) && ui.shown("echo-p") == from_to(1, 3); }));
    stop(engine);
  }
  const auto before = d.value("SELECT incarnation FROM rowcall.incarnation");

  // The disaster. The follower stays; what it shows has never happened.
  support::query(postgres.url(), "DROP DATABASE shop WITH (FORCE)");
  support::query(postgres.url(), "CREATE DATABASE shop");
  run({bin + "/pg_restore", "-d", d.database_url, folder + "/dump"});
  EXPECT_EQ(d.value("SELECT incarnation FROM rowcall.incarnation"), before)
      << "a dump can not know that it is restored";
  const auto restored = e2e::run_rowcall(d, {"restored"});
  ASSERT_EQ(restored.exit_code, 0) << restored.output;
  EXPECT_NE(d.value("SELECT incarnation FROM rowcall.incarnation"), before);

  engine_process engine(d, serve);
  engine.wait_ready();
  EXPECT_TRUE(e2e::drained(d)) << "what was pending in the backup is served: " << engine.log();
  auto next = e2e::make_submitter(d, *bus);
  submit_for_good(kept, *next, "echo-a", 30);
  // A snapshot stands at 20 or so; from there it is the new history, beyond what the old one reached.
  EXPECT_TRUE(eventually(20s, [&] {
    return ui.shown("echo-a").size() > 0 && ui.shown("echo-a").back() == 55 && ui.anew("echo-a") == 1;
  })) << testing::PrintToString(ui.shown("echo-a"));
  const auto shown = ui.shown("echo-a");
  EXPECT_EQ(shown, from_to(shown.front(), 55));
  EXPECT_TRUE(eventually(20s, [&] { return ui.shown("echo-b") == from_to(1, 5) && ui.anew("echo-b") == 1; }))
      << "even a session that looks the same";
  EXPECT_TRUE(eventually(20s, [&] { return ui.shown("echo-p") == from_to(1, 3) && ui.anew("echo-p") == 1; }));
  e2e::expect_every_command_answered_once(d, 25 + 5 + 3 + 30);
  expect_promise_kept(kept, {"echo-a", "echo-b", "echo-p"});

  // A client that wrote down its position, and with it the incarnation, is not fooled after its own restart either.
  screen late(d, *bus);
  late.follower().follow(id("echo-b"), {5}, before);
  EXPECT_TRUE(eventually(20s, [&] { return late.shown("echo-b") == from_to(1, 5); }));
}

TEST_F(restore_e2e_test, a_copy_of_the_files_comes_back_and_the_log_ends_before_what_was_seen) {
  auto bus = d.connect();
  auto submitter = e2e::make_submitter(d, *bus);
  engine_process first(d);
  first.wait_ready();
  submit(*submitter, "echo-a", 5);
  ASSERT_TRUE(e2e::drained(d));
  stop(first);
  run({bin + "/pg_basebackup", "-D", folder + "/base", "-d", postgres.url(), "-X", "stream", "--no-sync", "-c",
       "fast"});
  screen ui(d, *bus);
  ui.follower().follow(id("echo-a"), {0});
  {
    engine_process engine(d);
    engine.wait_ready();
    submit(*submitter, "echo-a", 5);
    ASSERT_TRUE(eventually(20s, [&] { return ui.shown("echo-a") == from_to(1, 10); }));
    stop(engine);
  }
  postgres.stop();
  postgres.replace_data(folder + "/base");
  postgres.start();
  ASSERT_EQ(e2e::run_rowcall(d, {"restored"}).exit_code, 0);
  EXPECT_TRUE(eventually(20s, [&] { return ui.shown("echo-a") == from_to(1, 5) && ui.anew("echo-a") == 1; }))
      << testing::PrintToString(ui.shown("echo-a"));
}

/// The way back that docs/operations.md recommends: an older base backup, and the archived WAL up to a moment after it.
struct point_in_time_e2e_test : restore_e2e_test {
  const std::string archive = folder + "/archive";
  support::private_postgres archived{{.settings = {"archive_mode = on", "wal_level = replica", "full_page_writes = on",
                                                   "archive_command = 'cp %p " + archive + "/%f'"}}};

  point_in_time_e2e_test() {
    // The server is another user than the test when that is root. Until the folder is there, archiving is tried again.
    std::filesystem::create_directory(archive);
    std::filesystem::permissions(archive, std::filesystem::perms::all);
    support::query(archived.url(), "CREATE DATABASE shop");
    d.database_url = archived.url("shop");
    support::migrate(d.database_url);
  }
};

TEST_F(point_in_time_e2e_test, an_older_base_backup_is_brought_forward_to_a_moment_between_what_was_seen) {
  auto bus = d.connect();
  auto submitter = e2e::make_submitter(d, *bus);
  e2e::witness kept(d, *bus);
  const auto serve = [&](const std::string& session, int count, bool is_for_good) {
    engine_process engine(d);
    engine.wait_ready();
    is_for_good ? submit_for_good(kept, *submitter, session, count) : submit(*submitter, session, count);
    ASSERT_TRUE(e2e::drained(d));
    stop(engine);
  };
  serve("echo-a", 5, true);
  run({bin + "/pg_basebackup", "-D", folder + "/base", "-d", archived.url(), "-X", "stream", "--no-sync", "-c",
       "fast"});
  serve("echo-a", 5, true);
  submit_for_good(kept, *submitter, "echo-p", 3);  // acknowledged, and pending at that moment
  d.sql("SELECT pg_create_restore_point('noon')");

  screen ui(d, *bus);
  for (const auto* s : {"echo-a", "echo-p", "echo-late"}) ui.follower().follow(id(s), {0});
  serve("echo-a", 5, false);
  serve("echo-late", 2, false);
  ASSERT_TRUE(eventually(20s, [&] {
    return ui.shown("echo-a") == from_to(1, 15) && ui.shown("echo-p") == from_to(1, 3) &&
           ui.shown("echo-late") == from_to(1, 2);
  }));
  const auto segment = d.value("SELECT pg_walfile_name(pg_switch_wal())");
  ASSERT_TRUE(eventually(20s, [&] {
    return d.value("SELECT coalesce(last_archived_wal, '') >= '" + segment + "' FROM pg_stat_archiver") == "t";
  }));

  archived.stop();
  std::ofstream(folder + "/base/postgresql.auto.conf", std::ios::app)
      << "restore_command = 'cp " << archive
      << "/%f %p'\nrecovery_target_name = 'noon'\nrecovery_target_action = 'promote'\n";
  std::ofstream(folder + "/base/recovery.signal");
  archived.replace_data(folder + "/base");
  archived.start();
  ASSERT_TRUE(eventually(20s, [&] {
    return support::query(archived.url(), "SELECT pg_is_in_recovery()").at(0).at(0) == "f";
  })) << archived.log();
  ASSERT_EQ(d.value("SELECT max(seq) FROM rowcall.update_log WHERE session_id = 'echo-a'"), "10")
      << "neither what the base backup held nor all that was archived";
  const auto restored = e2e::run_rowcall(d, {"restored"});
  ASSERT_EQ(restored.exit_code, 0) << restored.output;

  engine_process engine(d);
  engine.wait_ready();
  ASSERT_TRUE(e2e::drained(d)) << engine.log();  // what was pending at noon, served a second time and for good
  auto next = e2e::make_submitter(d, *bus);
  submit_for_good(kept, *next, "echo-a", 2);
  EXPECT_TRUE(eventually(20s, [&] { return ui.shown("echo-a") == from_to(1, 12) && ui.anew("echo-a") == 1; }))
      << testing::PrintToString(ui.shown("echo-a"));
  EXPECT_TRUE(eventually(20s, [&] { return ui.shown("echo-p") == from_to(1, 3) && ui.anew("echo-p") == 1; }));
  EXPECT_TRUE(eventually(20s, [&] { return ui.shown("echo-late").empty() && ui.anew("echo-late") == 1; }))
      << "it never happened";
  e2e::expect_every_command_answered_once(d, 10 + 3 + 2);
  expect_promise_kept(kept, {"echo-a", "echo-p", "echo-late"});
}

TEST_F(restore_e2e_test, an_engine_that_lived_through_it_ends_and_one_that_runs_keeps_it_from_being_declared) {
  engine_process engine(d, {"--node", "survivor"});
  engine.wait_ready();
  const auto refused = e2e::run_rowcall(d, {"restored"});
  EXPECT_EQ(refused.exit_code, 8) << refused.output;
  EXPECT_THAT(refused.output, HasSubstr("survivor"));
  // What a restore under a running engine amounts to: other content, and no connection of before.
  d.sql(
      "UPDATE rowcall.incarnation SET incarnation = 'another'; "
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'rowcall%'");
  EXPECT_EQ(engine.process().wait(20s), 1) << engine.log();
  EXPECT_THAT(engine.log(), HasSubstr("the database was restored since this process started"));
}

}  // namespace
}  // namespace rowcall::operations
