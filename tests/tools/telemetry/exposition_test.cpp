#include "tools/telemetry/exposition.hpp"

#include <gmock/gmock.h>

#include "tools/telemetry/process_metrics.hpp"

namespace rowcall::tools {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;

TEST(exposition, shows_counters_and_gauges_with_help_type_and_labels) {
  exposition e;
  e.counter("a_total", "All of a.", 3);
  e.gauge("b", "How much b.", 1.5, {{"kind", "x"}});
  e.gauge("b", "How much b.", 2, {{"kind", "y"}});
  EXPECT_EQ(e.text(),
            "# HELP a_total All of a.\n# TYPE a_total counter\na_total 3\n"
            "# HELP b How much b.\n# TYPE b gauge\nb{kind=\"x\"} 1.5\nb{kind=\"y\"} 2\n");
}

TEST(exposition, escapes_what_a_label_can_not_hold) {
  exposition e;
  e.gauge("a", "A.", 1, {{"name", "say \"hi\"\\\n"}});
  EXPECT_THAT(e.text(), HasSubstr(R"(a{name="say \"hi\"\\\n"} 1)"));
}

TEST(exposition, sums_the_buckets_of_a_histogram_up_to_the_one_without_a_bound) {
  exposition e;
  e.histogram("h_seconds", "H.", {{0.5, 1}, {1, 2, 4}, 9.25});
  EXPECT_EQ(e.text(),
            "# HELP h_seconds H.\n# TYPE h_seconds histogram\nh_seconds_count 7\nh_seconds_sum 9.25\n"
            "h_seconds_bucket{le=\"0.5\"} 1\nh_seconds_bucket{le=\"1\"} 3\nh_seconds_bucket{le=\"+Inf\"} 7\n");
}

TEST(exposition, does_not_round_large_counters) {
  exposition e;
  e.counter("a_total", "A.", 9'007'199'254'740'991.0);
  EXPECT_THAT(e.text(), ContainsRegex("a_total (9007199254740991|9.007199254740991e\\+15)\n"));
}

TEST(process_metrics, are_those_of_this_process) {
  exposition e;
  add_process_metrics(e);
  const auto text = e.text();
  for (const char* name : {"process_cpu_seconds_total", "process_resident_memory_bytes", "process_threads",
                           "process_open_fds", "process_max_fds", "process_start_time_seconds"})
    EXPECT_THAT(text, ContainsRegex(std::string{"\n"} + name + " [1-9.0]")) << name;
  EXPECT_THAT(text, ContainsRegex("process_threads [1-9]"));
}

}  // namespace
}  // namespace rowcall::tools
