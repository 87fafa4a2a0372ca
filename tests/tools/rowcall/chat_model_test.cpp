#include "tools/rowcall/chat_model.hpp"

#include <gmock/gmock.h>

namespace rowcall::tools {
namespace {

using engine::errc;
using engine::session_id;
using engine::update_row;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using receipt = engine::submit_receipt;

const session_id ann = *session_id::parse("user-ann");
const session_id lobby = *session_id::parse("chat-lobby");

update_row update(std::int64_t seq, std::int64_t command, std::string type, std::string data) {
  return {{seq}, {command}, std::move(type), std::move(data), {}};
}

/// Ann's client, with the database and the engine played by the test.
class chat_model_test : public ::testing::Test {
 protected:
  chat_model_test() : model_({ann, "", 50, "k", true}) {}

  chat_model::effects take() { return model_.take(); }
  void stored(std::int64_t seq) { model_.submitted(receipt{receipt::outcome::stored, {seq}}); }
  void lost_connection() { model_.submitted(engine::fail(errc::connection_lost, "gone away")); }
  void user(update_row u) { model_.updated(ann, {&u, 1}); }
  void room(update_row u) { model_.updated(lobby, {&u, 1}); }
  static std::vector<std::string> texts(const chat_model::effects& e) {
    std::vector<std::string> all;
    for (const auto& line : e.lines) all.push_back(line.text);
    return all;
  }

  /// Ann has joined the lobby before, and is in it.
  void enter_lobby() {
    chat_image image;
    image.updates = {update(1, 1, "chat_joined", R"({"chat_id":"chat-lobby","name":"lobby"})"),
                     update(2, 2, "chat_selected", R"({"chat_id":"chat-lobby"})")};
    model_.loaded(ann, image);
    ASSERT_THAT(take().load, ElementsAre(ann, lobby));
    chat_image log;
    log.updates = {update(1, 1, "chat_created", R"({"chat_id":"chat-lobby","name":"lobby","user_id":"bob"})"),
                   update(2, 1, "member_joined", R"({"chat_id":"chat-lobby","user_id":"bob"})"),
                   update(3, 2, "member_joined", R"({"chat_id":"chat-lobby","user_id":"ann"})"),
                   update(4, 3, "new_message", R"({"chat_id":"chat-lobby","text":"hi all","sender":"bob"})")};
    log.last = {4};
    model_.loaded(lobby, log);
  }

  chat_model model_;
};

TEST_F(chat_model_test, loads_the_user_first) { EXPECT_THAT(take().load, ElementsAre(ann)); }

TEST_F(chat_model_test, joins_the_lobby_when_the_user_is_new_and_creates_it_when_there_is_none) {
  model_.loaded(ann, {});
  auto join = take().submit;
  ASSERT_TRUE(join);
  EXPECT_EQ(join->session, ann);
  EXPECT_EQ(join->type, "join_chat");
  EXPECT_EQ(join->data, R"({"chat_id":"chat-lobby"})");
  stored(1);
  user(update(2, 2, "request_refused",
              R"({"chat_id":"chat-lobby","request":1,"type":"join_chat","reason":"there is no chat"})"));
  auto create = take().submit;
  ASSERT_TRUE(create);
  EXPECT_EQ(create->type, "create_chat");
  stored(3);
  user(update(4, 4, "chat_joined", R"({"chat_id":"chat-lobby","name":"lobby","request":3})"));
  EXPECT_THAT(take().load, ElementsAre(lobby));
}

TEST_F(chat_model_test, tells_what_waits_for_the_room_from_what_was_sent) {
  EXPECT_EQ(model_.entering(), "");
  model_.loaded(ann, {});
  model_.typed("early");
  EXPECT_EQ(model_.entering(), "lobby");
  EXPECT_THAT(model_.pending(), ElementsAre("early"));
  EXPECT_EQ(model_.unsent(), 1u);
}

TEST_F(chat_model_test, is_in_no_doubt_about_what_was_sent_in_its_room) {
  enter_lobby();
  model_.typed("sent");
  EXPECT_EQ(model_.entering(), "");
  EXPECT_THAT(model_.pending(), ElementsAre("sent"));
  EXPECT_EQ(model_.unsent(), 0u);
}

TEST_F(chat_model_test, shows_members_and_history_on_entering) {
  enter_lobby();
  const auto shown = take();
  EXPECT_EQ(model_.room(), "lobby");
  EXPECT_THAT(texts(shown).front(), HasSubstr("ann bob"));
  EXPECT_EQ(texts(shown).back(), "hi all");
  EXPECT_FALSE(shown.submit) << "the lobby is selected already";
}

TEST_F(chat_model_test, shows_a_message_as_pending_until_its_update_arrives) {
  enter_lobby();
  model_.typed("hello");
  auto submit = take().submit;
  ASSERT_TRUE(submit);
  EXPECT_EQ(submit->data, R"({"chat_id":"chat-lobby","text":"hello"})");
  EXPECT_THAT(model_.pending(), ElementsAre("hello"));
  stored(3);
  EXPECT_THAT(model_.pending(), ElementsAre("hello"));
  EXPECT_TRUE(model_.awaits_engine());
  room(update(5, 4, "new_message", R"({"chat_id":"chat-lobby","text":"hello","sender":"ann"})"));
  EXPECT_THAT(model_.pending(), IsEmpty());
  const auto shown = take();
  ASSERT_EQ(shown.lines.size(), 1u);
  EXPECT_EQ(shown.lines[0].what, chat_line::kind::own_message);
}

TEST_F(chat_model_test, accepts_an_update_that_is_faster_than_the_outcome) {
  enter_lobby();
  model_.typed("hello");
  take();
  room(update(5, 4, "new_message", R"({"chat_id":"chat-lobby","text":"hello","sender":"ann"})"));
  EXPECT_THAT(model_.pending(), IsEmpty());
  stored(3);
  EXPECT_FALSE(model_.is_busy());
}

TEST_F(chat_model_test, tries_again_with_the_same_key_and_in_order_after_a_lost_connection) {
  enter_lobby();
  model_.typed("one");
  model_.typed("two");
  const auto first = take().submit;
  ASSERT_TRUE(first);
  EXPECT_FALSE(take().submit) << "one at a time";
  lost_connection();
  EXPECT_TRUE(model_.wants_retry());
  EXPECT_FALSE(take().submit);
  model_.retry();
  const auto again = take().submit;
  ASSERT_TRUE(again);
  EXPECT_EQ(again->idempotency_key, first->idempotency_key);
  EXPECT_EQ(again->data, first->data);
  stored(3);
  const auto second = take().submit;
  ASSERT_TRUE(second);
  EXPECT_THAT(second->data, HasSubstr("two"));
  EXPECT_NE(second->idempotency_key, first->idempotency_key);
}

TEST_F(chat_model_test, tells_the_text_of_a_refused_message) {
  enter_lobby();
  model_.typed("hello");
  take();
  stored(3);
  user(update(5, 5, "request_refused",
              R"({"chat_id":"chat-lobby","request":3,"type":"post_message","reason":"no member"})"));
  EXPECT_THAT(texts(take()), ElementsAre(AllOf(HasSubstr("not sent: hello"), HasSubstr("no member"))));
  EXPECT_THAT(model_.pending(), IsEmpty());
}

TEST_F(chat_model_test, keeps_lines_that_are_typed_before_the_room_is_entered) {
  model_.typed("early");
  EXPECT_THAT(model_.pending(), ElementsAre("early"));
  enter_lobby();
  const auto submit = take().submit;
  ASSERT_TRUE(submit);
  EXPECT_THAT(submit->data, HasSubstr("early"));
}

TEST_F(chat_model_test, shows_who_comes_and_goes) {
  enter_lobby();
  take();
  room(update(5, 4, "member_joined", R"({"chat_id":"chat-lobby","user_id":"cleo"})"));
  room(update(6, 5, "member_left", R"({"chat_id":"chat-lobby","user_id":"bob"})"));
  EXPECT_THAT(texts(take()), ElementsAre("cleo joined", "bob left"));
  model_.typed("/who");
  EXPECT_THAT(texts(take()), ElementsAre("in #lobby: ann (you) cleo"));
}

TEST_F(chat_model_test, marks_who_is_here_for_a_while) {
  enter_lobby();
  const chat_model::time_point start{std::chrono::hours{1}};
  const auto who = [this] {
    model_.typed("/who");
    return texts(take()).back();
  };
  model_.tick(start);
  take();
  EXPECT_EQ(who(), "in #lobby: ann (you) bob");
  model_.heard(lobby, {"bob", presence::here});
  model_.heard(lobby, {"cleo", presence::here});  // no member
  EXPECT_EQ(who(), "in #lobby: ann (you) bob (here)");
  model_.tick(start + std::chrono::seconds{45});
  EXPECT_EQ(who(), "in #lobby: ann (you) bob (here)");
  model_.tick(start + std::chrono::seconds{46});
  EXPECT_EQ(who(), "in #lobby: ann (you) bob");
  model_.heard(lobby, {"bob", presence::asking});
  EXPECT_EQ(who(), "in #lobby: ann (you) bob (here)");
  model_.heard(lobby, {"bob", presence::left});
  EXPECT_EQ(who(), "in #lobby: ann (you) bob");
}

TEST_F(chat_model_test, says_that_the_user_is_here) {
  const chat_model::time_point start{std::chrono::hours{1}};
  const auto said = [this] {
    std::vector<std::pair<session_id, presence>> all;
    for (const auto& p : take().presences) all.emplace_back(p.room, p.what);
    return all;
  };
  using presences = std::vector<std::pair<session_id, presence>>;
  model_.tick(start);
  enter_lobby();
  EXPECT_EQ(said(), (presences{{lobby, presence::asking}})) << "and asks who else is";
  model_.heard(lobby, {"bob", presence::asking});
  EXPECT_EQ(said(), (presences{{lobby, presence::here}}));
  model_.heard(lobby, {"bob", presence::asking});
  EXPECT_EQ(said(), presences{}) << "one answer is for all who ask in a while";
  model_.heard(lobby, {"bob", presence::here});
  model_.tick(start + std::chrono::seconds{19});
  EXPECT_EQ(said(), presences{});
  model_.tick(start + std::chrono::seconds{20});
  EXPECT_EQ(said(), (presences{{lobby, presence::here}}));
  model_.heard(lobby, {"ann", presence::asking});
  EXPECT_EQ(said(), presences{}) << "what the user has said comes back";
  model_.bye();
  EXPECT_EQ(said(), (presences{{lobby, presence::left}}));
}

TEST_F(chat_model_test, counts_messages_of_other_rooms_as_unread) {
  enter_lobby();
  user(update(3, 3, "chat_joined", R"({"chat_id":"chat-team","name":"Team"})"));
  const auto team = *session_id::parse("chat-team");
  ASSERT_THAT(take().load, ElementsAre(team));
  model_.loaded(team, {});
  const auto message = update(1, 1, "new_message", R"({"chat_id":"chat-team","text":"psst","sender":"bob"})");
  model_.updated(team, {&message, 1});
  EXPECT_THAT(take().lines, IsEmpty());
  EXPECT_EQ(model_.unread().at("team"), 1u);
  model_.typed("/join team");
  EXPECT_EQ(texts(take()).back(), "psst");
  EXPECT_THAT(model_.unread(), IsEmpty());
}

TEST_F(chat_model_test, does_not_take_an_unknown_command_for_a_message) {
  enter_lobby();
  take();
  model_.typed("/nonsense");
  const auto effects = take();
  EXPECT_FALSE(effects.submit);
  EXPECT_EQ(effects.lines.at(0).what, chat_line::kind::error);
}

TEST_F(chat_model_test, sends_a_slash_that_is_written_twice) {
  enter_lobby();
  model_.typed("//help");
  const auto submit = take().submit;
  ASSERT_TRUE(submit);
  EXPECT_THAT(submit->data, HasSubstr(R"("text":"/help")"));
}

TEST_F(chat_model_test, starts_from_snapshots) {
  chat_image image;
  image.snapshot = engine::snapshot_row{{300}, {300}, R"({"chats":["chat-lobby"],"selected":"chat-lobby"})"};
  image.last = {300};
  model_.loaded(ann, image);
  ASSERT_THAT(take().load, ElementsAre(ann, lobby));
  chat_image log;
  log.snapshot = engine::snapshot_row{{256}, {256}, R"({"name":"Lobby","members":["ann","bob"]})"};
  log.earlier = {update(255, 255, "new_message", R"({"text":"old","sender":"bob"})"),
                 update(256, 256, "member_left", R"({"user_id":"bob"})")};
  log.last = {256};
  model_.loaded(lobby, log);
  EXPECT_THAT(texts(take()), ElementsAre(HasSubstr("ann bob"), "old"));
}

TEST(room_names, become_sessions) {
  EXPECT_EQ(room_of("lobby").str(), "chat-lobby");
  EXPECT_EQ(room_of("Team Lunch!").str(), "chat-team-lunch");
  EXPECT_EQ(room_of("漢字").kind(), "chat");
  EXPECT_NE(room_of("漢字"), room_of("字漢"));
  EXPECT_LE(room_of(std::string(500, 'x')).str().size(), 64u);
}

}  // namespace
}  // namespace rowcall::tools
