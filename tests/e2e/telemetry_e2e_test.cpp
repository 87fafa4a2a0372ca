#include <gmock/gmock.h>
#include <httplib.h>

#include <algorithm>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include "engine/json.hpp"
#include "tests/e2e/deployment.hpp"
#include "tests/e2e/watched_engine.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/private_nats.hpp"
#include "tests/support/private_postgres.hpp"

/// What a running engine tells of itself: metrics, readiness, structured logs.
namespace rowcall::e2e {
namespace {

using namespace std::chrono_literals;
using support::eventually;
using ::testing::HasSubstr;
using ::testing::Not;

std::string read_file(const std::string& path) {
  std::ifstream file{path};
  if (!file) throw std::runtime_error("there is no " + path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

/// Every metric that a text names, histograms without their suffix.
std::set<std::string> metrics_named_in(const std::string& text) {
  std::set<std::string> names;
  const std::regex name{"\\b(rowcall|process)_[a-z0-9_]+"}, part{"_(bucket|sum|count)$"};
  for (std::sregex_iterator at{text.begin(), text.end(), name}, end; at != end; ++at)
    names.insert(std::regex_replace(at->str(), part, ""));
  names.erase("rowcall_cluster_");  // "the figures named rowcall_cluster_"
  return names;
}

std::set<std::string> metrics_exposed_in(const std::string& exposition) {
  std::set<std::string> names;
  const std::regex type{"# TYPE ([a-z0-9_]+) "};
  for (std::sregex_iterator at{exposition.begin(), exposition.end(), type}, end; at != end; ++at)
    names.insert((*at)[1]);
  return names;
}

void submit(client::submitter& submitter, const std::string& session, const std::string& type, int count,
            const std::string& data = "{}") {
  std::vector<engine::command_request> batch;
  for (int i = 0; i < count; ++i) batch.push_back({id(session), type, data, {}});
  for (auto& o : submitter.submit(std::move(batch))) ASSERT_TRUE(o) << o.error().message;
}

TEST(telemetry_e2e_test, the_metrics_tell_what_was_processed) {
  auto database = support::fresh_database();
  const auto d = deployment::shared(database);
  watched_engine engine{d};
  ASSERT_TRUE(engine.becomes("/readyz", 200, "ready"));
  auto bus = d.connect();
  auto submitter = make_submitter(d, *bus);
  submit(*submitter, "echo-a", "say", 100);
  ASSERT_TRUE(eventually(20s, [&] { return engine.value("rowcall_commands_total") == 100; }));
  submit(*submitter, "echo-b", "park", 3);
  ASSERT_TRUE(eventually(20s, [&] { return engine.value("rowcall_commands_total") == 103; }));
  EXPECT_EQ(engine.value("rowcall_updates_total"), 103);
  EXPECT_EQ(engine.value("rowcall_submit_to_claim_seconds_count"), 103);
  EXPECT_EQ(engine.value("rowcall_turn_commands_sum"), 103);
  EXPECT_GE(engine.value("rowcall_claim_to_commit_seconds_count"), 2);
  EXPECT_EQ(engine.value("rowcall_commands_parked_total"), 3);
  EXPECT_EQ(engine.value("rowcall_database_connected"), 1);
  EXPECT_EQ(engine.value("rowcall_nats_connected"), 1);
  EXPECT_EQ(engine.value("rowcall_session_actors"), 2);
}

TEST(telemetry_e2e_test, every_metric_that_dashboard_alerts_and_manual_name_is_there_and_none_is_undocumented) {
  auto database = support::fresh_database();
  watched_engine engine{deployment::shared(database)};
  ASSERT_TRUE(engine.becomes("/metrics", 200, "rowcall_cluster_nodes"))
      << "what the database is asked for is there too";
  const auto exposed = metrics_exposed_in(engine.get("/metrics").body);
  const std::string folder = ROWCALL_SOURCE_DIR "/docs/operations/";
  for (const char* file : {"grafana-dashboard.json", "alerts.yml", "metrics.md"}) {
    const auto named = metrics_named_in(read_file(folder + file));
    EXPECT_GE(named.size(), 10u) << file;
    for (const auto& name : named) EXPECT_TRUE(exposed.contains(name)) << file << " names " << name;
  }
  const auto documented = metrics_named_in(read_file(folder + "metrics.md"));
  for (const auto& name : exposed) EXPECT_TRUE(documented.contains(name)) << "metrics.md lacks " << name;
}

TEST(telemetry_e2e_test, a_command_without_a_wake_counts_as_a_lost_one) {
  auto database = support::fresh_database();
  const auto d = deployment::shared(database);
  watched_engine engine{d};
  ASSERT_TRUE(engine.becomes("/readyz", 200, "ready"));
  EXPECT_EQ(engine.value("rowcall_lost_wakes_found_total"), 0);
  d.sql("INSERT INTO rowcall.commands (session_id, type, data) VALUES ('echo-sql', 'say', '{}')");
  EXPECT_TRUE(eventually(20s, [&] { return engine.value("rowcall_lost_wakes_found_total") >= 1; }));
  EXPECT_TRUE(eventually(20s, [&] { return engine.value("rowcall_commands_total") == 1; }));
  EXPECT_GE(engine.value("rowcall_sweeps_total{outcome=\"completed\"}"), 1);
}

TEST(telemetry_e2e_test, the_retention_counts_what_it_deletes) {
  auto database = support::fresh_database();
  const auto d = deployment::shared(database);
  // Ten old commands, answered and below a snapshot; the last of them stays.
  d.sql("INSERT INTO rowcall.kinds VALUES (default, 'echo'); INSERT INTO rowcall.sessions (session_id) VALUES ('echo-a');"
        "INSERT INTO rowcall.command_log (session_id, seq, type, data, created_at) "
        "SELECT 'echo-a', n, 'say', '{}', now() - interval '1 h' FROM generate_series(1, 10) n;"
        "INSERT INTO rowcall.update_log (session_id, seq, command_seq, type, data, created_at) "
        "SELECT session_id, seq, seq, 'echo', '{}', created_at FROM rowcall.command_log;"
        "INSERT INTO rowcall.snapshots (session_id, seq, command_seq, state) VALUES ('echo-a', 10, 10, '{}')");
  auto arguments = with_metrics;
  arguments.insert(arguments.end(), {"--retention", "1m"});
  watched_engine engine{d, arguments};
  EXPECT_TRUE(eventually(20s, [&] { return engine.value("rowcall_retention_rows_total{table=\"update_log\"}") == 9; }));
  EXPECT_TRUE(eventually(20s, [&] { return engine.value("rowcall_retention_rows_total{table=\"command_log\"}") == 9; }));
  EXPECT_GE(engine.value("rowcall_retention_chunks_total"), 1);
}

TEST(telemetry_e2e_test, the_figures_of_the_cluster_are_those_of_the_database) {
  auto database = support::fresh_database();
  const auto d = deployment::shared(database);
  auto arguments = with_metrics;
  arguments.insert(arguments.end(), {"--metrics-status-interval", "100ms"});
  watched_engine engine{d, arguments};
  ASSERT_TRUE(engine.becomes("/readyz", 200, "ready"));
  const auto becomes = [&](const std::string& metric, double value) {
    return eventually(20s, [&] { return engine.value("rowcall_cluster_" + metric) == value; });
  };
  EXPECT_TRUE(becomes("nodes", 1));
  EXPECT_TRUE(becomes("dead_letters", 0));
  EXPECT_TRUE(becomes("unserved_commands", 0));
  auto bus = d.connect();
  auto submitter = make_submitter(d, *bus);
  submit(*submitter, "echo-a", "park", 3);
  EXPECT_TRUE(becomes("dead_letters", 3));
  // A kind that some engine has served, and none does now.
  d.sql("INSERT INTO rowcall.kinds (kind) VALUES ('mail');"
        "INSERT INTO rowcall.commands (session_id, type, data) VALUES ('mail-a', 'send', '{}'), ('mail-a', 'send', '{}')");
  EXPECT_TRUE(becomes("unserved_commands", 2));
  EXPECT_TRUE(becomes("pending_commands", 2));
  EXPECT_TRUE(becomes("pending_sessions", 1));
  submit(*submitter, "echo-b", "fail", 1);
  EXPECT_TRUE(becomes("retrying_commands", 1));
}

TEST(telemetry_e2e_test, it_is_not_ready_while_nats_is_away) {
  auto database = support::fresh_database();
  support::private_nats nats;
  watched_engine engine{{database.url(), nats.url(), "rowcall"}};
  ASSERT_TRUE(engine.becomes("/readyz", 200, "ready"));
  nats.kill9();
  EXPECT_TRUE(engine.becomes("/readyz", 503, "NATS"));
  EXPECT_EQ(engine.value("rowcall_nats_connected"), 0);
  EXPECT_EQ(engine.value("rowcall_ready"), 0);
  EXPECT_EQ(engine.get("/healthz").status, 200) << "a restart would not help";
  nats.start();
  EXPECT_TRUE(engine.becomes("/readyz", 200, "ready"));
  EXPECT_TRUE(eventually(20s, [&] { return engine.value("rowcall_nats_reconnects_total") == 1; }));
}

TEST(telemetry_e2e_test, it_is_not_ready_before_and_while_postgresql_is_away) {
  support::private_postgres postgres;
  support::private_nats nats;
  support::migrate(postgres.url());
  postgres.stop();
  watched_engine engine{{postgres.url(), nats.url(), "rowcall"}};
  EXPECT_TRUE(engine.becomes("/readyz", 503, "starting"));
  EXPECT_EQ(engine.value("rowcall_ready"), 0);
  postgres.start();
  ASSERT_TRUE(engine.becomes("/readyz", 200, "ready"));
  postgres.kill9();
  EXPECT_TRUE(engine.becomes("/readyz", 503, "PostgreSQL"));
  EXPECT_EQ(engine.value("rowcall_database_connected"), 0);
  EXPECT_EQ(engine.get("/healthz").status, 200);
  postgres.start();
  EXPECT_TRUE(engine.becomes("/readyz", 200, "ready"));
  EXPECT_TRUE(eventually(20s, [&] { return engine.value("rowcall_database_reconnects_total") >= 1; }));
}

std::vector<std::string> lines_with(const std::string& log, const std::string& text) {
  std::vector<std::string> found;
  std::istringstream lines{log};
  for (std::string line; std::getline(lines, line);)
    if (line.find(text) != std::string::npos) found.push_back(line);
  return found;
}

TEST(telemetry_e2e_test, a_json_log_names_session_and_command_counts_what_it_leaves_out_and_shows_no_data) {
  auto database = support::fresh_database();
  const auto d = deployment::shared(database);
  auto arguments = with_metrics;
  arguments.insert(arguments.end(), {"--log-format", "json", "--log-repeat-max", "5", "--log-repeat-period", "1h"});
  watched_engine engine{d, arguments};
  ASSERT_TRUE(engine.becomes("/readyz", 200, "ready"));
  auto bus = d.connect();
  auto submitter = make_submitter(d, *bus);
  submit(*submitter, "echo-a", "park", 40, R"({"word":"secret"})");
  ASSERT_TRUE(eventually(20s, [&] { return engine.value("rowcall_commands_parked_total") == 40; }));
  engine.engine().process().signal(15);
  ASSERT_EQ(engine.engine().process().wait(20s), 0);
  const auto log = engine.engine().log();
  EXPECT_THAT(log, Not(HasSubstr("secret")));
  const auto parked = lines_with(log, R"("event":"command_parked","session":"echo-a","command":)");
  EXPECT_EQ(parked.size(), 5u) << log;
  EXPECT_EQ(lines_with(log, R"("event":"command_parked","left_out":35})").size(), 1u) << log;
  engine::json::parser parser;
  std::istringstream lines{log};
  for (std::string line; std::getline(lines, line);) EXPECT_TRUE(parser.parse_object(line)) << line;
}

TEST(telemetry_e2e_test, the_log_shows_data_when_it_is_asked_to) {
  auto database = support::fresh_database();
  const auto d = deployment::shared(database);
  auto arguments = with_metrics;
  arguments.push_back("--log-data");
  watched_engine engine{d, arguments};
  ASSERT_TRUE(engine.becomes("/readyz", 200, "ready"));
  auto bus = d.connect();
  auto submitter = make_submitter(d, *bus);
  submit(*submitter, "echo-a", "park", 1, R"({"word":"secret"})");
  EXPECT_TRUE(eventually(20s, [&] { return !lines_with(engine.engine().log(), "secret").empty(); }));
  EXPECT_THAT(engine.engine().log(), HasSubstr("session=echo-a command=1 detail=error: told to fail; data: {\"word\""));
}

TEST(telemetry_e2e_test, top_on_a_pipe_prints_once_what_is_busy) {
  auto database = support::fresh_database();
  const auto d = deployment::shared(database);
  watched_engine engine{d};
  ASSERT_TRUE(engine.becomes("/readyz", 200, "ready"));
  auto bus = d.connect();
  auto submitter = make_submitter(d, *bus);
  submit(*submitter, "echo-hot", "say", 50);
  submit(*submitter, "echo-cold", "say", 2);
  submit(*submitter, "echo-stuck", "fail", 3);
  ASSERT_TRUE(eventually(20s, [&] { return engine.value("rowcall_commands_total") == 52; }));
  ASSERT_TRUE(eventually(20s, [&] { return engine.value("rowcall_retries_total") >= 1; }));
  const auto run = run_rowcall(d, {"top", "--sessions", "2"});
  EXPECT_EQ(run.exit_code, 0);
  EXPECT_THAT(run.output, HasSubstr("pending     3 in 1 session, "));
  EXPECT_THAT(run.output, HasSubstr("echo-hot"));
  EXPECT_THAT(run.output, HasSubstr("echo-stuck"));
  EXPECT_THAT(run.output, Not(HasSubstr("echo-cold"))) << "only as many as asked for";
  EXPECT_LT(run.output.find("echo-stuck"), run.output.find("echo-hot")) << "pending ones first";
  const auto json = run_rowcall(d, {"top", "--json"});
  EXPECT_THAT(json.output, HasSubstr(R"({"session":"echo-stuck","pending_commands":3,)"));
}

TEST(telemetry_e2e_test, an_address_in_use_is_an_error_that_names_it) {
  auto database = support::fresh_database();
  const auto d = deployment::shared(database);
  httplib::Server other;
  const int port = other.bind_to_any_port("127.0.0.1");
  const auto address = "127.0.0.1:" + std::to_string(port);
  const auto run = run_rowcall(d, {"serve", "--metrics-listen", address});
  EXPECT_EQ(run.exit_code, 1);
  EXPECT_THAT(run.output, HasSubstr("can not listen on " + address));
}

}  // namespace
}  // namespace rowcall::e2e
