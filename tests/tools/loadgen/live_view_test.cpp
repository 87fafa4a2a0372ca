#include "tools/loadgen/live_view.hpp"

#include <sstream>

#include <gmock/gmock.h>

namespace rowcall::tools::loadgen {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

progress sample() {
  progress p;
  p.phase = "load";
  p.elapsed_s = 7;
  p.total_s = 30;
  p.last.offered_per_s = 5000;
  p.last.count = {5001, 4990, 4980, 0, 3};
  p.last.p50_ms = 2.5;
  p.last.p90_ms = 4.25;
  p.last.p99_ms = 12.5;
  p.last.max_ms = 80;
  p.last.cpu_engine = 0.25;
  p.last.cpu_postgresql = 1.5;
  p.total = {35'000, 34'990, 34'980, 0, 9};
  p.in_flight = 11;
  p.pending = 10;
  return p;
}

/// The lines of a table as they stand on the screen: without the escape sequences.
std::vector<std::string> lines_of(const std::string& table) {
  std::string plain;
  for (std::size_t i = 0; i < table.size(); ++i) {
    if (table[i] != '\x1b')
      plain += table[i];
    else
      for (i += 2; i < table.size() && !std::isalpha(static_cast<unsigned char>(table[i]));) ++i;
  }
  std::vector<std::string> lines;
  std::istringstream in(plain);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

TEST(live_view, a_pipe_gets_one_line) {
  progress p = sample();
  const std::string line = progress_line(p);
  EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1);
  EXPECT_EQ(line.back(), '\n');
  EXPECT_EQ(line.find('\x1b'), std::string::npos);
  EXPECT_THAT(line,
              AllOf(HasSubstr("load"), HasSubstr("7/30 s"), HasSubstr("5001 submitted/s"), HasSubstr("4980 followed/s"),
                    HasSubstr("p99 12.50"), HasSubstr("errors 9"), HasSubstr("faults none")));
  p.last.warm_up = true;
  p.found.duplicated = 2;
  EXPECT_THAT(progress_line(p), AllOf(HasSubstr("warm-up"), HasSubstr("dup 2")));
}

TEST(live_view, a_terminal_gets_a_table_with_rates_percentiles_errors_and_cores) {
  const std::string table = progress_table(sample(), false, 80);
  EXPECT_THAT(table,
              AllOf(HasSubstr("load 7 of 30 s, 5000 commands/s offered"), HasSubstr("34990"), HasSubstr("in flight 11"),
                    HasSubstr("pending 10"), HasSubstr("faults none"), HasSubstr("p90 4.25"), HasSubstr("max 80.00"),
                    HasSubstr("engine 0.25"), HasSubstr("postgresql 1.50")));
  EXPECT_EQ(table.find("A"), std::string::npos) << "nothing was written that it could go up over";
}

TEST(live_view, the_table_goes_up_over_as_many_lines_as_it_has_and_clears_each) {
  const std::string table = progress_table(sample(), true, 80);
  const auto lines = std::count(table.begin(), table.end(), '\n');
  EXPECT_EQ(static_cast<std::size_t>(lines), lines_of(table).size());
  EXPECT_EQ(table.rfind("\x1b[" + std::to_string(lines) + "A", 0), 0u);
  std::ptrdiff_t cleared = 0;
  for (std::size_t at = 0; (at = table.find("\x1b[2K", at)) != std::string::npos; ++at) ++cleared;
  EXPECT_EQ(cleared, lines);
}

TEST(live_view, no_line_is_wider_than_the_terminal_so_that_none_wraps) {
  progress p = sample();
  p.found = {0, 12'345'678, 12'345'678, 12'345'678, {}};
  const auto whole = lines_of(progress_table(p, true, 0));
  for (const std::size_t columns : {1u, 20u, 40u, 65u, 200u}) {
    const auto lines = lines_of(progress_table(p, true, columns));
    ASSERT_EQ(lines.size(), whole.size());
    for (std::size_t i = 0; i < lines.size(); ++i) EXPECT_EQ(lines[i], whole[i].substr(0, columns));
  }
}

}  // namespace
}  // namespace rowcall::tools::loadgen
