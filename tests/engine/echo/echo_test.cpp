#include "engine/echo/echo.hpp"

#include <gmock/gmock.h>

#include "tests/engine/world.hpp"

using namespace rowcall::engine;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

namespace {

std::vector<std::string> answer(const std::string& type, const std::string& data) {
  world w;
  w.submit("echo-1", type, data);
  return w.updates_of("echo-1");
}

TEST(echo, answers_any_command_with_its_data) {
  EXPECT_THAT(answer("hello", R"({ "a":1.0 })"), ElementsAre(R"(echo { "a":1.0 })"));
}

TEST(echo, rejects_when_told_to) {
  EXPECT_THAT(answer("reject", "{}"), ElementsAre(R"(command_rejected {"type":"reject","reason":"told to reject"})"));
}

TEST(echo, says_nothing_when_told_to) { EXPECT_THAT(answer("silent", "{}"), ElementsAre("command_done {}")); }

TEST(echo, emits_many_updates) {
  EXPECT_THAT(answer("many", R"({"count":3})"),
              ElementsAre("echo {\"index\":0}", "echo {\"index\":1}", "echo {\"index\":2}"));
  EXPECT_THAT(answer("many", R"({"count":1000})"), SizeIs(1000));
}

TEST(echo, refuses_a_count_out_of_bounds) {
  for (const auto* data : {"{}", R"({"count":0})", R"({"count":1001})", R"({"count":-1})", R"({"count":"3"})"})
    EXPECT_THAT(answer("many", data), ElementsAre(HasSubstr("from 1 to 1000"))) << data;
}

TEST(echo, sends_a_command_to_another_session) {
  world w;
  w.submit("echo-1", "send", R"({"to":"echo-2","type":"hello","data":{"n":9007199254740993}})");
  EXPECT_THAT(w.updates_of("echo-1"), ElementsAre(R"(sent {"to":"echo-2","type":"hello"})"));
  EXPECT_THAT(w.updates_of("echo-2"), ElementsAre(R"(echo {"n":9007199254740993})"));
}

TEST(echo, sends_an_empty_object_when_no_data_is_given) {
  world w;
  w.submit("echo-1", "send", R"({"to":"echo-2","type":"hello"})");
  EXPECT_THAT(w.updates_of("echo-2"), ElementsAre("echo {}"));
}

TEST(echo, refuses_to_send_what_is_no_command) {
  EXPECT_THAT(answer("send", "{}"), ElementsAre(HasSubstr("send needs")));
  EXPECT_THAT(answer("send", R"({"to":"nobody","type":"hello"})"), ElementsAre(HasSubstr("<kind>-<name>")));
  EXPECT_THAT(answer("send", R"({"to":"echo-2","type":"a b"})"), ElementsAre(HasSubstr("command type")));
  EXPECT_THAT(answer("send", R"({"to":"echo-2","type":"hello","data":[]})"), ElementsAre(HasSubstr("not an object")));
}

TEST(echo, holds_or_parks_what_it_is_told_to_fail) {
  EXPECT_EQ(echo::echo::on_failure("fail"), failure_policy::hold);
  EXPECT_EQ(echo::echo::on_failure("throw"), failure_policy::hold);
  EXPECT_EQ(echo::echo::on_failure("park"), failure_policy::park);
  const auto id = *session_id::parse("echo-1");
  json::parser parser;
  const auto data = *parser.parse_object("{}");
  EXPECT_EQ(echo::echo::decide({}, {id, {1}, "fail", data, "{}", {1}}).kind(), decision::outcome::failed);
  EXPECT_EQ(echo::echo::decide({}, {id, {1}, "park", data, "{}", {1}}).kind(), decision::outcome::failed);
  EXPECT_THROW(echo::echo::decide({}, {id, {1}, "throw", data, "{}", {1}}), std::runtime_error);
}

}  // namespace
