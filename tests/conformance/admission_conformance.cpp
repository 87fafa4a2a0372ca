#include "tests/conformance/store_backend.hpp"

namespace rowcall::conformance {

using namespace engine;
using outcome = submit_receipt::outcome;

namespace {

const auto nobody = [](std::span<const pending_session>) { return true; };

std::vector<command_request> batch_of(const session_id& session, int count) {
  std::vector<command_request> batch;
  for (int i = 0; i < count; ++i) batch.push_back(request(session, numbered(i)));
  return batch;
}

int count_of(const std::vector<submit_receipt>& receipts, outcome kind) {
  return static_cast<int>(std::count_if(receipts.begin(), receipts.end(), [&](const auto& r) { return r.kind == kind; }));
}

}  // namespace

TEST_P(admission_conformance, a_session_beyond_its_bound_is_busy_and_the_others_are_not) {
  must(nodes_->set_admission({100, 0}));
  const auto first = must(commands_->submit(batch_of(id("echo-a"), 300)));
  EXPECT_EQ(count_of(first, outcome::stored), 127) << "the bound of 100 is looked at with the 128th command";
  EXPECT_EQ(count_of(first, outcome::busy), 173);
  for (int i = 0; i < 127; ++i) EXPECT_EQ(first[static_cast<std::size_t>(i)].seq.value, i + 1);
  EXPECT_GT(first.back().retry_after.count(), 0);

  const auto alone = submit(request(id("echo-a")));
  EXPECT_EQ(alone.kind, outcome::busy);
  EXPECT_GT(alone.retry_after.count(), 0);
  EXPECT_EQ(submit(request(id("echo-b"))).kind, outcome::stored);
  EXPECT_EQ(submit(request(id("echo-b"))).kind, outcome::stored);

  auto both = batch_of(id("echo-a"), 10);
  both.push_back(request(id("echo-b")));
  const auto later = must(commands_->submit(both));
  EXPECT_EQ(count_of(later, outcome::busy), 10) << "the whole batch is of sessions that were submitted to before";
  EXPECT_EQ(later.back().seq.value, 3);
}

TEST_P(admission_conformance, a_session_that_has_drained_is_let_in_at_once) {
  must(nodes_->set_admission({100, 0}));
  must(commands_->submit(batch_of(id("echo-a"), 300)));
  const auto store = turns("n1");
  serve(*store, id("echo-a"));
  EXPECT_EQ(submit(request(id("echo-a"))).kind, outcome::stored);
  EXPECT_EQ(count_of(must(commands_->submit(batch_of(id("echo-a"), 50))), outcome::stored), 50);
}

TEST_P(admission_conformance, commands_one_by_one_meet_the_same_bound) {
  must(nodes_->set_admission({10, 0}));
  for (int i = 1; i <= 63; ++i) ASSERT_EQ(submit(request(id("echo-a"))).seq.value, i);
  EXPECT_EQ(submit(request(id("echo-a"))).kind, outcome::busy);
  EXPECT_EQ(submit(request(id("echo-a"))).kind, outcome::busy);
  const auto store = turns("n1");
  serve(*store, id("echo-a"));
  EXPECT_EQ(submit(request(id("echo-a"))).seq.value, 64);
}

TEST_P(admission_conformance, a_key_that_is_known_is_a_duplicate_and_not_busy) {
  must(nodes_->set_admission({10, 5}));
  const auto first = submit(request(id("echo-a"), "{}", "say", "k1"));
  must(commands_->submit(batch_of(id("echo-a"), 100)));
  must(nodes_->sweep({"echo"}, nobody));  // now both bounds are exceeded
  const auto again = submit(request(id("echo-a"), "{}", "say", "k1"));
  EXPECT_EQ(again.kind, outcome::duplicate);
  EXPECT_EQ(again.seq, first.seq);

  const auto mixed = must(commands_->submit(std::vector<command_request>{
      request(id("echo-a"), "{}", "say", "k2"), request(id("echo-a"), "{}", "say", "k1"), request(id("echo-a"), "{}", "say", "k2")}));
  EXPECT_EQ(mixed[0].kind, outcome::busy);
  EXPECT_EQ(mixed[1].kind, outcome::duplicate);
  EXPECT_EQ(mixed[2].kind, outcome::busy) << "its first is not there";
  must(nodes_->set_admission({}));
  EXPECT_EQ(submit(request(id("echo-a"), "{}", "say", "k2")).kind, outcome::stored) << "a refused key is not used up";
}

TEST_P(admission_conformance, beyond_the_bound_on_all_everybody_is_busy_until_a_sweep_counts_less) {
  must(nodes_->set_admission({0, 20}));
  for (int i = 0; i < 21; ++i) submit(id("echo-" + std::to_string(i)));
  EXPECT_EQ(submit(request(id("echo-0"))).kind, outcome::stored) << "nobody has counted yet";
  must(nodes_->sweep({"echo"}, nobody));
  const auto refused = submit(request(id("echo-0")));
  EXPECT_EQ(refused.kind, outcome::busy);
  EXPECT_GT(refused.retry_after.count(), 0);
  EXPECT_EQ(submit(request(id("echo-new"))).kind, outcome::busy);
  EXPECT_EQ(count_of(must(commands_->submit(batch_of(id("echo-0"), 3))), outcome::busy), 3);
  EXPECT_EQ(submit(request(id("nobody-serves-this"))).kind, outcome::unknown_kind);

  const auto store = turns("n1");
  for (int i = 0; i < 15; ++i) serve(*store, id("echo-" + std::to_string(i)));
  must(nodes_->sweep({"echo"}, nobody));
  EXPECT_EQ(submit(request(id("echo-0"))).kind, outcome::stored);
  EXPECT_EQ(submit(request(id("echo-new"))).kind, outcome::stored);
}

TEST_P(admission_conformance, what_other_nodes_serve_is_counted_as_well) {
  must(nodes_->set_admission({0, 20}));
  must(commands_->submit(batch_of(id("chat-a"), 30)));
  must(nodes_->sweep({"echo"}, nobody));
  EXPECT_EQ(submit(request(id("echo-a"))).kind, outcome::busy);
}

TEST_P(admission_conformance, no_limits_let_everything_in_at_once) {
  must(nodes_->set_admission({10, 10}));
  must(commands_->submit(batch_of(id("echo-a"), 100)));
  must(nodes_->sweep({"echo"}, nobody));
  EXPECT_EQ(submit(request(id("echo-a"))).kind, outcome::busy);
  must(nodes_->set_admission({}));
  EXPECT_EQ(count_of(must(commands_->submit(batch_of(id("echo-a"), 500))), outcome::stored), 500);
}

TEST_P(admission_conformance, what_a_turn_sends_is_never_refused) {
  must(nodes_->set_admission({10, 10}));
  must(commands_->submit(batch_of(id("echo-a"), 63)));
  must(commands_->submit(batch_of(id("echo-b"), 1)));
  must(nodes_->sweep({"echo"}, nobody));
  const auto store = turns("n1");
  const auto claim = must(store->claim(ask_all({id("echo-b")})));
  auto writes = echo(id("echo-b"), claim.sessions[0].image->cursor, claim.sessions[0].commands);
  writes.sends.push_back({id("echo-a"), "say", "{}", "send:echo-b/1/0"});
  must(store->commit({&writes, 1}));
  EXPECT_EQ(pending_of(id("echo-a")).size(), 64u);
}

}  // namespace rowcall::conformance
