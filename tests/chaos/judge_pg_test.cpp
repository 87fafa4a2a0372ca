#include "tests/chaos/judge.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/checker/checker.hpp"
#include "tests/support/database.hpp"

namespace rowcall::chaos {
namespace {

/// Two commands of one session, answered; and one of the load generator.
struct judge_pg_test : testing::Test {
  support::database database = support::fresh_database();
  void SetUp() override {
    sql("INSERT INTO rowcall.kinds (kind) VALUES ('echo')");
    sql(R"(SELECT rowcall.submit('echo-a', 'say', '{"id": "x1"}'), rowcall.submit('echo-a', 'say', '{"id": "x2"}'),
                  rowcall.submit('echo-load-0', 'say', '{"id": "x3"}'))");
    sql("INSERT INTO rowcall.update_log (session_id, seq, command_seq, type, data) VALUES ('echo-a', 1, 1, 'said', '{}'), "
        "('echo-a', 2, 2, 'said', '{}')");
  }
  void sql(const std::string& statement) { support::query(database.url(), statement); }
  checker::history read() const {
    checker::history h;
    h.submits = {{"ann", "echo-a", "say", "x1", checker::outcome::acknowledged, 1},
                 {"ann", "echo-a", "say", "x2", checker::outcome::acknowledged, 2}};
    read_database(database.url(), h);
    return h;
  }
  static bool has(const std::vector<checker::violation>& found, checker::rule r) {
    return std::any_of(found.begin(), found.end(), [r](const auto& v) { return v.broken == r; });
  }
};

TEST_F(judge_pg_test, reads_what_a_sound_database_holds_without_the_load_generators_sessions) {
  const auto h = read();
  ASSERT_EQ(h.logs.size(), 1u);
  for (const auto& c : h.logs.at("echo-a").commands) EXPECT_EQ(c.status, "processed");
  for (const auto& v : checker::check(h)) ADD_FAILURE() << v.text;
}

TEST_F(judge_pg_test, a_command_that_the_view_leaves_out_or_shows_twice_is_caught) {
  sql("ALTER VIEW rowcall.commands RENAME TO whole; CREATE VIEW rowcall.commands AS SELECT * FROM rowcall.whole WHERE seq <> 2");
  auto h = read();
  EXPECT_EQ(h.logs.at("echo-a").commands.at(1).status, "missing");
  EXPECT_TRUE(has(checker::check(h), checker::rule::status_is_true));
  sql("CREATE OR REPLACE VIEW rowcall.commands AS SELECT * FROM rowcall.whole UNION ALL SELECT * FROM rowcall.whole WHERE seq = 2");
  EXPECT_TRUE(has(checker::check(read()), checker::rule::status_is_true));
}

}  // namespace
}  // namespace rowcall::chaos
