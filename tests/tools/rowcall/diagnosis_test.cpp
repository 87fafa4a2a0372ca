#include "tools/rowcall/diagnosis.hpp"

#include <gmock/gmock.h>

namespace rowcall::tools {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

/// A deployment in good health, for each test to spoil.
symptoms healthy() {
  symptoms s;
  auto& p = *s.postgres;
  p.version_num = 150008;
  p.version = "15.8";
  p.encoding = "UTF8";
  p.round_trip = std::chrono::microseconds{200};
  p.fsync = p.full_page_writes = p.synchronous_commit = "on";
  p.connections_max = 97;
  p.connections_used = 10;
  p.xid_age = 1'000'000;
  p.sees_all = true;
  s.migrations->push_back({1, "tables", true, 1, false, "now"});
  engine::status_report r;
  r.nodes.push_back({"n1", {"chat", "echo"}, {}, {}, "1.0"});
  s.status = r;
  s.kinds = {"chat", "echo"};
  s.bus->version = "2.9.10";
  s.bus->payload_bytes_max = 1 << 20;
  s.bus->requires_credentials = true;
  s.bus->may_wake = s.bus->may_hear_wakes = s.bus->may_notify = s.bus->may_hear_updates = s.bus->delivers = true;
  s.notice_bytes_max = 16'384;
  return s;
}

/// The worst of an area's findings; its text and advice in `text`.
severity of(const symptoms& s, const std::string& area, std::string* text = nullptr) {
  std::vector<finding> found;
  for (auto& f : diagnose(s))
    if (f.area == area) {
      if (text && f.how == severity::ok) continue;
      if (text) *text += f.text + " | " + f.advice;
      found.push_back(f);
    }
  return worst_of(found);
}

TEST(diagnosis, finds_nothing_wrong_with_a_healthy_deployment) {
  for (const auto& f : diagnose(healthy())) EXPECT_EQ(f.how, severity::ok) << f.area << ": " << f.text;
}

TEST(diagnosis, gives_advice_with_everything_that_is_not_well) {
  symptoms s;
  s.postgres = engine::fail(engine::errc::unavailable, "refused");
  s.bus = engine::fail(engine::errc::unavailable, "refused");
  for (const auto& f : diagnose(s))
    EXPECT_TRUE(f.how == severity::ok || !f.advice.empty()) << f.text;
  EXPECT_EQ(worst_of(diagnose(s)), severity::error);
}

TEST(diagnosis, does_not_take_a_role_without_rights_for_an_outage) {
  auto s = healthy();
  s.postgres =
      engine::fail(engine::errc::not_permitted, "keine Berechtigung für Schema rowcall");  // whatever its language
  const auto findings = diagnose(s);
  EXPECT_THAT(findings.front().text, HasSubstr("does not let this role look"));
  EXPECT_THAT(findings.front().advice, HasSubstr("roles.sql"));
}

TEST(diagnosis, does_not_take_a_connection_that_is_lost_for_a_schema_that_does_not_fit) {
  auto s = healthy();
  s.schema_fits = engine::fail(engine::errc::unavailable, "timeout expired");
  std::string text;
  EXPECT_EQ(of(s, "schema", &text), severity::error);
  EXPECT_THAT(text, HasSubstr("Ask again"));
}

TEST(diagnosis, knows_what_loses_data) {
  auto s = healthy();
  s.postgres->fsync = "off";
  std::string text;
  EXPECT_EQ(of(s, "durability", &text), severity::error);
  EXPECT_THAT(text, HasSubstr("fsync = on"));
  s = healthy();
  s.postgres->full_page_writes = "off";
  EXPECT_EQ(of(s, "durability"), severity::error);
  s = healthy();
  s.postgres->synchronous_commit = "off";
  EXPECT_EQ(of(s, "durability"), severity::warning);
  s = healthy();
  s.postgres->asynchronous_committers = {"role reporting"};
  EXPECT_EQ(of(s, "durability", &(text = "")), severity::warning);
  EXPECT_THAT(text, HasSubstr("role reporting"));
}

TEST(diagnosis, knows_servers_on_which_rowcall_can_not_work) {
  const auto text_of = [](const symptoms& s) {
    std::string text;
    EXPECT_EQ(of(s, "postgresql", &text), severity::error);
    return text;
  };
  auto s = healthy();
  s.postgres->version_num = 140013;
  s.postgres->version = "14.13";
  EXPECT_EQ(text_of(s), "PostgreSQL 14.13 is too old | Rowcall needs PostgreSQL 15 or newer: upgrade the server.");
  s.postgres->version_num = 150000;
  EXPECT_EQ(of(s, "postgresql"), severity::ok);
  s = healthy();
  s.postgres->is_standby = true;
  EXPECT_THAT(text_of(s), AllOf(HasSubstr("a standby"), HasSubstr("Point --database at the primary")));
  s = healthy();
  s.postgres->encoding = "SQL_ASCII";
  EXPECT_THAT(text_of(s), AllOf(HasSubstr("encoding is SQL_ASCII"), HasSubstr("ENCODING 'UTF8'")));
}

TEST(diagnosis, says_for_each_that_holds_the_horizon_what_ends_it) {
  const auto told_of = [](const char* kind) {
    auto s = healthy();
    s.postgres->holders = {{kind, "forgotten", std::chrono::seconds{3'600}}};
    std::string text;
    EXPECT_EQ(of(s, "horizon", &text), severity::warning);
    EXPECT_THAT(text, HasSubstr("forgotten"));
    return text;
  };
  EXPECT_THAT(told_of("transaction"), HasSubstr("pg_terminate_backend"));
  EXPECT_THAT(told_of("prepared transaction"), HasSubstr("ROLLBACK PREPARED"));
  EXPECT_THAT(told_of("replication slot"), HasSubstr("pg_drop_replication_slot"));
}

TEST(diagnosis, tells_a_skew_only_when_it_is_larger_than_what_is_unsure) {
  auto s = healthy();
  s.postgres->clock_ahead = std::chrono::milliseconds{-1'500};
  EXPECT_EQ(of(s, "clock"), severity::warning);
  s.postgres->clock_unsure = std::chrono::milliseconds{600};
  EXPECT_EQ(of(s, "clock"), severity::ok);
}

TEST(diagnosis, counts_connections_of_the_server_and_of_the_role) {
  auto s = healthy();
  s.postgres->connections_used = 80;
  EXPECT_EQ(of(s, "connections"), severity::warning);
  s.postgres->connections_used = 94;
  EXPECT_EQ(of(s, "connections"), severity::error);
  s = healthy();
  s.postgres->role_connections_max = 10;
  s.postgres->role_connections_used = 9;
  EXPECT_EQ(of(s, "connections"), severity::error);
}

TEST(diagnosis, sees_what_ends_in_a_standstill) {
  auto s = healthy();
  s.postgres->autovacuum = false;
  EXPECT_EQ(of(s, "autovacuum"), severity::error);
  s = healthy();
  s.postgres->xid_age = 1'200'000'000;
  EXPECT_EQ(of(s, "wraparound"), severity::warning);
  s.postgres->multixact_age = 2'000'000'000;
  EXPECT_EQ(of(s, "wraparound"), severity::error);
  s = healthy();
  s.postgres->holders = {{"transaction", "psql (ann, pid 7, idle in transaction)", std::chrono::seconds{3'600}}};
  std::string text;
  EXPECT_EQ(of(s, "horizon", &text), severity::warning);
  EXPECT_THAT(text, HasSubstr("pid 7"));
}

TEST(diagnosis, sees_what_the_schema_lacks) {
  auto s = healthy();
  s.postgres->missing = {{"constraint", "update_log_pk"}};
  std::string text;
  EXPECT_EQ(of(s, "objects", &text), severity::error);
  EXPECT_THAT(text, HasSubstr("constraint update_log_pk"));
  s = healthy();
  s.postgres->invalid = {{"index", "command_log_xid"}};
  EXPECT_EQ(of(s, "objects"), severity::error);
  s = healthy();
  s.schema_fits = engine::fail(engine::errc::schema_mismatch, "the schema is at 3: run `rowcall migrate up`");
  EXPECT_EQ(of(s, "schema"), severity::error);
}

TEST(diagnosis, tells_kinds_that_nobody_serves) {
  auto s = healthy();
  (*s.status)->nodes.clear();
  EXPECT_EQ(of(s, "engines"), severity::error);
  s = healthy();
  s.kinds.push_back("mail");
  std::string text;
  EXPECT_EQ(of(s, "kinds", &text), severity::warning);
  EXPECT_THAT(text, HasSubstr("mail"));
  (*s.status)->unserved_commands = 3;
  EXPECT_EQ(of(s, "kinds"), severity::error);
}

TEST(diagnosis, tells_a_kind_that_is_gone_while_its_sessions_wait) {
  auto s = healthy();
  (*s.status)->unserved_commands = 3;
  (*s.status)->unserved_kinds = {"mail"};
  std::string text;
  EXPECT_EQ(of(s, "kinds", &text), severity::error);
  EXPECT_THAT(text, HasSubstr("the kinds mail; 3 commands wait"));
  EXPECT_THAT(text, HasSubstr("those that it has go on taking commands, which wait"));
}

TEST(diagnosis, tells_sessions_whose_commands_were_deleted_by_hand) {
  auto s = healthy();
  s.damaged = std::vector<storage::postgres::damaged_session>{{"echo-a", 1, 3, {}}};
  std::string text;
  EXPECT_EQ(of(s, "logs", &text), severity::error);
  EXPECT_THAT(text, HasSubstr("echo-a (commands up to 1, processed 3)"));
  s.damaged->value().clear();
  EXPECT_EQ(of(s, "logs"), severity::ok);
  s.damaged = engine::fail(engine::errc::timed_out, "too slow");
  EXPECT_EQ(of(s, "logs"), severity::warning);
}

TEST(diagnosis, tells_sessions_whose_commands_have_a_gap) {
  auto s = healthy();
  s.damaged = std::vector<storage::postgres::damaged_session>{{"echo-g", 51, 3, 50}};
  std::string text;
  EXPECT_EQ(of(s, "logs", &text), severity::error);
  EXPECT_THAT(text, HasSubstr("echo-g (next command 50, processed 3)"));
  EXPECT_THAT(text, HasSubstr("fill the gap"));
}

TEST(diagnosis, tells_work_that_does_not_go_on) {
  auto s = healthy();
  (*s.status)->dead = 2;
  (*s.status)->retrying = 1;
  (*s.status)->pending_commands = 5;
  (*s.status)->oldest_pending_age = std::chrono::minutes{1};
  EXPECT_EQ(of(s, "dead_letters"), severity::warning);
  EXPECT_EQ(of(s, "retries"), severity::warning);
  EXPECT_EQ(of(s, "pending"), severity::warning);
}

TEST(diagnosis, compares_the_largest_payload_with_a_notice) {
  auto s = healthy();
  s.bus->payload_bytes_max = 4'096;
  EXPECT_EQ(of(s, "nats_payload"), severity::warning);
  s = healthy();
  s.bus->requires_credentials = false;
  EXPECT_EQ(of(s, "nats_auth"), severity::warning);
  s = healthy();
  s.bus->delivers = false;
  EXPECT_EQ(of(s, "nats_rights"), severity::error);
  s.bus->may_wake = s.bus->may_hear_wakes = s.bus->may_notify = s.bus->may_hear_updates = false;
  EXPECT_EQ(of(s, "nats_rights"), severity::error);
}

}  // namespace
}  // namespace rowcall::tools
