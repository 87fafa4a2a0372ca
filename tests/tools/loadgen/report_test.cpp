#include "tools/loadgen/report.hpp"

#include <gmock/gmock.h>

#include "engine/json.hpp"

namespace rowcall::tools::loadgen {
namespace {

namespace json = engine::json;
using std::chrono::milliseconds;

report sample(double started_unix_s, std::uint64_t commands, milliseconds latency) {
  report r;
  r.config = {{"scenario", "echo"}, {"odd", "<script>\"&"}};
  r.started_unix_s = started_unix_s;
  r.measure_from_unix_s = started_unix_s + 1;
  r.measure_to_unix_s = started_unix_s + 11;
  r.duration_s = 10;
  r.count = {commands, commands, commands, 1, 2};
  r.errors_by_code = {{"busy", 2}};
  r.latency.record(latency, commands);
  r.ack_latency.record(milliseconds{1}, commands);
  r.send_lag.record(std::chrono::microseconds{50}, commands);
  stage_report s;
  s.to_s = 11;
  s.measured_s = 10;
  s.rate_from = s.rate_to = 100;
  s.count = r.count;
  s.latency = r.latency;
  r.stages = {s};
  for (int i = 0; i < 11; ++i) {
    second_row row;
    row.second = i;
    row.count.followed = 100;
    row.p99_ms = to_ms(latency);
    r.seconds.push_back(row);
  }
  r.cpu.cores = 2;
  r.cpu.elapsed_core_seconds = 20;
  r.cpu.seconds[0] = 5;
  r.cpu.present[0] = true;
  r.commands_digest = UINT64_MAX - 3;
  r.found.examples = {};
  return r;
}

TEST(report, one_with_numbers_that_no_run_has_is_refused) {
  auto late = sample(1000, 500, milliseconds{4});
  late.seconds.back().second = INT64_MAX;
  EXPECT_EQ(from_json(to_json(late)).error().message, "report: a second is out of range");
  auto far = sample(1e300, 500, milliseconds{4});
  EXPECT_EQ(from_json(to_json(far)).error().message, "report: a time is out of range");
  auto many = sample(1000, 500, milliseconds{4});
  many.processes = INT32_MAX;
  EXPECT_GT(merge({*from_json(to_json(many)), *from_json(to_json(many))}).processes, 0);
}

TEST(report, json_has_the_stable_keys) {
  const std::string text = to_json(sample(1000, 500, milliseconds{4}));
  json::parser parser;
  const auto o = parser.parse_object(text);
  ASSERT_TRUE(o.has_value()) << o.error().message;
  for (const char* key : {"throughput_per_s", "submitted", "acknowledged", "followed", "lost", "duplicated", "reordered", "gaps",
                          "errors", "latency_ms", "duration_s", "config", "cpu"})
    EXPECT_EQ((*o)[key].error(), simdjson::SUCCESS) << key;
  for (const char* key : {"p50", "p90", "p99", "p999", "max"}) EXPECT_EQ((*o)["latency_ms"][key].error(), simdjson::SUCCESS) << key;
  EXPECT_NEAR((*o)["latency_ms"]["p99"].get_double().value(), 4, 0.01);
  EXPECT_NEAR((*o)["throughput_per_s"].get_double().value(), 50, 0.01);
  EXPECT_NEAR((*o)["cpu"]["engine"].get_double().value(), 0.5, 0.001);
  EXPECT_TRUE((*o)["cpu"]["nats"].is_null());
}

TEST(report, json_comes_back_as_it_went) {
  report r = sample(1000, 500, milliseconds{4});
  r.found = {1, 2, 3, 4, {"echo-r-1: something"}};
  r.search = {{100, 99, 3, true, ""}, {200, 150, 30, false, "fell behind"}};
  r.max_rate_per_s = 100;
  r.interrupted = true;
  r.limit = {"machine", "full"};
  r.check({*threshold::parse("p99>1ms")});
  const std::string text = to_json(r);
  const auto back = from_json(text);
  ASSERT_TRUE(back.has_value()) << back.error().message;
  EXPECT_EQ(to_json(*back), text);
}

TEST(report, what_is_no_report_is_refused) {
  for (const char* text : {"", "[]", "{}", R"({"format":"rowcall-loadgen/1"})", R"({"format":"other"})"})
    EXPECT_FALSE(from_json(text).has_value()) << text;
}

TEST(report, merging_adds_counts_findings_and_histograms) {
  report a = sample(1000, 100, milliseconds{1}), b = sample(1002, 300, milliseconds{9});
  b.found.lost = 2;
  const report m = merge({a, b});
  EXPECT_EQ(m.count.followed, 400u);
  EXPECT_EQ(m.errors_by_code.at("busy"), 4u);
  EXPECT_EQ(m.found.lost, 2u);
  EXPECT_EQ(m.latency.count(), 400u);
  EXPECT_NEAR(to_ms(m.latency.percentile(25)), 1, 0.01);
  EXPECT_NEAR(to_ms(m.latency.percentile(50)), 9, 0.01);
  EXPECT_EQ(m.processes, 2);
  EXPECT_NEAR(m.duration_s, 12, 1e-6);  // from the start of the first to the end of the last
  ASSERT_EQ(m.seconds.size(), 13u);
  EXPECT_EQ(m.seconds[0].count.followed, 100u);
  EXPECT_EQ(m.seconds[5].count.followed, 200u);
  ASSERT_EQ(m.stages.size(), 1u);
  EXPECT_EQ(m.stages[0].rate_from, 200);
  EXPECT_FALSE(m.passed());
}

TEST(report, merging_processes_that_together_saturate_the_machine_names_the_generator) {
  // Each of two that use half of a core each has seen both (cpu_usage, by name).
  report a = sample(1000, 100, milliseconds{1}), b = sample(1000, 300, milliseconds{1});
  for (report* r : {&a, &b}) {
    r->cpu.seconds[static_cast<std::size_t>(role::generator)] = 9.6;
    r->cpu.present[static_cast<std::size_t>(role::generator)] = true;
  }
  const report m = merge({a, b});
  EXPECT_NEAR(m.cpu.of(role::generator), 9.6, 1e-9) << "one machine's time is not counted twice";
  EXPECT_NEAR(m.cpu.of(role::engine), 5, 1e-9);
  EXPECT_EQ(m.limit.who, "generator");
}

TEST(report, csv_has_one_line_a_second_with_as_many_fields_as_the_header) {
  const std::string csv = to_csv(sample(1000, 100, milliseconds{1}));
  std::istringstream in(csv);
  std::string line;
  std::size_t lines = 0;
  while (std::getline(in, line)) {
    EXPECT_EQ(std::count(line.begin(), line.end(), ','), 17) << line;
    ++lines;
  }
  EXPECT_EQ(lines, 12u);
}

TEST(report, html_is_one_page_that_asks_no_network_and_escapes_what_it_shows) {
  const std::string html = to_html(sample(1000, 100, milliseconds{1}));
  EXPECT_THAT(html, ::testing::HasSubstr("<svg"));
  EXPECT_THAT(html, ::testing::HasSubstr("&lt;script&gt;&quot;&amp;"));
  for (const char* forbidden : {"http://", "https://", "<script", "src=", "@import", "url(", "nan", "inf\""})
    EXPECT_THAT(html, ::testing::Not(::testing::HasSubstr(forbidden)));
}

TEST(report, html_of_an_empty_run_is_a_page_too) {
  EXPECT_THAT(to_html(report{}), ::testing::HasSubstr("</html>"));
}

TEST(report, text_names_what_was_wrong) {
  report r = sample(1000, 100, milliseconds{1});
  r.found.lost = 3;
  r.found.examples = {"echo-r-7: acknowledged and never answered, command 9"};
  EXPECT_THAT(to_text(r), ::testing::AllOf(::testing::HasSubstr("lost 3"), ::testing::HasSubstr("echo-r-7")));
}

}  // namespace
}  // namespace rowcall::tools::loadgen
