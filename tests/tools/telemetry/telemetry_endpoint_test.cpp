#include "tools/telemetry/telemetry_endpoint.hpp"

#include <gmock/gmock.h>
#include <httplib.h>

#include <atomic>
#include <mutex>

namespace rowcall::tools {
namespace {

using ::testing::HasSubstr;

struct telemetry_endpoint_test : ::testing::Test {
  std::mutex mutex;
  std::string not_alive, not_ready;

  std::unique_ptr<telemetry_endpoint> listen(const std::string& address = "127.0.0.1:0") {
    telemetry_handlers handlers;
    handlers.collect = [](exposition& e) { e.gauge("answer", "The answer.", 42); };
    handlers.why_not_alive = [this] {
      const std::lock_guard lock{mutex};
      return not_alive;
    };
    handlers.why_not_ready = [this] {
      const std::lock_guard lock{mutex};
      return not_ready;
    };
    auto made = telemetry_endpoint::listen(address, std::move(handlers));
    EXPECT_TRUE(made) << made.error().message;
    return std::move(*made);
  }
  static httplib::Result get(const telemetry_endpoint& e, const std::string& path) {
    return httplib::Client{"http://" + e.address()}.Get(path);
  }
};

TEST_F(telemetry_endpoint_test, serves_the_metrics_on_a_free_port) {
  const auto e = listen();
  EXPECT_THAT(e->address(), ::testing::MatchesRegex("127\\.0\\.0\\.1:[1-9][0-9]*"));
  const auto answer = get(*e, "/metrics");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 200);
  EXPECT_THAT(answer->body, HasSubstr("\nanswer 42\n"));
  EXPECT_EQ(answer->get_header_value("Content-Type"), "text/plain; version=0.0.4; charset=utf-8");
}

TEST_F(telemetry_endpoint_test, tells_health_and_readiness_with_the_reason) {
  const auto e = listen();
  EXPECT_EQ(get(*e, "/healthz")->status, 200);
  EXPECT_EQ(get(*e, "/healthz")->body, "ok\n");
  EXPECT_EQ(get(*e, "/readyz")->body, "ready\n");
  {
    const std::lock_guard lock{mutex};
    not_alive = "an actor died";
    not_ready = "NATS is away";
  }
  EXPECT_EQ(get(*e, "/healthz")->status, 503);
  EXPECT_EQ(get(*e, "/healthz")->body, "an actor died\n");
  EXPECT_EQ(get(*e, "/readyz")->status, 503);
  EXPECT_EQ(get(*e, "/readyz")->body, "NATS is away\n");
}

TEST_F(telemetry_endpoint_test, refuses_other_paths_and_methods) {
  const auto e = listen();
  EXPECT_EQ(get(*e, "/")->status, 404);
  EXPECT_THAT(get(*e, "/")->body, HasSubstr("/metrics"));
  EXPECT_EQ(get(*e, "/metrics/../etc/passwd")->status, 404);
  httplib::Client client{"http://" + e->address()};
  EXPECT_GE(client.Post("/metrics", "x", "text/plain")->status, 400);
}

TEST_F(telemetry_endpoint_test, ends_while_a_client_keeps_its_connection) {
  auto e = listen();
  httplib::Client client{"http://" + e->address()};
  client.set_keep_alive(true);
  ASSERT_TRUE(client.Get("/healthz"));
  e.reset();
  EXPECT_FALSE(client.Get("/healthz"));
}

TEST_F(telemetry_endpoint_test, says_why_it_can_not_listen) {
  const auto e = listen();
  const auto again = telemetry_endpoint::listen(e->address(), {});
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, engine::errc::unavailable);
  EXPECT_THAT(again.error().message, HasSubstr(e->address()));
  EXPECT_EQ(telemetry_endpoint::listen("nonsense", {}).error().code, engine::errc::invalid_argument);
}

TEST_F(telemetry_endpoint_test, answers_while_others_do_not_send_their_request) {
  const auto e = listen();
  std::vector<std::unique_ptr<httplib::Client>> silent;
  // Three of the four threads are kept busy by clients that keep their connection open.
  for (int i = 0; i < 3; ++i) {
    silent.push_back(std::make_unique<httplib::Client>("http://" + e->address()));
    silent.back()->set_keep_alive(true);
    ASSERT_TRUE(silent.back()->Get("/healthz"));
  }
  EXPECT_EQ(get(*e, "/healthz")->status, 200);
}

}  // namespace
}  // namespace rowcall::tools
