#include "tools/rowcall/gateway_metrics.hpp"

#include <gmock/gmock.h>

namespace rowcall::tools {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(gateway_metrics, are_one_family_for_all_answers) {
  gateway::gateway_metrics m;
  m.http.answers_1xx_2xx = 5;
  m.http.answers_4xx = 2;
  exposition e;
  add_gateway_metrics(e, m);
  EXPECT_THAT(e.text(), HasSubstr("# TYPE rowcall_gateway_answers_total counter\n"
                                  "rowcall_gateway_answers_total{class=\"2xx\"} 5\n"
                                  "rowcall_gateway_answers_total{class=\"3xx\"} 0\n"
                                  "rowcall_gateway_answers_total{class=\"4xx\"} 2\n"));
}

TEST(gateway_metrics, are_never_taken_for_those_of_an_engine) {
  gateway::gateway_metrics m;
  m.is_ready = true;
  m.streams = 10'000;
  exposition e;
  add_gateway_metrics(e, m);
  EXPECT_THAT(e.text(), HasSubstr("\nrowcall_gateway_ready 1\n"));
  EXPECT_THAT(e.text(), HasSubstr("\nrowcall_gateway_streams 10000\n"));
  EXPECT_THAT(e.text(), Not(HasSubstr("\nrowcall_ready ")));
}

}  // namespace
}  // namespace rowcall::tools
