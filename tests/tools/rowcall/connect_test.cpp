#include <gtest/gtest.h>

#include "tools/connect/command_line.hpp"
#include "tools/connect/connect.hpp"
#include "tools/connect/duration.hpp"

namespace rowcall::tools {
namespace {

using std::chrono::milliseconds;

TEST(duration, is_read_with_its_unit) {
  EXPECT_EQ(parse_duration("250ms"), milliseconds{250});
  EXPECT_EQ(parse_duration("10s"), milliseconds{10'000});
  EXPECT_EQ(parse_duration("0.5s"), milliseconds{500});
  EXPECT_EQ(parse_duration("5m"), milliseconds{300'000});
  EXPECT_EQ(parse_duration("2h"), milliseconds{7'200'000});
  EXPECT_EQ(parse_duration("7d"), milliseconds{604'800'000});
  EXPECT_EQ(parse_duration("0"), milliseconds{0});
}

/// A retention of 7 is meant in days by one and read in seconds by another.
TEST(duration, without_its_unit_is_refused) {
  for (const char* text : {"7", "0.5", "10"}) EXPECT_FALSE(parse_duration(text)) << text;
}

TEST(duration, that_makes_no_sense_is_refused) {
  for (const char* text : {"", "s", "10 s", "-1s", "10x", "1e3s", "nan", "inf", "99999999d"})
    EXPECT_FALSE(parse_duration(text)) << text;
}

TEST(duration, is_written_so_that_it_reads_back) {
  for (const char* text : {"0s", "1500ms", "90s", "7d", "1h", "1m"})
    EXPECT_EQ(format_duration(*parse_duration(text)), text);
}

TEST(duration, is_described_for_people) {
  EXPECT_EQ(describe_duration(milliseconds{3}), "3 ms");
  EXPECT_EQ(describe_duration(milliseconds{4'200}), "4.2 s");
  EXPECT_EQ(describe_duration(milliseconds{310'000}), "5 min 10 s");
  EXPECT_EQ(describe_duration(milliseconds{7'200'000}), "2 h");
  EXPECT_EQ(describe_duration(milliseconds{183'600'000}), "2 d 3 h");
}

TEST(a_url, is_shown_without_its_password) {
  EXPECT_EQ(without_password("postgresql://ann:sesame@db:5432/rowcall"), "postgresql://ann:***@db:5432/rowcall");
  EXPECT_EQ(without_password("postgresql://ann:a:b@db/rowcall"), "postgresql://ann:***@db/rowcall");
  EXPECT_EQ(without_password("postgresql://ann@db/rowcall"), "postgresql://ann@db/rowcall");
  EXPECT_EQ(without_password("postgresql:///rowcall?host=/run/pg&password=sesame&user=ann"),
            "postgresql:///rowcall?host=/run/pg&password=***&user=ann");
  EXPECT_EQ(without_password("host=db password=sesame dbname=x"), "host=db password=*** dbname=x");
  EXPECT_EQ(without_password("host=db password = 'ses\\'ame x' dbname=x"), "host=db password = *** dbname=x");
  EXPECT_EQ(without_password("nats://a:one@h1:4222,nats://b:two@h2:4222"), "nats://a:***@h1:4222,nats://b:***@h2:4222");
}

TEST(an_option, has_its_environment_variable_by_rule) {
  EXPECT_EQ(environment_name("ROWCALL", "", "log-level"), "ROWCALL_LOG_LEVEL");
  EXPECT_EQ(environment_name("ROWCALL", "serve", "workers"), "ROWCALL_SERVE_WORKERS");
  EXPECT_EQ(environment_name("ROWCALL", "migrate.down", "to"), "ROWCALL_MIGRATE_DOWN_TO");
}

}  // namespace
}  // namespace rowcall::tools
