#include <map>

#include "tests/conformance/store_backend.hpp"

namespace rowcall::conformance {

using namespace engine;
using outcome = submit_receipt::outcome;

TEST_P(submit_conformance, a_batch_gets_seqs_without_gaps_in_the_order_given) {
  std::vector<command_request> batch;
  for (int i = 0; i < 10; ++i) batch.push_back(request(id("echo-a"), numbered(i)));
  const auto receipts = must(commands_->submit(batch));
  ASSERT_EQ(receipts.size(), 10u);
  const auto stored = pending_of(id("echo-a"));
  ASSERT_EQ(stored.size(), 10u);
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(receipts[i].kind, outcome::stored);
    EXPECT_EQ(receipts[i].seq.value, i + 1);
    EXPECT_EQ(stored[i].seq.value, i + 1);
    EXPECT_SAME_JSON(stored[i].data, numbered(i));
    EXPECT_EQ(stored[i].type, "say");
  }
}

TEST_P(submit_conformance, each_session_of_a_batch_is_counted_on_its_own) {
  std::vector<command_request> batch;
  for (int i = 0; i < 200; ++i) batch.push_back(request(id("echo-" + std::to_string((i * 7) % 20)), numbered(i)));
  const auto receipts = must(commands_->submit(batch));
  ASSERT_EQ(receipts.size(), batch.size());
  std::map<session_id, std::int64_t> counts;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    EXPECT_EQ(receipts[i].kind, outcome::stored);
    EXPECT_EQ(receipts[i].seq.value, ++counts[batch[i].session]);
  }
  for (int s = 0; s < 20; ++s) {
    const auto stored = pending_of(id("echo-" + std::to_string(s)));
    ASSERT_EQ(stored.size(), 10u);
    std::size_t at = 0;
    for (const auto& c : batch)
      if (c.session == id("echo-" + std::to_string(s))) {
        EXPECT_SAME_JSON(stored.at(at++).data, c.data);
      }
  }
}

TEST_P(submit_conformance, the_next_batch_goes_on_where_the_log_ended) {
  EXPECT_EQ(submit(id("echo-a"), 3).value, 3);
  EXPECT_EQ(submit(id("echo-a"), 2).value, 5);
  EXPECT_EQ(submit(id("echo-a")).value, 6);
  EXPECT_EQ(submit(id("echo-b")).value, 1);
}

TEST_P(submit_conformance, batches_go_on_where_others_have_left_the_log) {
  const auto other = backend_->commands();
  std::vector<command_request> batch;
  for (int i = 0; i < 60; ++i) batch.push_back(request(id("echo-" + std::to_string(i % 7 % 3)), numbered(i)));
  std::map<session_id, std::int64_t> counts;
  for (int round = 0; round < 4; ++round)
    for (auto* store : {commands_.get(), other.get()}) {
      const auto receipts = must(store->submit(batch));
      for (std::size_t i = 0; i < batch.size(); ++i) {
        EXPECT_EQ(receipts[i].kind, outcome::stored);
        EXPECT_EQ(receipts[i].seq.value, ++counts[batch[i].session]);
      }
    }
  for (const auto& [session, count] : counts) {
    const auto stored = pending_of(session);
    ASSERT_EQ(static_cast<std::int64_t>(stored.size()), count);
    std::size_t at = 0;
    while (at < stored.size())
      for (const auto& c : batch)
        if (c.session == session) {
          EXPECT_SAME_JSON(stored.at(at++).data, c.data);
        }
  }
}

TEST_P(submit_conformance, the_log_goes_on_after_everything_was_processed) {
  const auto store = turns("n1");
  submit(id("echo-a"), 3);
  serve(*store, id("echo-a"));
  EXPECT_EQ(submit(id("echo-a")).value, 4);
}

TEST_P(submit_conformance, an_empty_batch_is_nothing) { EXPECT_TRUE(must(commands_->submit({})).empty()); }

TEST_P(submit_conformance, a_batch_of_thousands_is_stored_whole) {
  std::vector<command_request> batch;
  for (int i = 0; i < 3'000; ++i) batch.push_back(request(id("echo-" + std::to_string(i % 100)), numbered(i)));
  const auto receipts = must(commands_->submit(batch));
  ASSERT_EQ(receipts.size(), batch.size());
  for (std::size_t i = 0; i < batch.size(); ++i) ASSERT_EQ(receipts[i].seq.value, static_cast<std::int64_t>(i / 100) + 1);
}

TEST_P(submit_conformance, a_repeated_key_stores_nothing_and_answers_with_the_first_seq) {
  submit(id("echo-a"), 2);
  const auto first = submit(request(id("echo-a"), numbered(1), "say", "k1"));
  EXPECT_EQ(first.kind, outcome::stored);
  EXPECT_EQ(first.seq.value, 3);
  const auto again = submit(request(id("echo-a"), numbered(2), "shout", "k1"));
  EXPECT_EQ(again.kind, outcome::duplicate);
  EXPECT_EQ(again.seq.value, 3);
  const auto stored = pending_of(id("echo-a"));
  ASSERT_EQ(stored.size(), 3u);
  EXPECT_SAME_JSON(stored[2].data, numbered(1));
  EXPECT_EQ(submit(id("echo-a")).value, 4) << "a duplicate uses up no seq";
}

TEST_P(submit_conformance, a_key_stays_known_when_its_command_was_processed) {
  const auto store = turns("n1");
  submit(request(id("echo-a"), "{}", "say", "k1"));
  serve(*store, id("echo-a"));
  const auto again = submit(request(id("echo-a"), "{}", "say", "k1"));
  EXPECT_EQ(again.kind, outcome::duplicate);
  EXPECT_EQ(again.seq.value, 1);
  EXPECT_TRUE(pending_of(id("echo-a")).empty());
}

TEST_P(submit_conformance, a_key_repeated_within_a_batch_is_a_duplicate_of_the_first) {
  const std::vector<command_request> batch{
      request(id("echo-a"), numbered(1)),               // 1
      request(id("echo-a"), numbered(2), "say", "k1"),  // 2
      request(id("echo-b"), numbered(3), "say", "k1"),  // b's 1
      request(id("echo-a"), numbered(4), "say", "k1"),  // duplicate of 2
      request(id("echo-a"), numbered(5)),               // 3
      request(id("echo-a"), numbered(6), "say", "k2"),  // 4
      request(id("echo-a"), numbered(7), "say", "k1"),  // duplicate of 2
      request(id("echo-a"), numbered(8), "say", "k2"),  // duplicate of 4
      request(id("echo-a"), numbered(9)),               // 5
  };
  const auto receipts = must(commands_->submit(batch));
  const std::vector<std::pair<outcome, std::int64_t>> expected{
      {outcome::stored, 1}, {outcome::stored, 2},    {outcome::stored, 1},    {outcome::duplicate, 2}, {outcome::stored, 3},
      {outcome::stored, 4}, {outcome::duplicate, 2}, {outcome::duplicate, 4}, {outcome::stored, 5}};
  ASSERT_EQ(receipts.size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(receipts[i].kind, expected[i].first) << i;
    EXPECT_EQ(receipts[i].seq.value, expected[i].second) << i;
  }
  const auto stored = pending_of(id("echo-a"));
  ASSERT_EQ(stored.size(), 5u);
  const std::int64_t data[] = {1, 2, 5, 6, 9};
  for (int i = 0; i < 5; ++i) EXPECT_SAME_JSON(stored[i].data, numbered(data[i]));
}

TEST_P(submit_conformance, a_batch_may_hold_old_and_new_keys) {
  submit(request(id("echo-a"), "{}", "say", "old"));
  const std::vector<command_request> batch{request(id("echo-a"), numbered(1), "say", "new"),
                                           request(id("echo-a"), numbered(2), "say", "old"),
                                           request(id("echo-a"), numbered(3))};
  const auto receipts = must(commands_->submit(batch));
  EXPECT_EQ(receipts.at(0).seq.value, 2);
  EXPECT_EQ(receipts.at(1).kind, outcome::duplicate);
  EXPECT_EQ(receipts.at(1).seq.value, 1);
  EXPECT_EQ(receipts.at(2).seq.value, 3);
}

TEST_P(submit_conformance, a_refused_kind_does_not_hinder_the_others) {
  const std::vector<command_request> batch{
      request(id("nobody-a")), request(id("echo-a"), numbered(1)), request(id("nobody-a"), "{}", "say", "k"),
      request(id("echo-a"), numbered(2), "say", "k"), request(id("echo-b"))};
  const auto receipts = must(commands_->submit(batch));
  ASSERT_EQ(receipts.size(), 5u);
  EXPECT_EQ(receipts[0].kind, outcome::unknown_kind);
  EXPECT_EQ(receipts[1].kind, outcome::stored);
  EXPECT_EQ(receipts[1].seq.value, 1);
  EXPECT_EQ(receipts[2].kind, outcome::unknown_kind);
  EXPECT_EQ(receipts[3].kind, outcome::stored);
  EXPECT_EQ(receipts[3].seq.value, 2);
  EXPECT_EQ(receipts[4].kind, outcome::stored);
  EXPECT_TRUE(pending_of(id("nobody-a")).empty());
}

TEST_P(submit_conformance, a_lone_command_of_an_unknown_kind_is_refused_with_and_without_a_key) {
  EXPECT_EQ(submit(request(id("nobody-a"))).kind, outcome::unknown_kind);
  EXPECT_EQ(submit(request(id("nobody-a"), "{}", "say", "k")).kind, outcome::unknown_kind);
}

TEST_P(submit_conformance, a_kind_is_known_as_soon_as_a_node_has_joined_with_it_and_for_ever) {
  EXPECT_EQ(submit(request(id("later-a"))).kind, outcome::unknown_kind);
  must(nodes_->join("n1", {"later"}));
  EXPECT_EQ(submit(request(id("later-a"))).kind, outcome::stored);
  must(nodes_->leave("n1"));
  EXPECT_EQ(submit(request(id("later-b"))).kind, outcome::stored);
}

TEST_P(submit_conformance, hostile_text_comes_back_as_json_means_it) {
  std::vector<command_request> batch;
  for (const auto& text : hostile_texts()) batch.push_back(request(id("echo-a"), object_with(text)));
  for (const auto& c : batch) ASSERT_TRUE(validate(c)) << c.data.substr(0, 100);
  must(commands_->submit(batch));
  for (const auto& text : hostile_texts()) must(commands_->submit(std::vector{request(id("echo-b"), object_with(text))}));
  for (const auto& session : {id("echo-a"), id("echo-b")}) {
    const auto stored = pending_of(session);
    ASSERT_EQ(stored.size(), batch.size());
    for (std::size_t i = 0; i < batch.size(); ++i) EXPECT_SAME_JSON(stored[i].data, batch[i].data);
  }
}

TEST_P(submit_conformance, numbers_keep_all_of_their_digits) {
  const std::string data =
      "{\"past_2_53\":9007199254740993,\"max\":9223372036854775807,\"min\":-9223372036854775808,"
      "\"unsigned\":18446744073709551615,\"float\":0.1,\"small\":1.5e-300,\"list\":[9007199254740993,-9007199254740993]}";
  submit(request(id("echo-a"), data));
  const auto stored = pending_of(id("echo-a"));
  ASSERT_EQ(stored.size(), 1u);
  EXPECT_SAME_JSON(stored[0].data, data);
  EXPECT_FALSE(means_the_same(stored[0].data, "{\"past_2_53\":9007199254740992}"));
}

TEST_P(submit_conformance, hostile_keys_are_keys) {
  std::vector<command_request> batch;
  for (const auto& text : hostile_texts())
    if (!text.empty() && text.size() <= idempotency_key_bytes_max)
      batch.push_back(request(id("echo-a"), object_with(text), "say", text));
  ASSERT_GT(batch.size(), 30u);
  for (const auto& c : batch) ASSERT_TRUE(validate(c)) << c.data;
  const auto first = must(commands_->submit(batch));
  for (std::size_t i = 0; i < batch.size(); ++i) {
    EXPECT_EQ(first[i].kind, outcome::stored) << batch[i].data;
    EXPECT_EQ(first[i].seq.value, static_cast<std::int64_t>(i) + 1);
  }
  const auto again = must(commands_->submit(batch));
  for (std::size_t i = 0; i < batch.size(); ++i) {
    EXPECT_EQ(again[i].kind, outcome::duplicate) << batch[i].data;
    EXPECT_EQ(again[i].seq, first[i].seq);
  }
}

TEST_P(submit_conformance, the_store_gives_the_time) {
  submit(id("echo-a"));
  backend_->pass(std::chrono::milliseconds{5});
  submit(id("echo-a"));
  backend_->pass(std::chrono::milliseconds{5});
  const auto store = turns("n1");
  const auto claim = must(store->claim(ask_all({ask(id("echo-a"))})));
  const auto& commands = claim.sessions.at(0).commands;
  ASSERT_EQ(commands.size(), 2u);
  EXPECT_GE(commands[1].created_at - commands[0].created_at, std::chrono::milliseconds{5});
  EXPECT_GE(claim.now - commands[1].created_at, std::chrono::milliseconds{5});
  EXPECT_LT(claim.now - commands[0].created_at, std::chrono::minutes{10});
}

}  // namespace rowcall::conformance
