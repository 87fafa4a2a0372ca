#include "tools/rowcall/status_text.hpp"

#include <gmock/gmock.h>

namespace rowcall::tools {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Not;

/// Every figure has a value that no other has.
engine::status_report report() {
  engine::status_report s;
  s.sessions = 11;
  s.pending_commands = 12'345;
  s.pending_sessions = 13;
  s.retrying = 14;
  s.dead = 15;
  s.unserved_commands = 16;
  s.unserved_kinds = {"gone", "old"};
  engine::retrying_session held;
  held.session = *engine::session_id::parse("echo-held");
  held.retry.command = {31};
  held.retry.attempts = 32;
  held.retry.wait = 33s;
  held.retry.last_error = "no\x1b[2J";
  s.retrying_sessions = {held};
  s.oldest_pending_age = 4'200ms;
  s.turns_per_s = 18.5;
  s.commands_per_s = 1900.25;
  s.schema_version = 20;
  engine::node_info a;
  a.node = "host-a";
  a.kinds = {"chat", "echo"};
  a.heartbeat_age = 21ms;
  a.uptime = 310s;
  a.version = "0.1.0";
  engine::node_info b;
  b.node = "host-b\x1b[2J";
  b.kinds = {"user"};
  b.heartbeat_age = 23ms;
  b.uptime = 24s;
  s.nodes = {a, b};
  return s;
}

TEST(status_json, has_every_figure_under_its_name) {
  EXPECT_EQ(status_json(report()),
            R"({"sessions":11,"pending_commands":12345,"pending_sessions":13,"pending_is_exact":true,)"
            R"("oldest_pending_age_ms":4200,"unserved_commands":16,"unserved_kinds":["gone","old"],"retrying":14,)"
            R"("retrying_sessions":[{"session":"echo-held","command_seq":31,"attempts":32,"next_in_ms":33000,)"
            R"("error":"no\u001b[2J"}],"dead":15,"turns_per_s":18.5,)"
            R"("commands_per_s":1900.25,"schema_version":20,"nodes":[)"
            R"({"node":"host-a","kinds":["chat","echo"],"uptime_s":310,"heartbeat_age_ms":21,"version":"0.1.0"},)"
            R"({"node":"host-b\u001b[2J","kinds":["user"],"uptime_s":24,"heartbeat_age_ms":23,"version":""}]})");
}

TEST(status_json, says_when_the_count_stopped_at_a_bound) {
  auto s = report();
  s.pending_is_exact = false;
  EXPECT_THAT(status_json(s), HasSubstr(R"("pending_is_exact":false)"));
}

TEST(status_text, has_every_figure_in_its_line) {
  EXPECT_EQ(status_text(report()),
            "sessions          11\n"
            "pending commands  12,345 in 13 sessions, the oldest for 4.2 s\n"
            "                  16 of them wait for a kind that no running engine serves: gone, old\n"
            "retrying          14\n"
            "                  echo-held command 31: 32 attempts, again in 33.0 s, no\xEF\xBF\xBD[2J\n"
            "                  and 13 more\n"
            "dead letters      15  (see `rowcall dead list`)\n"
            "rate              18.5 turns/s, 1900.2 commands/s\n"
            "schema            version 20\n"
            "engines           host-a: chat echo; up 5 min 10 s, heard 21 ms ago, version 0.1.0\n"
            "                  host-b\xEF\xBF\xBD[2J: user; up 24.0 s, heard 23 ms ago");
}

TEST(status_text, says_nothing_of_what_there_is_none) {
  const auto text = status_text({});
  for (const char* part : {"oldest", "of them wait", "dead list", "at least"}) EXPECT_THAT(text, Not(HasSubstr(part)));
  EXPECT_THAT(text, HasSubstr("pending commands  0\n"));
  EXPECT_THAT(text, HasSubstr("engines           none is running: start one with `rowcall serve`"));
}

TEST(status_text, says_when_the_count_stopped_at_a_bound) {
  auto s = report();
  s.pending_is_exact = false;
  EXPECT_THAT(status_text(s), HasSubstr("pending commands  at least 12,345 in 13 sessions"));
}

}  // namespace
}  // namespace rowcall::tools
