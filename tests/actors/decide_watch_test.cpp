#include "actors/internal/decide_watch.hpp"

#include <gtest/gtest.h>

namespace rowcall::actors::internal {
namespace {

using namespace std::chrono_literals;

struct decide_watch_test : testing::Test {
  static constexpr auto interval = 250ms;
  decide_watch watch;
  turn_ptr t = std::make_shared<turn>();
  engine::clock::time_point now{1h};

  decide_watch_test() {
    for (const auto* name : {"echo-a", "echo-b"}) {
      t->work.sessions.emplace_back().session = engine::session_id::parse(name).value();
      auto& claim = t->claim.sessions.emplace_back();
      for (std::int64_t seq : {4, 5}) claim.commands.push_back({{seq}, "say" + std::to_string(seq), "{}", {}});
    }
  }
  std::optional<decide_watch::finding> look_after(std::chrono::nanoseconds passed) {
    return watch.look(now += passed, interval);
  }
};

TEST_F(decide_watch_test, finds_nothing_while_nothing_is_decided) {
  EXPECT_FALSE(look_after(interval));
  watch.begin(t);
  look_after(interval);
  EXPECT_TRUE(look_after(interval));
  watch.end();
  EXPECT_FALSE(look_after(interval));
}

TEST_F(decide_watch_test, tells_the_session_the_command_and_since_when) {
  watch.begin(t);
  t->deciding.position = 1;
  t->deciding.command = 5;
  EXPECT_FALSE(look_after(interval)) << "nobody knows for how long already";
  look_after(interval);
  const auto found = look_after(100ms);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->session, "echo-b");
  EXPECT_EQ(found->command.value, 5);
  EXPECT_EQ(found->type, "say5");
  EXPECT_EQ(found->since, interval + 100ms);
}

TEST_F(decide_watch_test, a_turn_that_goes_on_to_the_next_command_or_session_is_not_stuck) {
  watch.begin(t);
  look_after(interval);
  for (std::uint32_t position : {0u, 1u})
    for (std::int64_t command : {4, 5}) {
      t->deciding.position = position;
      t->deciding.command = command;
      EXPECT_FALSE(look_after(interval));
    }
  watch.end();
  watch.begin(t);
  EXPECT_FALSE(look_after(interval)) << "the same place, in another turn";
}

TEST_F(decide_watch_test, a_process_that_was_stopped_has_not_worked_meanwhile) {
  watch.begin(t);
  look_after(interval);
  const auto found = look_after(1h);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->since, 2 * interval);
}

}  // namespace
}  // namespace rowcall::actors::internal
