#include "client/submitter.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <latch>
#include <thread>

#include "tests/client/fakes.hpp"
#include "tests/support/eventually.hpp"

namespace rowcall::client {
namespace {

using namespace std::chrono_literals;
using engine::command_request;
using engine::errc;
using engine::submit_receipt;
using testing::ElementsAre;

command_request command(std::string_view session, int n, std::optional<std::string> key = {}) {
  return {id(session), "echo", "{\"n\":" + std::to_string(n) + "}", std::move(key)};
}

class submitter_test : public testing::Test {
 protected:
  submitter& make(int stores = 1, submitter_config config = {}) {
    std::vector<std::unique_ptr<engine::command_store>> all;
    for (int i = 0; i < stores; ++i) all.push_back(commands.store());
    made = std::make_unique<submitter>(std::move(all), bus, config);
    return *made;
  }

  fake_bus bus;
  fake_commands commands;
  std::unique_ptr<submitter> made;
};

TEST_F(submitter_test, stores_a_command_and_then_wakes_its_session) {
  commands.on_stored = [&] { EXPECT_TRUE(bus.wakes().empty()) << "the wake came before the commit"; };
  const auto stored = make().submit(command("chat-1", 1));
  ASSERT_TRUE(stored);
  EXPECT_EQ(stored->kind, submit_receipt::outcome::stored);
  EXPECT_EQ(stored->seq.value, 1);
  ASSERT_EQ(bus.wakes().size(), 1u);
  EXPECT_EQ(bus.wakes()[0].session, id("chat-1"));
  EXPECT_EQ(bus.wakes()[0].last.value, 1);
}

TEST_F(submitter_test, wakes_the_session_as_soon_as_its_command_is_visible_and_once) {
  commands.tells_before_the_disk = true;
  commands.fail_next(errc::commit_in_doubt, /*is_stored=*/true);
  const auto lost = make().submit(command("chat-1", 1));
  ASSERT_FALSE(lost) << "nobody knows whether it is durable";
  EXPECT_EQ(lost.error().code, errc::commit_in_doubt);
  ASSERT_EQ(bus.wakes().size(), 1u);
  ASSERT_TRUE(made->submit(command("chat-1", 2)));
  ASSERT_EQ(bus.wakes().size(), 2u);
  EXPECT_EQ(bus.wakes()[1].last.value, 2);
  EXPECT_EQ(commands.log("chat-1").size(), 2u);
}

TEST_F(submitter_test, does_a_lone_command_on_the_callers_thread) {
  std::thread::id thread;
  commands.on_stored = [&] { thread = std::this_thread::get_id(); };
  ASSERT_TRUE(make().submit(command("chat-1", 1)));
  EXPECT_EQ(thread, std::this_thread::get_id());
}

TEST_F(submitter_test, stores_a_batch_in_one_transaction_and_wakes_each_session_once) {
  const auto outcomes = make().submit({command("chat-1", 1), command("chat-2", 2), command("chat-1", 3)});
  ASSERT_EQ(outcomes.size(), 3u);
  EXPECT_EQ(outcomes[2]->seq.value, 2);
  EXPECT_EQ(commands.transactions().size(), 1u);
  ASSERT_EQ(bus.wakes().size(), 2u);
  EXPECT_EQ(bus.wakes()[0].last.value, 2);
}

TEST_F(submitter_test, splits_a_batch_at_the_groups_bound) {
  std::vector<command_request> batch;
  for (int i = 0; i < 25; ++i) batch.push_back(command("chat-1", i));
  const auto outcomes = make(1, {.group_commands_max = 10}).submit(batch);
  ASSERT_EQ(outcomes.size(), 25u);
  for (int i = 0; i < 25; ++i) EXPECT_EQ(outcomes[static_cast<std::size_t>(i)]->seq.value, i + 1);
  EXPECT_EQ(commands.transactions().size(), 3u);
}

TEST_F(submitter_test, answers_an_invalid_command_alone) {
  auto bad = command("chat-1", 2);
  bad.data = "{\"n\":";
  auto large = command("chat-1", 2);
  large.data = "{\"t\":\"" + std::string(1000, 'x') + "\"}";
  const auto outcomes = make(1, {.data_bytes_max = 500}).submit({command("chat-1", 1), bad, large, command("chat-1", 3)});
  EXPECT_TRUE(outcomes[0]);
  EXPECT_EQ(outcomes[1].error().code, errc::invalid_argument);
  EXPECT_EQ(outcomes[2].error().code, errc::invalid_argument);
  EXPECT_TRUE(outcomes[3]);
  EXPECT_THAT(commands.log("chat-1"), ElementsAre(R"({"n":1})", R"({"n":3})"));
}

TEST_F(submitter_test, groups_what_arrives_while_a_transaction_is_under_way) {
  auto& s = make();
  commands.close();
  std::thread first{[&] { EXPECT_TRUE(s.submit(command("chat-1", 0))); }};
  commands.wait_for_submits(1);
  std::latch answered{100};
  for (int i = 1; i <= 100; ++i)
    s.submit_async(command("chat-1", i), [&](submitter::outcome o) { EXPECT_TRUE(o); answered.count_down(); });
  commands.open();
  first.join();
  answered.wait();
  const auto transactions = commands.transactions();
  ASSERT_EQ(transactions.size(), 2u);
  EXPECT_EQ(transactions[1].commands.size(), 100u);
}

TEST_F(submitter_test, keeps_the_order_of_each_session_under_many_callers_and_stores) {
  auto& s = make(3, {.group_commands_max = 7});
  constexpr int threads = 8, each = 300;
  std::atomic<int> open{threads * each};
  std::vector<std::thread> callers;
  for (int t = 0; t < threads; ++t)
    callers.emplace_back([&, t] {
      const auto session = "chat-" + std::to_string(t);
      for (int i = 0; i < each; ++i) {
        if (i % 5 == 0) {
          EXPECT_TRUE(s.submit(command(session, i)));
          --open;
        } else {
          s.submit_async(command(session, i), [&](submitter::outcome o) {
            EXPECT_TRUE(o);
            --open;
          });
        }
      }
    });
  for (auto& c : callers) c.join();
  ASSERT_TRUE(support::eventually(20s, [&] { return open == 0; }));
  for (int t = 0; t < threads; ++t) {
    const auto log = commands.log("chat-" + std::to_string(t));
    ASSERT_EQ(log.size(), static_cast<std::size_t>(each));
    for (int i = 0; i < each; ++i) ASSERT_EQ(log[static_cast<std::size_t>(i)], "{\"n\":" + std::to_string(i) + "}");
  }
}

TEST_F(submitter_test, wakes_for_a_duplicate_too) {
  auto& s = make();
  ASSERT_TRUE(s.submit(command("chat-1", 1, "k")));
  const auto again = s.submit(command("chat-1", 1, "k"));
  ASSERT_TRUE(again);
  EXPECT_EQ(again->kind, submit_receipt::outcome::duplicate);
  EXPECT_EQ(again->seq.value, 1);
  EXPECT_EQ(bus.wakes().size(), 2u);
}

TEST_F(submitter_test, tries_again_when_the_connection_was_lost) {
  commands.fail_next(errc::connection_lost);
  commands.fail_next(errc::serialization_failure);
  const auto stored = make().submit(command("chat-1", 1));
  ASSERT_TRUE(stored) << stored.error().message;
  EXPECT_THAT(commands.log("chat-1"), ElementsAre(R"({"n":1})"));
}

TEST_F(submitter_test, gives_up_after_retry_for) {
  for (int i = 0; i < 1000; ++i) commands.fail_next(errc::connection_lost);
  const auto failed = make(1, {.retry_for = 30ms}).submit(command("chat-1", 1));
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, errc::connection_lost);
  EXPECT_TRUE(bus.wakes().empty());
}

TEST_F(submitter_test, resubmits_after_a_commit_in_doubt_only_what_has_a_key) {
  commands.fail_next(errc::commit_in_doubt, /*is_stored=*/true);
  const auto outcomes = make().submit({command("chat-1", 1), command("chat-1", 2, "k2"), command("chat-1", 3, "k3")});
  EXPECT_EQ(outcomes[0].error().code, errc::commit_in_doubt);
  ASSERT_TRUE(outcomes[1]);
  EXPECT_EQ(outcomes[1]->kind, submit_receipt::outcome::duplicate);
  EXPECT_EQ(outcomes[2]->seq.value, 3);
  EXPECT_EQ(commands.log("chat-1").size(), 3u);
  ASSERT_EQ(bus.wakes().size(), 1u) << "the first wake was never sent";
  EXPECT_EQ(bus.wakes()[0].last.value, 3);
}

TEST_F(submitter_test, lets_one_poisoned_command_fail_alone) {
  commands.poison = R"({"n":13})";
  std::vector<command_request> batch;
  for (int i = 0; i < 40; ++i) batch.push_back(command("chat-1", i));
  const auto outcomes = make().submit(batch);
  for (int i = 0; i < 40; ++i) EXPECT_EQ(outcomes[static_cast<std::size_t>(i)].has_value(), i != 13) << i;
  const auto log = commands.log("chat-1");
  EXPECT_EQ(log.size(), 39u);
  EXPECT_EQ(log[13], R"({"n":14})");
}

TEST_F(submitter_test, answers_busy_at_once_when_the_queue_is_full) {
  auto& s = make(1, {.queue_commands_max = 3});
  commands.close();
  std::thread first{[&] { EXPECT_TRUE(s.submit(command("chat-1", 0))); }};
  commands.wait_for_submits(1);
  std::atomic<int> stored{0};
  std::vector<errc> refused;
  for (int i = 1; i <= 5; ++i)
    s.submit_async(command("chat-1", i), [&](submitter::outcome o) {
      if (o)
        ++stored;
      else
        refused.push_back(o.error().code);
    });
  EXPECT_THAT(refused, ElementsAre(errc::busy, errc::busy));
  commands.open();
  first.join();
  EXPECT_TRUE(support::eventually(5s, [&] { return stored == 3; }));
}

TEST_F(submitter_test, tries_nothing_of_a_session_after_what_was_refused_as_busy) {
  std::vector<command_request> batch;
  for (int i = 0; i < 25; ++i) batch.push_back(command("chat-1", i));
  batch.push_back(command("chat-2", 0));
  commands.refuse_next();
  const auto outcomes = make(1, {.group_commands_max = 10}).submit(batch);
  EXPECT_EQ(outcomes[0]->kind, submit_receipt::outcome::busy);
  for (std::size_t i = 10; i < 25; ++i) EXPECT_EQ(outcomes[i].error().code, errc::busy) << i;
  EXPECT_THAT(commands.log("chat-1"), ElementsAre());
  EXPECT_THAT(commands.log("chat-2"), ElementsAre(R"({"n":0})")) << "another session has an order of its own";
}

TEST_F(submitter_test, keeps_the_order_of_an_asynchronous_batch_that_is_refused_in_parts) {
  auto& s = make(1, {.group_commands_max = 10});
  commands.close();
  std::thread first{[&] { EXPECT_EQ(s.submit(command("chat-2", 0))->kind, submit_receipt::outcome::busy); }};
  commands.wait_for_submits(1);
  std::vector<command_request> batch;
  for (int i = 0; i < 25; ++i) batch.push_back(command("chat-1", i));
  batch[3].data = "{";
  std::latch answered{25};
  std::vector<std::optional<submitter::outcome>> outcomes(25);
  s.submit_async(batch, [&](std::size_t i, submitter::outcome o) {
    outcomes[i] = std::move(o);
    if (i == 0) commands.refuse_next();  // the second part
    answered.count_down();
  });
  commands.refuse_next();
  commands.open();
  first.join();
  answered.wait();
  EXPECT_EQ(commands.log("chat-1").size(), 9u) << "the first part, but for what is invalid";
  EXPECT_EQ((*outcomes[3]).error().code, errc::invalid_argument);
  for (std::size_t i = 10; i < 20; ++i) EXPECT_EQ((*outcomes[i])->kind, submit_receipt::outcome::busy) << i;
  for (std::size_t i = 20; i < 25; ++i) EXPECT_EQ((*outcomes[i]).error().code, errc::busy) << i;
}

TEST_F(submitter_test, stores_what_is_queued_before_it_ends) {
  auto& s = make();
  std::atomic<int> stored{0};
  commands.close();
  for (int i = 0; i < 50; ++i)
    s.submit_async(command("chat-1", i), [&](submitter::outcome o) { stored += o.has_value() ? 1 : 0; });
  commands.open();
  made.reset();
  EXPECT_EQ(stored, 50);
}

TEST_F(submitter_test, ends_within_retry_for_when_the_database_is_away) {
  for (int i = 0; i < 100'000; ++i) commands.fail_next(errc::connection_lost);
  auto& s = make(1, {.group_commands_max = 1, .retry_for = 100ms});
  std::atomic<int> failed{0};
  for (int i = 0; i < 500; ++i)
    s.submit_async(command("chat-1", i), [&](submitter::outcome o) { failed += o.has_value() ? 0 : 1; });
  const auto began = std::chrono::steady_clock::now();
  made.reset();
  EXPECT_EQ(failed, 500);
  EXPECT_LT(std::chrono::steady_clock::now() - began, 3s);
}

TEST_F(submitter_test, lets_an_answer_submit_the_next_command) {
  auto& s = make();
  std::promise<void> done;
  s.submit_async(command("chat-1", 1), [&](submitter::outcome) {
    s.submit_async(command("chat-1", 2), [&](submitter::outcome) { done.set_value(); });
  });
  ASSERT_EQ(done.get_future().wait_for(5s), std::future_status::ready);
  EXPECT_EQ(commands.log("chat-1").size(), 2u);
}

}  // namespace
}  // namespace rowcall::client
