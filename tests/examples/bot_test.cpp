#include "examples/bot/bot.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/process.hpp"

namespace {

using rowcall::engine::update_row;
using rowcall::engine::update_seq;

struct bot_test : testing::Test {
  rowcall::engine::json::parser parser;
  std::optional<std::string> answer(std::string type, std::string data) {
    return example::answer_to(update_row{{17}, {3}, std::move(type), std::move(data), {}}, "parrot", parser);
  }
};

TEST_F(bot_test, counts_the_words_of_a_message) {
  EXPECT_EQ(answer("new_message", R"({"sender":"ann","text":" how are  you "})"), "re #17: 3 words from ann");
  EXPECT_EQ(answer("new_message", R"({"sender":"ann","text":"hi"})"), "re #17: 1 word from ann");
}

TEST_F(bot_test, answers_neither_itself_nor_another_bot_nor_what_is_no_message) {
  EXPECT_EQ(answer("new_message", R"({"sender":"parrot","text":"hi"})"), std::nullopt);
  EXPECT_EQ(answer("new_message", R"({"sender":"other","text":"re #3: 1 word from ann"})"), std::nullopt);
  EXPECT_EQ(answer("member_joined", R"({"user_id":"ann"})"), std::nullopt);
}

TEST_F(bot_test, keeps_its_position_in_a_file) {
  const auto path = rowcall::support::make_directory() + "/position";
  const example::position_file file{path};
  EXPECT_EQ(file.read(), std::nullopt);
  file.write({42});
  file.write({43});
  EXPECT_EQ(file.read(), update_seq{43});
  std::ofstream{path} << "rubbish";
  EXPECT_THROW(static_cast<void>(file.read()), std::runtime_error);
}

}  // namespace
