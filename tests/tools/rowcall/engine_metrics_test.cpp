#include "tools/rowcall/engine_metrics.hpp"

#include <gmock/gmock.h>

namespace rowcall::tools {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(engine_metrics, shows_durations_in_seconds_and_every_bucket) {
  actors::metrics m;
  m.submit_to_claim.observe(1'000);       // 1 ms: the bucket up to 1.024 ms
  m.submit_to_claim.observe(60'000'000);  // past the last bound
  m.turn_busy_us = 1'500'000;
  exposition e;
  add_node_metrics(e, m, 2);
  const auto text = e.text();
  EXPECT_THAT(text, HasSubstr("rowcall_submit_to_claim_seconds_bucket{le=\"0.000512\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("rowcall_submit_to_claim_seconds_bucket{le=\"0.001024\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("rowcall_submit_to_claim_seconds_bucket{le=\"+Inf\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("rowcall_submit_to_claim_seconds_sum 60.001\n"));
  EXPECT_THAT(text, HasSubstr("rowcall_turn_busy_seconds_total 1.5\n"));
  EXPECT_THAT(text, HasSubstr("rowcall_turn_workers 2\n"));
}

TEST(engine_metrics, tells_committed_turns_from_empty_ones) {
  actors::metrics m;
  m.turns = 10;
  m.turns_empty = 3;
  m.turns_aborted = 2;
  exposition e;
  add_node_metrics(e, m, 1);
  EXPECT_THAT(e.text(), HasSubstr("rowcall_turns_total{outcome=\"committed\"} 7\n"));
  EXPECT_THAT(e.text(), HasSubstr("rowcall_turns_total{outcome=\"empty\"} 3\n"));
  EXPECT_THAT(e.text(), HasSubstr("rowcall_turns_total{outcome=\"aborted\"} 2\n"));
}

TEST(engine_metrics, does_not_count_the_first_connect_as_a_reconnect) {
  for (const auto& [connects, reconnects] : {std::pair{0, "0"}, {1, "0"}, {3, "2"}}) {
    exposition e;
    bus::nats_counters c;
    c.connects = connects;
    add_bus_metrics(e, c, true);
    EXPECT_THAT(e.text(), HasSubstr(std::string{"rowcall_nats_reconnects_total "} + reconnects + "\n"));
  }
}

TEST(engine_metrics, shows_no_figures_of_the_database_before_it_has_answered) {
  exposition before;
  add_status_metrics(before, {{}, {}, 4});
  EXPECT_THAT(before.text(), HasSubstr("rowcall_status_failures_total 4\n"));
  EXPECT_THAT(before.text(), Not(HasSubstr("\nrowcall_cluster_")));
  engine::status_report report;
  report.pending_commands = 7;
  report.oldest_pending_age = 1'500ms;
  exposition after;
  add_status_metrics(after, {report, 2s, 4});
  EXPECT_THAT(after.text(), HasSubstr("rowcall_cluster_pending_commands 7\n"));
  EXPECT_THAT(after.text(), HasSubstr("rowcall_cluster_oldest_pending_age_seconds 1.5\n"));
  EXPECT_THAT(after.text(), HasSubstr("rowcall_status_age_seconds 2\n"));
}

}  // namespace
}  // namespace rowcall::tools
