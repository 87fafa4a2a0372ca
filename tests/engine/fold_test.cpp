#include <gmock/gmock.h>

#include <random>

#include "tests/engine/world.hpp"

using namespace rowcall::engine;

/// The promise that everything rests on: a state is the fold of its update log, whatever was submitted.
namespace {

/// Random conversations among few users and chats, good and bad commands alike.
class conversation {
 public:
  explicit conversation(unsigned seed) : random_(seed) {}

  void step(world& w) {
    static constexpr const char* types[] = {"create_chat",  "join_chat",   "join_chat",    "leave_chat",
                                            "rename_chat",  "select_chat", "post_message", "post_message",
                                            "post_message", "nonsense"};
    const std::string type = types[pick(10)];
    const std::string user = "u" + std::to_string(pick(4));
    const std::string chat = "chat-" + std::to_string(pick(4));
    json::writer data;
    data.begin_object();
    if (pick(4) != 0) data.key("chat_id").string(pick(12) == 0 ? "no chat" : chat);
    if (pick(8) != 0) data.key("name").string(pick(6) == 0 ? "" : "name " + std::to_string(pick(100)) + "\u2028\"\\");
    if (pick(8) != 0) data.key("text").string("text \t\\.\n " + std::to_string(pick(100)));
    const bool direct = pick(4) == 0;
    if (direct && pick(8) != 0) data.key("sender").string(user);
    data.end_object();
    w.submit(direct ? chat : "user-" + user, type, data.str());
  }

 private:
  unsigned pick(unsigned count) { return std::uniform_int_distribution<unsigned>{0, count - 1}(random_); }
  std::mt19937 random_;
};

class fold_test : public testing::TestWithParam<unsigned> {};

TEST_P(fold_test, the_fold_of_the_log_and_of_a_snapshot_and_its_tail_are_the_live_state) {
  world w{7};
  conversation talk{GetParam()};
  for (int i = 0; i < 400; ++i) talk.step(w);

  std::size_t snapshots = 0, states = 0;
  for (auto& [id, l] : w.logs()) {
    snapshots += l.snapshots.size();
    const auto live = w.live_state_of(l);
    states += live.size() > 40;
    EXPECT_EQ(w.state_of(l, w.image_of(l, false)), live) << id;
    EXPECT_EQ(w.state_of(l, w.image_of(l, true)), live) << id;
  }
  EXPECT_GE(w.logs().size(), 8u);
  EXPECT_GT(snapshots, 20u);
  EXPECT_GT(states, 2u) << "the conversations came to nothing";
}

TEST_P(fold_test, a_session_loaded_anew_in_the_middle_goes_on_like_one_that_was_not) {
  world without{7}, with{7};
  conversation one{GetParam()}, other{GetParam()};
  json::parser parser;
  for (int i = 0; i < 300; ++i) {
    one.step(without);
    other.step(with);
    if (i % 5 != 0) continue;
    for (auto& [id, l] : with.logs()) ASSERT_TRUE(l.live->load(with.image_of(l, i % 2 == 0), parser)) << id;
  }
  for (auto& [id, l] : without.logs()) EXPECT_EQ(with.updates_of(id), without.updates_of(id)) << id;
}

TEST_P(fold_test, updates_are_numbered_without_gaps_and_in_the_order_of_their_commands) {
  world w;
  conversation talk{GetParam()};
  for (int i = 0; i < 200; ++i) talk.step(w);
  for (auto& [id, l] : w.logs()) {
    session_cursor last;
    for (const auto& u : l.updates) {
      EXPECT_EQ(u.seq, last.update.next()) << id;
      EXPECT_TRUE(u.command == last.command || u.command == last.command.next()) << id;
      last = {u.seq, u.command};
    }
    EXPECT_EQ(last, l.live->cursor()) << id;
  }
}

INSTANTIATE_TEST_SUITE_P(seeds, fold_test, testing::Range(1u, 21u));

}  // namespace
