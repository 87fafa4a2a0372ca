#include <gmock/gmock.h>

#include "tests/support/database.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/private_nats.hpp"
#include "tests/support/private_postgres.hpp"
#include "tests/tools/rowcall/running_engine.hpp"

/// `rowcall chat` on pipes: what a script sees, and what a terminal adds is drawing.
namespace rowcall::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

running_rowcall chat(const rowcall_world& world, const std::string& user) {
  return {{"chat", "--user", user}, world.environment()};
}

TEST(chat, lets_two_people_talk) {
  rowcall_world world;
  ASSERT_TRUE(world.start_engine()) << world.engine().output();
  auto ann = chat(world, "ann");
  ASSERT_TRUE(ann.wait_for("#lobby")) << ann.output();
  auto bob = chat(world, "bob");
  ASSERT_TRUE(ann.wait_for("bob joined")) << ann.output();
  ann.write("hello bob\n");
  ASSERT_TRUE(bob.wait_for("ann: hello bob")) << bob.output();
  bob.write("hi ann 🐟\n/leave\n");
  ASSERT_TRUE(ann.wait_for("bob: hi ann 🐟")) << ann.output();
  EXPECT_TRUE(ann.wait_for("bob left")) << ann.output();
  ann.write("/quit\n");
  EXPECT_EQ(ann.wait(), 0);
}

TEST(chat, shows_who_is_here) {
  rowcall_world world;
  ASSERT_TRUE(world.start_engine()) << world.engine().output();
  auto ann = chat(world, "ann");
  ASSERT_TRUE(ann.wait_for("#lobby")) << ann.output();
  auto bob = chat(world, "bob");
  ASSERT_TRUE(bob.wait_for("#lobby")) << bob.output();
  ASSERT_TRUE(ann.wait_for("bob joined")) << ann.output();
  // A signal is not durable, so nobody waits for it: ask until it has come.
  const auto shows = [](running_rowcall& one, const std::string& text) {
    return support::eventually(std::chrono::seconds{20}, [&] {
      one.write("/who\n");
      return one.wait_for(text, std::chrono::milliseconds{200});
    });
  };
  EXPECT_TRUE(shows(ann, "in #lobby: ann (you) bob (here)\n")) << ann.output();
  EXPECT_TRUE(shows(bob, "in #lobby: ann (here) bob (you)\n")) << bob.output();
  bob.write("/quit\n");
  EXPECT_EQ(bob.wait(), 0) << bob.output();
  EXPECT_TRUE(shows(ann, "in #lobby: ann (you) bob\n")) << ann.output();
}

TEST(chat, sends_everything_from_a_pipe_before_it_ends) {
  rowcall_world world;
  ASSERT_TRUE(world.start_engine());
  std::string lines = "/create Team Lunch\n";
  for (int i = 1; i <= 50; ++i) lines += "line " + std::to_string(i) + "\n";
  const auto run = world.run({"chat", "--user", "ann"}, lines);
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("#team-lunch"));
  EXPECT_EQ(support::rows({{"50"}}),
            support::query(world.database().url(),
                           "SELECT count(*) FROM rowcall.messages WHERE chat_id = 'chat-team-lunch'"));
}

TEST(chat, shows_the_history_to_who_comes_later) {
  rowcall_world world;
  ASSERT_TRUE(world.start_engine());
  EXPECT_EQ(world.run({"chat", "--user", "ann", "--room", "den"}, "one\ntwo\n").exit_code, 0);
  auto bob = running_rowcall{{"chat", "--user", "bob", "--room", "den"}, world.environment()};
  EXPECT_TRUE(bob.wait_for("ann: one")) << bob.output();
  EXPECT_TRUE(bob.wait_for("ann: two")) << bob.output();
}

TEST(chat, lets_no_escape_sequence_of_others_reach_the_terminal) {
  rowcall_world world;
  ASSERT_TRUE(world.start_engine());
  auto ann = chat(world, "ann");
  ASSERT_TRUE(ann.wait_for("#lobby"));
  auto bob = chat(world, "bob");
  ASSERT_TRUE(ann.wait_for("bob joined"));
  bob.write("evil \x1b[2J\x07 end\n");
  ASSERT_TRUE(ann.wait_for("evil")) << ann.output();
  ASSERT_TRUE(ann.wait_for("end"));
  EXPECT_THAT(ann.output(), Not(HasSubstr("\x1b")));
}

TEST(chat, delivers_what_was_typed_while_the_engine_was_away) {
  rowcall_world world;
  ASSERT_TRUE(world.start_engine());
  auto ann = chat(world, "ann");
  ASSERT_TRUE(ann.wait_for("#lobby"));
  ASSERT_EQ(world.stop_engine(), 0);
  ann.write("are you there?\n");
  ASSERT_TRUE(ann.wait_for("waiting for an engine")) << ann.output();
  ASSERT_TRUE(world.start_engine());
  EXPECT_TRUE(ann.wait_for("ann: are you there?")) << ann.output();
  EXPECT_TRUE(ann.wait_for("back")) << ann.output();
}

TEST(chat, goes_on_after_its_database_connections_were_cut) {
  rowcall_world world;
  ASSERT_TRUE(world.start_engine());
  auto ann = chat(world, "ann");
  ASSERT_TRUE(ann.wait_for("#lobby"));
  support::query(world.database().admin_url(),
                 "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '" + world.database().name() +
                     "' AND pid <> pg_backend_pid()");
  ann.write("still here\n");
  EXPECT_TRUE(ann.wait_for("ann: still here")) << ann.output();
}

TEST(chat, goes_on_after_a_restart_of_nats) {
  support::private_nats nats;
  support::database database = support::fresh_database();
  const std::vector<std::string> environment = {"ROWCALL_DATABASE_URL=" + database.url(),
                                                "ROWCALL_NATS_URL=" + nats.url()};
  running_rowcall engine{{"serve"}, environment};
  ASSERT_TRUE(engine.wait_for(" ready")) << engine.output();
  running_rowcall ann{{"chat", "--user", "ann"}, environment};
  ASSERT_TRUE(ann.wait_for("#lobby")) << ann.output();
  nats.stop();
  ASSERT_TRUE(ann.wait_for("reconnecting")) << ann.output();
  ann.write("typed meanwhile\n");
  nats.start();
  EXPECT_TRUE(ann.wait_for("ann: typed meanwhile")) << ann.output();
  engine.signal(15);
  EXPECT_EQ(engine.wait(), 0) << engine.output();
}

TEST(chat, goes_on_after_a_restart_of_the_database) {
  support::private_postgres postgres;
  support::database database{postgres.url(), support::schema::migrated};
  const std::vector<std::string> environment = {"ROWCALL_DATABASE_URL=" + database.url(),
                                                "ROWCALL_NATS_URL=" + support::shared_nats_url(),
                                                "ROWCALL_SUBJECT_PREFIX=test" + support::unique_name()};
  running_rowcall engine{{"serve"}, environment};
  ASSERT_TRUE(engine.wait_for(" ready")) << engine.output();
  running_rowcall ann{{"chat", "--user", "ann"}, environment};
  ASSERT_TRUE(ann.wait_for("#lobby")) << ann.output();
  running_rowcall bob{{"chat", "--user", "bob"}, environment};
  ASSERT_TRUE(ann.wait_for("bob joined")) << ann.output();
  postgres.stop();
  ASSERT_TRUE(ann.wait_for("reconnecting")) << ann.output();
  ASSERT_TRUE(bob.wait_for("reconnecting")) << bob.output();
  ann.write("typed meanwhile\n");
  postgres.start();
  EXPECT_TRUE(ann.wait_for("ann: typed meanwhile")) << ann.output();
  EXPECT_TRUE(bob.wait_for("ann: typed meanwhile")) << bob.output();
  bob.write("there you are\n");
  EXPECT_TRUE(ann.wait_for("bob: there you are")) << ann.output();
  for (auto* one : {&ann, &bob}) {
    one->write("/quit\n");
    EXPECT_EQ(one->wait(), 0) << one->output();
  }
  engine.signal(15);
  EXPECT_EQ(engine.wait(), 0) << engine.output();
}

TEST(chat, does_not_call_stored_what_waits_for_its_room) {
  rowcall_world world;
  ASSERT_TRUE(world.start_engine());
  ASSERT_EQ(world.stop_engine(), 0);
  auto ann = chat(world, "ann");
  ann.write("hello?\n");
  ASSERT_TRUE(ann.wait_for("not sent yet: waiting for an engine to enter #lobby")) << ann.output();
  ann.signal(15);
  EXPECT_EQ(ann.wait(), 4);
  EXPECT_THAT(ann.output(), HasSubstr("not sent: hello?"));
  EXPECT_THAT(ann.output(), Not(HasSubstr("is stored")));
}

TEST(chat, tells_what_could_not_be_confirmed) {
  rowcall_world world;
  ASSERT_TRUE(world.start_engine());
  auto ann = chat(world, "ann");
  ASSERT_TRUE(ann.wait_for("#lobby"));
  ASSERT_EQ(world.stop_engine(), 0);
  ann.write("lonely words\n");
  ASSERT_TRUE(ann.wait_for("waiting for an engine"));
  ann.signal(15);
  EXPECT_EQ(ann.wait(), 4);
  EXPECT_THAT(ann.output(), HasSubstr("not confirmed: lonely words"));
}

}  // namespace
}  // namespace rowcall::test
