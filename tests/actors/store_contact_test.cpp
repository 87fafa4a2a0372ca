#include "actors/internal/store_contact.hpp"

#include <gtest/gtest.h>

namespace rowcall::actors::internal {
namespace {

using namespace std::chrono_literals;

TEST(store_contact, gives_the_reason_for_a_process_s_end_a_kind_of_line_of_its_own) {
  metrics counters;
  std::vector<std::pair<engine::log_level, std::string>> lines;
  store_contact c{&counters,
                  [&](engine::log_level level, std::string_view, const engine::log_fields& about) {
                    lines.emplace_back(level, about.event);
                  },
                  1s};
  c.failed("leaving now", {engine::errc::connection_lost, "gone"});
  c.failed("heartbeat", {engine::errc::superseded, "restored"});
  // The limit on repetition counts by event: that of an outage must not leave the last line out.
  EXPECT_EQ(lines, (std::vector<std::pair<engine::log_level, std::string>>{
                       {engine::log_level::warning, "leaving_now_failed"}, {engine::log_level::error, "superseded"}}));
}

}  // namespace
}  // namespace rowcall::actors::internal
