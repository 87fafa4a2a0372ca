#include <gtest/gtest.h>

#include "bus/nats_bus.hpp"
#include "tests/e2e/watched_engine.hpp"
#include "tests/support/nats_stranger.hpp"
#include "tests/support/private_nats.hpp"

/// Whoever may publish says anything, on a real nats-server: engines and followers go on, take nothing wrong, and count
/// it.
namespace rowcall::e2e {
namespace {

using namespace std::chrono_literals;
using support::eventually;

struct hostile_e2e_test : testing::Test {
  support::database database = support::fresh_database();
  support::private_nats nats;
  deployment d = [this] {
    auto made = deployment::shared(database);
    made.nats_url = nats.url();
    return made;
  }();
  std::unique_ptr<engine::bus> bus = d.connect();
  std::unique_ptr<client::submitter> submitter = make_submitter(d, *bus);

  void say(const std::string& session, int n) {
    const auto data = "{\"n\":" + std::to_string(n) + "}";
    ASSERT_TRUE(submitter->submit(engine::command_request{id(session), "say", data, {}}));
  }
  std::string log_of(const std::string& session) {
    return d.value(
        "SELECT coalesce(string_agg(type || data::text, ' ' ORDER BY seq), '') FROM rowcall.update_log WHERE "
        "session_id = '" +
        session + "'");
  }
};

/// Subjects that end where a session should be named.
const std::vector<std::string>& hostile_names() {
  static const std::vector<std::string> names{"x",
                                              "-a",
                                              "echo-",
                                              "echo-$1",
                                              "echo-%2e",
                                              "echo-\xff\xfe\x80",
                                              "\xc0\xae\xc0\xae-a",
                                              "echo-\xe2\x80\xae"
                                              "a",
                                              std::string("\0-a", 3),
                                              "echo-a'; DROP TABLE rowcall.update_log; --",
                                              "*",
                                              ">",
                                              "echo-*",
                                              "echo-a.>",
                                              "",
                                              ".",
                                              ".echo-a",
                                              "echo-a.",
                                              "echo-a..b",
                                              "echo-" + std::string(60, 'a'),
                                              "echo-" + std::string(3'000, 'a')};
  return names;
}

TEST_F(hostile_e2e_test, subjects_with_names_of_any_sort_wake_nobody_and_are_counted) {
  watched_engine engine(d);
  ASSERT_TRUE(engine.becomes("/readyz", 200, "ready"));
  support::nats_stranger stranger(d.nats_url);
  for (const std::string kind : {".wake.", ".updates."})
    for (const auto& name : hostile_names())
      for (const std::string payload : {"", R"({"last":1})", "\xff"})
        if (name.find(' ') == std::string::npos) stranger.publish(d.prefix + kind + name, payload);
  // A server may refuse some of them, which is as well; it must not hang up.
  EXPECT_EQ(stranger.flush().find("closed"), std::string::npos);
  // Fields that are no subject at all, and one that is longer than a line may be.
  for (const auto& subject :
       {d.prefix + ".wake.echo-a'; DROP TABLE rowcall.update_log; --", d.prefix + ".wake." + std::string(9'000, 'e')}) {
    support::nats_stranger rude(d.nats_url);
    rude.publish(subject, "");
    EXPECT_NE(rude.flush(), "");
  }
  ASSERT_TRUE(eventually(20s, [&] { return engine.value("rowcall_nats_messages_ignored_total") >= 30; }))
      << engine.value("rowcall_nats_messages_ignored_total");
  for (int n = 1; n <= 3; ++n) say("echo-a", n);
  ASSERT_TRUE(drained(d));
  EXPECT_EQ(log_of("echo-a"), R"(echo{"n": 1} echo{"n": 2} echo{"n": 3})");
  EXPECT_EQ(d.value("SELECT count(*) FROM rowcall.sessions"), "1");
  EXPECT_EQ(engine.value("rowcall_nats_connected"), 1);
}

TEST_F(hostile_e2e_test, wakes_of_no_bytes_and_of_the_maximum_and_with_the_contents_of_another_session_change_nothing) {
  watched_engine engine(d);
  ASSERT_TRUE(engine.becomes("/readyz", 200, "ready"));
  for (const std::string session : {"echo-a", "echo-b"}) say(session, 1);
  ASSERT_TRUE(drained(d));  // loaded, their cursors known
  support::nats_stranger stranger(d.nats_url);
  const auto wake_of = [&](const std::string& session) { return d.prefix + ".wake." + session; };
  ASSERT_GE(stranger.max_payload(), 1'000'000u);
  const std::string head = R"({"last":2,"command":{"type":"say","data":{"n":")", tail = R"("},"at":0}})";
  stranger.publish(wake_of("echo-a"), "");
  stranger.publish(wake_of("echo-a"), std::string(stranger.max_payload(), '\0'));
  stranger.publish(wake_of("echo-a"),
                   head + std::string(stranger.max_payload() - head.size() - tail.size(), 'x') + tail);
  EXPECT_EQ(stranger.flush(), "");
  {
    support::nats_stranger rude(d.nats_url);  // one byte more than the server takes
    rude.publish(wake_of("echo-a"), std::string(rude.max_payload() + 1, 'x'));
    EXPECT_NE(rude.flush(), "");
  }
  // Both sessions have a second command; A is woken with B's, and with a third that is nobody's.
  d.sql(
      R"(INSERT INTO rowcall.commands (session_id, type, data) VALUES ('echo-b', 'say', '{"n": 22}'), ('echo-a', 'say', '{"n": 2}'))");
  stranger.publish(wake_of("echo-a"),
                   R"({"last":2,"session":"echo-b","command":{"type":"say","data":{"n": 22},"at":0}})");
  stranger.publish(wake_of("echo-a"), R"({"last":3,"command":{"type":"say","data":{"n": 33},"at":0}})");
  stranger.publish(wake_of("echo-a"), R"({"last":9223372036854775807})");
  stranger.flush();
  ASSERT_TRUE(drained(d));
  EXPECT_EQ(log_of("echo-a"), R"(echo{"n": 1} echo{"n": 2})");
  EXPECT_EQ(log_of("echo-b"), R"(echo{"n": 1} echo{"n": 22})");
  // Once more with nothing else going on, so that the wake is believed until the turn looks: that is counted.
  ASSERT_TRUE(eventually(20s, [&] {
    const auto last = d.value("SELECT max(seq) FROM rowcall.command_log WHERE session_id = 'echo-a'");
    stranger.publish(wake_of("echo-a"), "{\"last\":" + std::to_string(std::stoll(last) + 1) +
                                            R"(,"command":{"type":"say","data":{"n": 22},"at":-9223372036854775808}})");
    stranger.flush();
    return engine.value("rowcall_wakes_mistaken_total") >= 1;
  }));
  ASSERT_TRUE(drained(d));
  EXPECT_EQ(log_of("echo-a"), R"(echo{"n": 1} echo{"n": 2})");
  say("echo-a", 3);
  ASSERT_TRUE(drained(d));
  EXPECT_EQ(log_of("echo-a"), R"(echo{"n": 1} echo{"n": 2} echo{"n": 3})");
  EXPECT_EQ(engine.value(R"(rowcall_turns_total{outcome="aborted"})"), 0);
}

TEST_F(hostile_e2e_test, notices_of_another_session_and_of_any_bytes_tell_a_follower_nothing_wrong) {
  watched_engine engine(d);
  ASSERT_TRUE(engine.becomes("/readyz", 200, "ready"));
  recorder r(d, *bus);
  r.follow(id("echo-a"));
  say("echo-a", 1);
  ASSERT_TRUE(r.wait_for(id("echo-a"), 1));
  support::nats_stranger stranger(d.nats_url);
  const auto subject = d.prefix + ".updates.echo-a";
  const auto notice = [](const std::string& session, const std::string& first, const std::string& last,
                         const std::string& seq) {
    return R"({"session":")" + session + R"(","first":)" + first + R"(,"last":)" + last + R"(,"updates":[{"seq":)" +
           seq + R"(,"command_seq":1,"type":"echo","data":{"forged":true},"at":0}]})";
  };
  const std::vector<std::string> unreadable{
      "",
      std::string(stranger.max_payload(), '\0'),
      std::string(stranger.max_payload(), '['),
      "\xff\xfe",
      "null",
      notice("echo-b", "2", "2", "2"),  // B's, word for word, where A's are expected
      notice("echo-*", "2", "2", "2"),
      notice("", "2", "2", "2"),
      notice("echo-a", "2", "2", "3"),
      notice("echo-a", "2", "3", "2"),
      notice("echo-a", "3", "2", "2"),
      notice("echo-a", "-1", "2", "2"),
      notice("echo-a", "2", "9223372036854775807", "2"),
      notice("echo-a", "2", "9223372036854775808", "2"),
      notice("echo-a", "2e0", "2", "2")};
  const auto ignored_before = bus::counters_of(*bus).messages_ignored;
  for (const auto& payload : unreadable) stranger.publish(subject, payload);
  // Of this session and readable, but not what comes next: the follower looks at the log.
  stranger.publish(subject, notice("echo-a", "1", "1", "1"));
  stranger.publish(subject, notice("echo-a", "1000000", "1000000", "1000000"));
  EXPECT_EQ(stranger.flush(), "");
  EXPECT_TRUE(eventually(20s, [&] {
    return bus::counters_of(*bus).messages_ignored - ignored_before >= static_cast<std::int64_t>(unreadable.size());
  })) << bus::counters_of(*bus).messages_ignored;
  EXPECT_EQ(bus::counters_of(*bus).messages_ignored - ignored_before, static_cast<std::int64_t>(unreadable.size()));
  for (int n = 2; n <= 5; ++n) say("echo-a", n);
  ASSERT_TRUE(r.wait_for(id("echo-a"), 5));
  const auto seen = r.seen(id("echo-a"));
  ASSERT_EQ(seen.size(), 5u);
  for (std::size_t i = 0; i < seen.size(); ++i) {
    EXPECT_EQ(seen[i].seq.value, static_cast<std::int64_t>(i + 1));
    EXPECT_EQ(seen[i].data.find("forged"), std::string::npos);
  }
  EXPECT_EQ(r.gone_count(), 0);
}

}  // namespace
}  // namespace rowcall::e2e
