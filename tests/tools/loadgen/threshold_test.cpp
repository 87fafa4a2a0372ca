#include "tools/loadgen/threshold.hpp"

#include <gtest/gtest.h>

#include "tools/loadgen/report.hpp"

namespace rowcall::tools::loadgen {
namespace {

TEST(threshold, units_are_understood) {
  EXPECT_TRUE(threshold::parse("p99>20ms")->is_met_by(20.1));
  EXPECT_FALSE(threshold::parse("p99 > 20ms")->is_met_by(20));
  EXPECT_TRUE(threshold::parse("max>=1s")->is_met_by(1000));
  EXPECT_TRUE(threshold::parse("ack_p50<200us")->is_met_by(0.1));
  EXPECT_TRUE(threshold::parse("p999>5")->is_met_by(6));
}

TEST(threshold, counts_have_none) {
  EXPECT_TRUE(threshold::parse("lost>0")->is_met_by(1));
  EXPECT_FALSE(threshold::parse("lost>0")->is_met_by(0));
  EXPECT_TRUE(threshold::parse("throughput<1000")->is_met_by(999.9));
  EXPECT_TRUE(threshold::parse("errors!=0")->is_met_by(3));
  EXPECT_TRUE(threshold::parse("throughput_per_s<1e3")->is_met_by(999));
  EXPECT_FALSE(threshold::parse("lost>0ms").has_value());
}

TEST(threshold, nonsense_is_refused) {
  for (const char* text : {"", "p99", "p99>", ">5", "p98>5ms", "p99>5km", "p99=>5", "p99>x"})
    EXPECT_FALSE(threshold::parse(text).has_value()) << text;
}

TEST(threshold, every_known_metric_can_be_read_from_a_report) {
  report r;
  for (const char* metric : {"p50", "p9999", "ack_max", "read_p99", "send_lag_mean", "throughput", "submitted", "acknowledged",
                             "followed", "lost", "duplicated", "reordered", "gaps", "errors", "rejected"})
    EXPECT_EQ(r.metric(threshold::parse(std::string(metric) + ">0")->metric()), 0) << metric;
}

TEST(threshold, a_met_one_fails_the_run) {
  report r;
  r.latency.record(std::chrono::milliseconds{30});
  r.check({*threshold::parse("p99>20ms"), *threshold::parse("lost>0")});
  ASSERT_EQ(r.thresholds.size(), 2u);
  EXPECT_TRUE(r.thresholds[0].failed);
  EXPECT_FALSE(r.thresholds[1].failed);
  EXPECT_FALSE(r.passed());
  r.check({*threshold::parse("p99>40ms")});
  EXPECT_TRUE(r.passed());
  r.found.gaps = 1;
  EXPECT_FALSE(r.passed());
}

}  // namespace
}  // namespace rowcall::tools::loadgen
