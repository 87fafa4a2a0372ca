#include "tools/loadgen/scenario.hpp"

#include <set>

#include <gtest/gtest.h>

#include "tools/loadgen/data_template.hpp"

namespace rowcall::tools::loadgen {
namespace {

std::string rendered(std::string_view text, template_values values, std::uint64_t seed = 1) {
  const auto t = data_template::compile(text);
  EXPECT_TRUE(t.has_value()) << (t ? "" : t.error().message);
  std::string out;
  random_source random(seed);
  if (t) t->render(values, random, out);
  return out;
}

TEST(data_template, placeholders_are_filled_in) {
  EXPECT_EQ(rendered(R"({"a":"${session}","b":"${user}","n":${n}})", {3, 4, 5, 0}), R"({"a":"s3","b":"u4","n":5})");
  EXPECT_EQ(rendered("$ {x} $$", {}), "$ {x} $$");
  EXPECT_EQ(rendered("${text}", {0, 0, 0, 1000}).size(), 1000u);
  EXPECT_EQ(rendered("${int:7..7}", {}), "7");
}

TEST(data_template, text_needs_no_escaping) {
  const std::string text = rendered("${text}", {0, 0, 0, 10'000});
  EXPECT_EQ(text.find_first_of("\"\\\n\t"), std::string::npos);
}

TEST(data_template, unknown_placeholders_are_refused) {
  for (const char* text : {"${nope}", "${session", "${int:5}", "${int:9..1}", "${int:a..b}"})
    EXPECT_FALSE(data_template::compile(text).has_value()) << text;
}

TEST(scenario, echo_sends_about_100_bytes_of_valid_data) {
  const auto s = *make_scenario({});
  random_source random(1);
  for (int i = 0; i < 1000; ++i) {
    const auto c = s->next(random);
    ASSERT_LT(c.session, 1000u);
    ASSERT_TRUE(engine::validate({s->id_of(c.session), c.type, c.data, {}}).has_value()) << c.data;
    ASSERT_NEAR(static_cast<double>(c.data.size()), 125, 15);
  }
}

TEST(scenario, churn_replaces_sessions_and_never_uses_a_retired_one) {
  scenario_options options;
  options.name = "churn";
  options.sessions = 20;
  options.session_commands = 5;
  const auto s = *make_scenario(options);
  random_source random(1);
  std::set<session_index> gone;
  session_index highest = 19;
  std::map<session_index, int> commands;
  for (int i = 0; i < 5000; ++i) {
    const auto c = s->next(random);
    for (const auto r : s->retired()) ASSERT_TRUE(gone.insert(r).second);
    ASSERT_FALSE(gone.count(c.session));
    ASSERT_LE(c.session, highest + 1);
    highest = std::max(highest, c.session);
    ASSERT_LE(++commands[c.session], 5);
  }
  EXPECT_GT(gone.size(), 950u);
}

TEST(scenario, a_file_describes_a_mix) {
  const char* text = R"({
    "kind": "echo", "sessions": 50, "keys": "zipf:1.2", "users": 5, "one_update_a_command": false,
    "setup": [{"type": "say", "data": {"hello": "${session}"}}],
    "commands": [
      {"type": "say", "weight": 3, "size": "10..20", "data": {"text": "${text}", "from": "${user}"}},
      {"type": "many", "weight": 1, "data": "{\"count\":${int:1..3}}"}
    ]})";
  const auto s = load_scenario(text, {});
  ASSERT_TRUE(s.has_value()) << s.error().message;
  EXPECT_EQ((*s)->initial_sessions(), 50u);
  EXPECT_FALSE((*s)->has_one_update_a_command());
  const auto setup = (*s)->setup();
  ASSERT_EQ(setup.size(), 1u);
  EXPECT_EQ(setup[0].size(), 50u);
  EXPECT_EQ(setup[0][7].data, R"({"hello":"s7"})");
  random_source random(1);
  int say = 0;
  for (int i = 0; i < 4000; ++i) {
    const auto c = (*s)->next(random);
    ASSERT_TRUE(engine::validate({(*s)->id_of(c.session), c.type, c.data, {}}).has_value()) << c.data;
    say += c.type == "say";
  }
  EXPECT_NEAR(say, 3000, 150);
}

TEST(scenario, a_bad_file_is_refused_with_its_fault) {
  for (const char* text : {"", "[]", "{}", R"({"commands":[]})", R"({"commands":[{"type":"a b"}]})",
                           R"({"commands":[{"type":"a","data":{"x":"${nope}"}}]})", R"({"commands":[{"type":"a","data":"no"}]})",
                           R"({"commands":[{"type":"a","weight":0}]})", R"({"commands":[{"type":"a","wieght":1}]})",
                           R"({"comands":[{"type":"a"}]})", R"({"sessions":-1,"commands":[{"type":"a"}]})",
                           R"({"kind":"a-b","commands":[{"type":"a"}]})", R"({"keys":"x","commands":[{"type":"a"}]})"})
    EXPECT_FALSE(load_scenario(text, {}).has_value()) << text;
}

TEST(scenario, bad_options_are_refused) {
  const auto refused = [](auto change) {
    scenario_options o;
    change(o);
    return !make_scenario(o).has_value();
  };
  EXPECT_TRUE(refused([](auto& o) { o.name = "nope"; }));
  EXPECT_TRUE(refused([](auto& o) { o.run = "a-b"; }));
  EXPECT_TRUE(refused([](auto& o) { o.run = ""; }));
  EXPECT_TRUE(refused([](auto& o) { o.sessions = 0; }));
  EXPECT_TRUE(refused([](auto& o) { o.keys = "x"; }));
  EXPECT_TRUE(refused([](auto& o) { o.name = "chat", o.mix = "post"; }));
  EXPECT_TRUE(refused([](auto& o) { o.name = "chat", o.mix = "post:0"; }));
  EXPECT_TRUE(refused([](auto& o) { o.name = "chat", o.room_users = 0; }));
}

}  // namespace
}  // namespace rowcall::tools::loadgen
