#include "tools/rowcall/top_screen.hpp"

#include <gmock/gmock.h>

#include "engine/json.hpp"
#include "tools/rowcall/format.hpp"

namespace rowcall::tools {
namespace {

using namespace std::chrono_literals;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

top_view view() {
  top_view v;
  v.clock = "07:00:12";
  v.status.pending_commands = 1'234;
  v.status.pending_sessions = 3;
  v.status.oldest_pending_age = 4s;
  v.status.commands_per_s = 1'000;
  v.status.turns_per_s = 50;
  v.status.dead = 2;
  engine::node_info n;
  n.node = "host-1";
  n.kinds = {"chat", "echo"};
  n.version = "0.1.0";
  v.status.nodes.push_back(n);
  v.busiest.push_back({engine::session_id::parse("echo-hot").value(), 5'000, 1'200, 4s});
  return v;
}

std::vector<std::string> lines_of(std::string text) {
  std::vector<std::string> lines;
  for (std::size_t at; (at = text.find("\r\n")) != std::string::npos; text.erase(0, at + 2))
    lines.push_back(text.substr(0, at));
  lines.push_back(text);
  for (auto& line : lines)
    if (const auto at = line.find("\x1b[K"); at != std::string::npos) line.erase(at);
  return lines;
}

TEST(top, shows_rates_pending_engines_and_the_busiest_sessions) {
  const auto text = top_text(view());
  for (const char* part : {"1000.0", "commands a turn  20.0", "1,234 in 3 sessions", "dead letters  2", "host-1",
                           "chat echo", "echo-hot", "5,000"})
    EXPECT_THAT(text, HasSubstr(part)) << text;
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
}

TEST(top, never_draws_past_the_screen) {
  auto v = view();
  v.status.nodes.front().node = "h\xC3\xB6st-" + std::string(200, 'x');
  for (int i = 0; i < 50; ++i) v.status.nodes.push_back(v.status.nodes.front());
  for (const auto& [rows, columns] : {std::pair{24u, 80u}, {5u, 10u}, {1u, 1u}}) {
    const auto lines = lines_of(top_screen(v, {rows, columns}));
    EXPECT_LE(lines.size(), rows);
    for (const auto& line : lines) {
      EXPECT_LE(display_width(line), columns) << line;
      EXPECT_EQ(sanitised(line), line) << "a character was cut in two";
    }
  }
}

TEST(top, keeps_its_columns_apart) {
  auto v = view();
  v.status.nodes.front().uptime = 59min + 59s;
  v.status.nodes.front().heartbeat_age = 57ms;
  EXPECT_THAT(top_text(v), HasSubstr("59 min 59 s 57 ms "));
}

TEST(top, shows_that_something_was_cut) {
  auto v = view();
  v.status.nodes.front().kinds = {"a", std::string(100, 'k')};
  const auto lines = lines_of(top_screen(v, {24, 80}));
  const auto engine =
      std::find_if(lines.begin(), lines.end(), [](const auto& line) { return line.starts_with("host-1"); });
  ASSERT_NE(engine, lines.end());
  EXPECT_THAT(*engine, EndsWith("kkk…"));
}

TEST(top, says_that_the_figures_are_old_and_why) {
  auto v = view();
  v.error = "connection \x1b[2Jlost";
  EXPECT_THAT(top_text(v), HasSubstr("OLD FIGURES: connection"));
  EXPECT_THAT(top_text(v), Not(HasSubstr("\x1b[2J")));
}

TEST(top, for_scripts_is_one_object) {
  engine::json::parser parser;
  const auto text = top_json(view());
  EXPECT_TRUE(parser.parse_object(text)) << text;
  EXPECT_THAT(text, HasSubstr(R"("busiest":[{"session":"echo-hot","pending_commands":1200)"));
}

}  // namespace
}  // namespace rowcall::tools
