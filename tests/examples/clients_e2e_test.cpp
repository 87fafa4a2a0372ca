#include <gmock/gmock.h>
#include <signal.h>

#include <fstream>

#include "engine/json.hpp"
#include "tests/e2e/deployment.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/private_nats.hpp"
#include "tests/support/private_postgres.hpp"
#include "tests/support/servers.hpp"

/// docs/protocol.md, proven by clients that share no code with the project: the same tests for each language. A client
/// is a program that prints one JSON object a line (see examples/python/client.py); CMake says how it is started.
namespace rowcall::e2e {
namespace {

using namespace std::chrono_literals;
using support::eventually;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

/// What a client prints about an update; `text` is the member of that name of its data.
struct printed {
  std::int64_t seq = 0, command_seq = 0;
  std::string type, text;
  bool gone = false;
  friend bool operator==(const printed&, const printed&) = default;
  friend void PrintTo(const printed& p, std::ostream* out) {
    *out << p.seq << ' ' << p.command_seq << ' ' << p.type << ' ' << p.text;
  }
};

/// All complete lines of a file, but for what is said to people (stderr goes there as well).
std::vector<printed> lines_of(const std::string& file) {
  std::ifstream in(file);
  std::vector<printed> all;
  engine::json::parser parser;
  for (std::string line; std::getline(in, line) && !in.eof();) {
    if (!line.starts_with('{')) continue;
    const auto o = parser.parse_object(line);
    if (!o) throw std::runtime_error("no JSON object: " + line);
    printed p;
    p.seq = engine::json::int_at(*o, "seq").value_or(0);
    p.command_seq = engine::json::int_at(*o, "command_seq").value_or(0);
    p.type = engine::json::string_at(*o, "type").value_or("");
    if (const auto outcome = engine::json::string_at(*o, "outcome")) p.type = *outcome;
    if (simdjson::dom::object data; o->at_key("data").get(data) == simdjson::SUCCESS)
      p.text = engine::json::string_at(data, "text").value_or("");
    if (simdjson::dom::object state; o->at_key("state").get(state) == simdjson::SUCCESS)
      p.text = engine::json::string_at(state, "name").value_or("");
    p.gone = o->at_key("gone").error() == simdjson::SUCCESS;
    all.push_back(std::move(p));
  }
  return all;
}

struct clients_e2e_test : testing::Test {
  support::database database = support::fresh_database();
  deployment d = deployment::shared(database);
  std::string folder = support::make_directory();
  std::string database_url = d.database_url;  ///< the client's
  std::vector<std::string> environment() const {
    return {"ROWCALL_DATABASE_URL=" + database_url, "ROWCALL_NATS_URL=" + d.nats_url,
            "ROWCALL_SUBJECT_PREFIX=" + d.prefix};
  }

  support::process start(std::vector<std::string> arguments, const std::string& output) {
    std::vector<std::string> argv{ROWCALL_CLIENT};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    support::process::options how;
    how.output = output;
    how.environment = environment();
    return support::process(argv, how);
  }

  struct result {
    int exit_code;
    std::vector<printed> lines;
  };
  /// A submit, to its end.
  result submit(std::vector<std::string> arguments) {
    const auto output = folder + "/submit-" + std::to_string(++submits_);
    arguments.insert(arguments.begin(), "submit");
    auto p = start(std::move(arguments), output);
    const auto code = p.wait(30s);
    return {code.value_or(-1), lines_of(output)};
  }

  std::vector<printed> log_of(const std::string& session) {
    std::vector<printed> all;
    for (const auto& row :
         d.sql("SELECT seq, command_seq, type, data->>'text' FROM rowcall.update_log WHERE session_id = '" + session +
               "' ORDER BY seq"))
      all.push_back({std::stoll(row[0]), std::stoll(row[1]), row[2], row[3]});
    return all;
  }

  void say(client::submitter& submitter, int first, int count) {
    std::vector<engine::command_request> batch;
    for (int i = first; i < first + count; ++i)
      batch.push_back(
          {id("echo-a"), "say", R"({"text":"line )" + std::to_string(i) + "\"}", "key-" + std::to_string(i)});
    for (auto& o : submitter.submit(std::move(batch))) ASSERT_TRUE(o) << o.error().message;
  }

  int submits_ = 0;
};

TEST_F(clients_e2e_test, a_submit_is_stored_once_by_its_key_and_waits_for_its_receipt) {
  engine_process engine(d);
  engine.wait_ready();
  const auto first = submit({"echo-a", "say", R"({"text":"hällo ✓"})", "--key", "k1", "--wait", "20"});
  EXPECT_EQ(first.exit_code, 0);
  ASSERT_EQ(first.lines.size(), 2u);
  EXPECT_EQ(first.lines[0], (printed{1, 0, "stored", ""}));
  EXPECT_EQ(first.lines[1], (printed{1, 1, "echo", "hällo ✓"}));
  const auto again = submit({"echo-a", "say", R"({"text":"other"})", "--key", "k1", "--wait", "20"});
  ASSERT_EQ(again.lines.size(), 2u);
  EXPECT_EQ(again.lines[0], (printed{1, 0, "duplicate", ""}));
  EXPECT_EQ(again.lines[1], first.lines[1]);
  EXPECT_EQ(d.value("SELECT count(*) FROM rowcall.command_log"), "1");
}

TEST_F(clients_e2e_test, a_refused_command_and_a_rejected_one_are_told_apart) {
  engine_process engine(d);
  engine.wait_ready();
  const auto refused = submit({"nobodys-a", "say", "{}"});
  EXPECT_EQ(refused.exit_code, 1);
  ASSERT_EQ(refused.lines.size(), 1u);
  EXPECT_EQ(refused.lines[0].type, "unknown_kind");
  const auto rejected = submit({"echo-a", "reject", "{}", "--wait", "20"});
  EXPECT_EQ(rejected.exit_code, 0);
  ASSERT_EQ(rejected.lines.size(), 2u);
  EXPECT_EQ(rejected.lines[1].type, "command_rejected");
}

TEST_F(clients_e2e_test, what_makes_no_sense_is_refused_with_a_word_about_it) {
  engine_process engine(d);
  engine.wait_ready();
  for (const auto& arguments : {std::vector<std::string>{"submit", "nosuch", "say", "{}"},
                                {"submit", "echo-a", "say", "{"},
                                {"submit", "echo-a", "say", "[]"},
                                {"submit", "echo-a", "two words", "{}"},
                                {"follow", "nosuch"}}) {
    const auto output = folder + "/refused-" + std::to_string(++submits_);
    auto p = start(arguments, output);
    EXPECT_EQ(p.wait(30s), 2) << ::testing::PrintToString(arguments);
    EXPECT_THAT(support::tail_of(output),
                AllOf(HasSubstr("client."), Not(HasSubstr("Traceback")), Not(HasSubstr("    at "))));
  }
}

TEST_F(clients_e2e_test, a_role_needs_no_more_rights_than_the_documentation_grants) {
  const auto role = "r" + support::unique_name();
  d.sql("CREATE ROLE " + role + " LOGIN");
  std::ifstream page(ROWCALL_DOCUMENTATION);
  std::string grants;
  for (std::string line; std::getline(page, line);)
    if (line.starts_with("GRANT ") || (!grants.empty() && !grants.ends_with(';'))) grants += line;
  ASSERT_THAT(grants, HasSubstr(" TO guest;"));
  for (auto at = grants.find("TO guest;"); at != std::string::npos; at = grants.find("TO guest;"))
    grants.replace(at, 9, "TO " + role + ";");
  d.sql(grants);
  engine_process engine(d);
  engine.wait_ready();
  ASSERT_THAT(d.database_url, HasSubstr("//rowcall@"));
  database_url.replace(database_url.find("//rowcall@"), 10, "//" + role + "@");
  const auto own = submit({"echo-a", "say", "{}", "--key", "k", "--wait", "20"});
  EXPECT_EQ(own.exit_code, 0);
  EXPECT_EQ(own.lines.size(), 2u);
  auto follower = start({"follow", "echo-a", "--count", "1"}, folder + "/seen");
  EXPECT_EQ(follower.wait(20s), 0);
  d.sql("DROP OWNED BY " + role + "; DROP ROLE " + role);
}

TEST_F(clients_e2e_test, the_wake_of_a_submit_reaches_the_engine) {
  auto bus = d.connect();
  std::mutex mutex;
  std::vector<engine::wake> wakes;
  auto subscription = bus->on_wakes([&](engine::wake w) {
    const std::lock_guard lock(mutex);
    wakes.push_back(std::move(w));
  });
  ASSERT_TRUE(bus->flush(5s));
  d.sql("INSERT INTO rowcall.kinds (kind) VALUES ('echo')");
  EXPECT_EQ(submit({"echo-a", "say", "{}"}).exit_code, 0);
  EXPECT_TRUE(eventually(10s, [&] {
    const std::lock_guard lock(mutex);
    return wakes.size() == 1;
  }));
  const std::lock_guard lock(mutex);
  ASSERT_EQ(wakes.size(), 1u);
  EXPECT_EQ(wakes[0].session, id("echo-a"));
  EXPECT_EQ(wakes[0].last.value, 1);
}

TEST_F(clients_e2e_test, a_follower_that_was_killed_resumes_at_its_seq_without_loss_or_repetition) {
  engine_process engine(d);
  engine.wait_ready();
  auto bus = d.connect();
  auto submitter = make_submitter(d, *bus);
  say(*submitter, 0, 1'200);  // more than a page
  auto follower = start({"follow", "echo-a"}, folder + "/first");
  ASSERT_TRUE(eventually(20s, [&] { return lines_of(folder + "/first").size() >= 700; }));
  say(*submitter, 1'200, 50);
  follower.kill9();
  auto seen = lines_of(folder + "/first");
  say(*submitter, 1'250, 50);
  ASSERT_TRUE(drained(d));
  auto second = start(
      {"follow", "echo-a", "--after", std::to_string(seen.back().seq), "--count", std::to_string(1'300 - seen.size())},
      folder + "/second");
  EXPECT_EQ(second.wait(20s), 0);
  const auto rest = lines_of(folder + "/second");
  seen.insert(seen.end(), rest.begin(), rest.end());
  EXPECT_EQ(seen, log_of("echo-a"));
}

TEST_F(clients_e2e_test, notices_that_are_doubled_reordered_or_leave_a_gap_do_no_harm) {
  auto bus = d.connect();
  auto follower = start({"follow", "echo-a"}, folder + "/seen");
  auto publish = [&](std::int64_t first, std::int64_t last, bool with_updates) {
    engine::update_notice n{id("echo-a"), {first}, {last}, {}};
    for (auto seq = first; with_updates && seq <= last; ++seq)
      n.updates.push_back({{seq}, {seq}, "echo", R"({"text":"noticed"})", {}});
    bus->publish({&n, 1});
  };
  auto has = [&](std::size_t count) { return lines_of(folder + "/seen").size() >= count; };
  // Nothing of this is in the log: what is printed was taken from a notice. Repeated until it has subscribed.
  ASSERT_TRUE(eventually(20s, [&] { return publish(1, 2, true), has(2); }));
  publish(1, 2, true);
  publish(4, 4, true);   // 3 is missing: it looks at the log
  publish(2, 3, true);   // begins with what it has: it looks
  publish(3, 3, false);  // brings nothing along: it looks
  publish(3, 3, true);
  ASSERT_TRUE(eventually(20s, [&] { return publish(4, 5, true), has(5); }));
  const auto seen = lines_of(folder + "/seen");
  ASSERT_EQ(seen.size(), 5u);
  for (std::int64_t i = 0; i < 5; ++i)
    EXPECT_EQ(seen[static_cast<std::size_t>(i)], (printed{i + 1, i + 1, "echo", "noticed"}));
}

TEST_F(clients_e2e_test, nats_may_be_killed_under_it) {
  support::private_nats nats;
  d.nats_url = nats.url();
  engine_process engine(d);
  engine.wait_ready();
  auto follower = start({"follow", "echo-a"}, folder + "/seen");
  auto has = [&](std::size_t count) { return lines_of(folder + "/seen").size() >= count; };
  EXPECT_EQ(submit({"echo-a", "say", R"({"text":"before"})"}).exit_code, 0);
  ASSERT_TRUE(eventually(20s, [&] { return has(1); }));

  nats.kill9();
  const auto without = submit({"echo-a", "say", R"({"text":"without"})", "--key", "k", "--wait", "20"});
  EXPECT_EQ(without.exit_code, 0) << "the sweep finds it, the client polls";
  ASSERT_TRUE(eventually(20s, [&] { return has(2); }));

  nats.start();
  EXPECT_EQ(submit({"echo-a", "say", R"({"text":"after"})", "--wait", "20"}).exit_code, 0);
  ASSERT_TRUE(eventually(20s, [&] { return has(3); }));
  EXPECT_TRUE(follower.running());
  EXPECT_EQ(lines_of(folder + "/seen"), log_of("echo-a"));

  // It has subscribed again: this one is in no log.
  auto bus = d.connect();
  const engine::update_notice n{id("echo-a"), {4}, {4}, {{{4}, {4}, "echo", "{}", {}}}};
  EXPECT_TRUE(eventually(20s, [&] { return bus->publish({&n, 1}), has(4); }));
}

TEST_F(clients_e2e_test, its_database_connections_may_be_cut) {
  engine_process engine(d);
  engine.wait_ready();
  auto bus = d.connect();
  auto submitter = make_submitter(d, *bus);
  auto follower = start({"follow", "echo-a"}, folder + "/seen");
  for (int round = 0; round < 3; ++round) {
    say(*submitter, round * 10, 10);
    d.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> "
        "pg_backend_pid()");
    EXPECT_EQ(submit({"echo-a", "say", R"({"text":"own"})", "--key", "own-" + std::to_string(round)}).exit_code, 0);
    const auto count = static_cast<std::size_t>(round + 1) * 11;
    ASSERT_TRUE(eventually(20s, [&] { return lines_of(folder + "/seen").size() >= count; }));
  }
  EXPECT_TRUE(follower.running());
  EXPECT_EQ(lines_of(folder + "/seen"), log_of("echo-a"));
}

TEST_F(clients_e2e_test, a_crash_of_the_database_server_is_an_outage) {
  support::private_postgres postgres;
  const support::database its_database{postgres.url(), support::schema::migrated};
  d.database_url = database_url = its_database.url();
  d.sql("INSERT INTO rowcall.kinds (kind) VALUES ('echo')");
  const auto update = [&](int seq) {
    const auto n = std::to_string(seq);
    d.sql("INSERT INTO rowcall.update_log (session_id, seq, command_seq, type, data) VALUES ('echo-a', " + n + ", " +
          n + ", 'echo', '{}')");
  };
  update(1);
  auto follower = start({"follow", "echo-a"}, folder + "/seen");
  ASSERT_TRUE(eventually(20s, [&] { return lines_of(folder + "/seen").size() == 1; }));
  for (int round = 0; round < 3; ++round) {
    support::sql_connection victim{d.database_url};
    const auto pid = victim.backend_pid();
    ASSERT_EQ(kill(pid, SIGKILL),
              0);  // all other backends are ended: PostgreSQL can not trust what they share any more
    ASSERT_TRUE(eventually(20s, [&] { return kill(pid, 0) != 0; }));
    ASSERT_TRUE(eventually(20s, [&] {
      try {
        return d.value("SELECT 1") == "1";
      } catch (const std::exception&) {
        return false;
      }
    }));
    update(round + 2);
    const auto count = static_cast<std::size_t>(round + 2);
    ASSERT_TRUE(eventually(20s, [&] { return lines_of(folder + "/seen").size() == count; })) << follower.running();
  }
  EXPECT_TRUE(follower.running());
}

TEST_F(clients_e2e_test, it_reads_data_that_is_nested_as_deep_as_the_engine_takes_it) {
  engine_process engine(d);
  engine.wait_ready();
  std::string deep = "1";
  for (int i = 0; i < 1'023; ++i) deep = R"({"a":)" + deep + "}";
  d.sql("SELECT rowcall.submit('echo-a', 'say', '" + deep +
        "'), rowcall.submit('echo-a', 'say', '{\"text\":\"after it\"}')");
  auto follower = start({"follow", "echo-a"}, folder + "/seen");
  ASSERT_TRUE(eventually(20s, [&] {
    std::ifstream in(folder + "/seen");
    const std::string all{std::istreambuf_iterator<char>{in}, {}};
    return all.find("after it") != std::string::npos;
  }));
  EXPECT_TRUE(follower.running());
}

TEST_F(clients_e2e_test, it_goes_on_from_the_snapshot_when_retention_removed_what_came_next) {
  engine_process engine(d, {"--snapshot-interval-updates", "20", "--retention", "1s", "--retention-interval", "100ms"});
  engine.wait_ready();
  auto bus = d.connect();
  auto submitter = make_submitter(d, *bus);
  std::vector<engine::command_request> batch{{id("chat-1"), "create_chat", R"({"name":"Lunch","sender":"ann"})", {}}};
  for (int i = 0; i < 100; ++i) batch.push_back({id("chat-1"), "post_message", R"({"text":"hi","sender":"ann"})", {}});
  for (auto& o : submitter->submit(std::move(batch))) ASSERT_TRUE(o) << o.error().message;
  ASSERT_TRUE(drained(d));
  ASSERT_TRUE(eventually(20s, [&] { return std::stol(d.value("SELECT count(*) FROM rowcall.update_log")) < 50; }));
  auto follower = start({"follow", "chat-1"}, folder + "/seen");
  ASSERT_TRUE(eventually(20s, [&] {
    const auto seen = lines_of(folder + "/seen");
    return !seen.empty() && seen.back().seq == 102;
  }));
  const auto seen = lines_of(folder + "/seen");
  ASSERT_TRUE(seen[0].gone);
  EXPECT_EQ(seen[0].text, "Lunch") << "the chat's state";
  EXPECT_GE(seen[0].seq, 20);
  for (std::size_t i = 1; i < seen.size(); ++i) EXPECT_EQ(seen[i].seq, seen[i - 1].seq + 1);
}

TEST_F(clients_e2e_test, after_a_restore_it_begins_anew_with_what_the_database_holds) {
  const auto log = [](const std::string& text, int count) {
    return "INSERT INTO rowcall.update_log (session_id, seq, command_seq, type, data) SELECT 'echo-a', n, n, 'echo', "
           "jsonb_build_object('text', '" +
           text + "') FROM generate_series(1, " + std::to_string(count) + ") n;";
  };
  d.sql(log("old", 5));
  auto follower = start({"follow", "echo-a"}, folder + "/seen");
  auto has = [&](std::size_t count) { return lines_of(folder + "/seen").size() >= count; };
  ASSERT_TRUE(eventually(20s, [&] { return has(5); }));
  // Older than what was seen, then longer than that again: only the incarnation tells.
  d.sql("BEGIN; DELETE FROM rowcall.update_log;" + log("other", 7) + "SELECT rowcall.mark_restored(); COMMIT");
  ASSERT_TRUE(eventually(20s, [&] { return has(5 + 1 + 7); }));
  d.sql(
      "BEGIN; INSERT INTO rowcall.snapshots (session_id, seq, command_seq, state) VALUES ('echo-a', 6, 6, "
      "'{\"name\":\"kept\"}');"
      "SELECT rowcall.mark_restored(); COMMIT");
  ASSERT_TRUE(eventually(20s, [&] { return has(5 + 1 + 7 + 1 + 1); }));
  const auto seen = lines_of(folder + "/seen");
  ASSERT_EQ(seen.size(), 15u);
  EXPECT_TRUE(seen[5].gone);
  EXPECT_EQ(seen[5].seq, 0) << "there is no snapshot: from the beginning";
  for (std::int64_t i = 1; i <= 7; ++i)
    EXPECT_EQ(seen[static_cast<std::size_t>(5 + i)], (printed{i, i, "echo", "other"}));
  EXPECT_TRUE(seen[13].gone);
  EXPECT_EQ(seen[13].seq, 6);
  EXPECT_EQ(seen[13].text, "kept");
  EXPECT_EQ(seen[14], (printed{7, 7, "echo", "other"}));
}

}  // namespace
}  // namespace rowcall::e2e
