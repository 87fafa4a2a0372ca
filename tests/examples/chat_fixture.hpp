#pragma once

#include <gtest/gtest.h>

#include <fstream>

#include "tests/e2e/deployment.hpp"
#include "tests/support/eventually.hpp"

/// A chat with an engine, for components that follow it.
namespace rowcall::e2e {

struct chat_fixture : testing::Test {
  void SetUp() override {
    engine.wait_ready();
    submit({{id("chat-1"), "create_chat", R"({"name":"One","sender":"ann"})", {}}});
  }

  void submit(std::vector<engine::command_request> batch) {
    for (auto& o : submitter->submit(std::move(batch))) ASSERT_TRUE(o) << o.error().message;
  }

  void post(int count, const std::string& chat = "chat-1") {
    std::vector<engine::command_request> batch;
    for (int i = 0; i < count; ++i)
      batch.push_back({id(chat), "post_message", R"({"text":"a b c","sender":"ann"})", {}});
    submit(std::move(batch));
  }

  /// A component as a process, with this deployment in its environment.
  support::process start(std::vector<std::string> argv) {
    support::process::options how;
    how.output = output;
    how.environment = {"ROWCALL_DATABASE_URL=" + d.database_url, "ROWCALL_NATS_URL=" + d.nats_url,
                       "ROWCALL_SUBJECT_PREFIX=" + d.prefix};
    return support::process(std::move(argv), how);
  }

  /// Waits until the first column of the statement is `expected`.
  bool becomes(const std::string& statement, const std::string& expected,
               std::chrono::seconds deadline = std::chrono::seconds{30}) {
    support::sql_connection c(d.database_url);
    return support::eventually(deadline, [&] { return c.value(statement) == expected; });
  }

  support::database database = support::fresh_database();
  deployment d = deployment::shared(database);
  std::unique_ptr<engine::bus> bus = d.connect();
  std::unique_ptr<client::submitter> submitter = make_submitter(d, *bus);
  engine_process engine{d};
  std::string folder = support::make_directory();
  std::string output = folder + "/output";
};

}  // namespace rowcall::e2e
