#include "examples/counter/counter.hpp"

#include <gmock/gmock.h>

#include <memory>

#include "engine/session.hpp"

using namespace rowcall::engine;

namespace {

/// What a module author needs for a test: a session, without any server.
class counter_test : public testing::Test {
 protected:
  counter_test() {
    modules_.add<example::counter>();
    id_ = *session_id::parse("counter-1");
    session_ = std::make_unique<session>(id_, *modules_.find("counter"), std::make_shared<session_config>());
    EXPECT_TRUE(session_->load({}, parser_));
  }

  update_row submit(std::string type, std::string data) {
    const command_row row{session_->cursor().command.next(), std::move(type), std::move(data), {}};
    return session_->decide(session_->cursor(), {&row, 1}, parser_).writes.updates.at(0);
  }

  module_registry modules_;
  session_id id_;
  json::parser parser_;
  std::unique_ptr<session> session_;
};

TEST_F(counter_test, adds_up) {
  EXPECT_EQ(submit("add", R"({"by":5})").data, R"({"total":5})");
  EXPECT_EQ(submit("add", R"({"by":-2})").data, R"({"total":3})");
}

TEST_F(counter_test, never_falls_below_zero) {
  EXPECT_EQ(submit("add", R"({"by":-1})").type, "command_rejected");
  EXPECT_EQ(submit("add", R"({"by":1})").data, R"({"total":1})");
}

TEST_F(counter_test, says_what_is_wrong_with_a_command) {
  EXPECT_EQ(submit("add", R"({"by":"five"})").data,
            R"({"type":"add","reason":"\"by\" must be an integer from -1000 to 1000"})");
  EXPECT_EQ(submit("subtract", "{}").data, R"({"type":"subtract","reason":"a counter knows only the command add"})");
}

TEST_F(counter_test, comes_back_from_a_snapshot_and_the_updates_after_it) {
  const session_image image{
      {{2}, {2}}, snapshot_row{{1}, {1}, R"({"total":7})"}, {{{2}, {2}, "added", R"({"total":9})", {}}}, {}, {}};
  ASSERT_TRUE(session_->load(image, parser_));
  EXPECT_EQ(submit("add", R"({"by":1})").data, R"({"total":10})");
}

}  // namespace
