#include "tools/loadgen/finish.hpp"

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

namespace rowcall::tools::loadgen {
namespace {

report clean_run() {
  report r;
  r.duration_s = 1;
  r.count.submitted = r.count.acknowledged = r.count.followed = 100;
  r.latency.record(std::chrono::milliseconds{5}, 100);
  return r;
}

output_options quiet(std::vector<std::string> fail_if = {}) {
  output_options o;
  o.fail_if = std::move(fail_if);
  o.is_quiet = true;
  return o;
}

TEST(finish, a_clean_run_passes) {
  report r = clean_run();
  EXPECT_EQ(finish(r, quiet({"p99>20ms", "lost>0", "throughput<50"})), exit_code::ok);
  EXPECT_EQ(r.thresholds.size(), 3u);
}

TEST(finish, each_finding_is_a_fault_also_when_a_threshold_is_met_or_a_file_can_not_be_written) {
  const auto with = [](std::uint64_t findings::*finding) {
    report r = clean_run();
    r.found.*finding = 1;
    return r;
  };
  for (const auto finding : {&findings::lost, &findings::duplicated, &findings::reordered, &findings::gaps}) {
    report r = with(finding);
    EXPECT_EQ(finish(r, quiet()), exit_code::faulty);
    output_options o = quiet({"p99>1ms"});
    o.json = ::testing::TempDir() + "no_such_directory/report.json";
    EXPECT_EQ(finish(r, o), exit_code::faulty);
  }
}

TEST(finish, a_threshold_that_is_met_fails) {
  report r = clean_run();
  EXPECT_EQ(finish(r, quiet({"lost>0", "p99>1ms"})), exit_code::threshold);
}

TEST(finish, a_threshold_that_is_none_is_a_fault_of_the_command_line) {
  report r = clean_run();
  EXPECT_EQ(finish(r, quiet({"p98>1ms"})), exit_code::usage);
}

TEST(finish, a_run_of_which_nothing_was_followed_has_failed) {
  report r = clean_run();
  r.count.followed = 0;
  EXPECT_EQ(finish(r, quiet()), exit_code::failed);
}

TEST(finish, a_file_that_can_not_be_written_is_an_error) {
  report r = clean_run();
  for (const auto file : {&output_options::json, &output_options::csv, &output_options::html}) {
    output_options o = quiet();
    o.*file = ::testing::TempDir() + "no_such_directory/report";
    EXPECT_EQ(finish(r, o), exit_code::failed);
  }
}

TEST(finish, the_report_is_written_whatever_the_end) {
  const std::string file = ::testing::TempDir() + "finish_test.json";
  report r = clean_run();
  r.found.lost = 1;
  output_options o = quiet();
  o.json = file;
  EXPECT_EQ(finish(r, o), exit_code::faulty);
  std::ifstream in(file);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  std::filesystem::remove(file);
  const auto back = from_json(text);
  ASSERT_TRUE(back.has_value()) << back.error().message;
  EXPECT_EQ(back->found.lost, 1u);
}

}  // namespace
}  // namespace rowcall::tools::loadgen
