#include "engine/session.hpp"

#include <gmock/gmock.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "engine/echo/echo.hpp"

using namespace rowcall::engine;
using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

namespace {

/// Does what its commands say, right and wrong. The state is a count of the applied updates.
struct probe {
  static constexpr std::string_view kind = "probe";
  struct state {
    std::int64_t applied = 0;
  };

  static decision decide(const state& s, const command& c) {
    decision d;
    if (c.type == "fail" || c.type == "fail_park") return decision::fail("told to fail");
    if (c.type == "throw") throw std::runtime_error("told to throw");
    if (c.type == "throw_int") throw 42;
    if (c.type == "throw_bytes") throw std::runtime_error("bytes \xff and more");
    if (c.type == "reject") return decision::reject("told to reject");
    if (c.type == "reject_and_send") {
      d = decision::reject("no");
      d.emit("dropped", "{}").send(*session_id::parse("user-ann"), "note", "{}").write({"t", {"c"}, {"1"}});
      return d;
    }
    if (c.type == "silent") return d;
    if (c.type == "two") return d.emit("one", "{}").emit("two", "{}");
    if (c.type == "rows")
      return d.emit("one", "{}")
          .write({"messages", {"id", "text"}, {std::string{domain_row::update_seq_value}, "x"}})
          .emit("two", "{}")
          .write({"messages", {"id", "text"}, {std::string{domain_row::update_seq_value}, std::nullopt}});
    if (c.type == "send")
      return d.send(*session_id::parse("user-ann"), "a", "{}").send(*session_id::parse("user-bob"), "b", "{}");
    if (c.type == "tell") return d.emit("told", "{\"applied\":" + std::to_string(s.applied) + "}");
    if (c.type == "first_update") return d.emit("told", "{\"seq\":" + std::to_string(c.first_update.value) + "}");
    if (c.type == "apply_throws") return d.emit("fine", "{}").emit("unappliable", "{}");
    // What no decision may hold; each after an update that is fine.
    d.emit("fine", "{}");
    if (c.type == "bad_json") return d.emit("bad", "{");
    if (c.type == "bad_array") return d.emit("bad", "[]");
    if (c.type == "bad_nul") return d.emit("bad", R"({"a":"\u0000"})");
    if (c.type == "bad_number") return d.emit("bad", R"({"a":1e+20})");
    if (c.type == "bad_utf8") return d.emit("bad", "{\"a\":\"\xff\"}");
    if (c.type == "bad_type") return d.emit("not a type", "{}");
    if (c.type == "bad_reserved") return d.emit("command_done", "{}");
    if (c.type == "bad_count") {
      for (std::size_t i = 0; i < updates_per_command_max; ++i) d.emit("fine", "{}");
      return d;
    }
    if (c.type == "bad_bytes") return d.emit("bad", "{\"a\":\"" + std::string(effects_bytes_max, 'x') + "\"}");
    if (c.type == "bad_send_json") return d.send(*session_id::parse("user-ann"), "note", "nonsense");
    if (c.type == "bad_send_target") return d.send({}, "note", "{}");
    if (c.type == "bad_row_table") return d.write({"x; drop", {"c"}, {"1"}});
    if (c.type == "bad_row_column") return d.write({"t", {"c\""}, {"1"}});
    if (c.type == "bad_row_size") return d.write({"t", {"a", "b"}, {"1"}});
    if (c.type == "bad_row_nul") return d.write({"t", {"c"}, {std::string("a\0b", 3)}});
    if (c.type == "bad_row_utf8") return d.write({"t", {"c"}, {"\xff"}});
    if (c.type == "bad_row_seq") {
      decision early;
      return early.write({"t", {"c"}, {std::string{domain_row::update_seq_value}}}).emit("fine", "{}");
    }
    return d;
  }
  static void apply(state& s, const update& u) {
    if (u.type == "unappliable") throw std::runtime_error("can not apply");
    ++s.applied;
  }
  static std::string save(const state& s) {
    if (s.applied == 13) throw std::runtime_error("no luck");
    if (s.applied == 14) return "{";
    if (s.applied == 15) return "{}";  // what load throws at
    if (s.applied == 16) return R"({"applied":16,"name":"\u0000"})";
    return "{\"applied\":" + std::to_string(s.applied) + "}";
  }
  static state load(const json::value& saved) { return {json::int_at(saved, "applied").value()}; }
  static failure_policy on_failure(std::string_view type) {
    if (type == "throw_int") throw std::runtime_error("on_failure itself");
    return type == "fail_park" || type == "throw_bytes" ? failure_policy::park : failure_policy::hold;
  }
};

class session_test : public testing::Test {
 protected:
  session_test() {
    modules_.add<probe>().add<echo::echo>();
    config_->node = "node-1";
    config_->retry.attempts_max = 3;
    reset();
    load({});
  }

  void reset(std::string_view id = "probe-1") {
    const auto parsed = *session_id::parse(id);
    session_ = std::make_unique<session>(parsed, *modules_.find(parsed.kind()), config_);
  }

  void load(const session_image& image) {
    const auto loaded = session_->load(image, parser_);
    ASSERT_TRUE(loaded) << loaded.error().message;
  }

  session_image image_with(retry_row retry, command_seq careful_until = {}) {
    session_image image;
    image.retry = std::move(retry);
    image.careful_until = careful_until;
    return image;
  }

  /// Commands of these types, `{}` each, from the cursor on.
  std::vector<command_row> commands(const std::vector<std::string>& types) {
    std::vector<command_row> rows;
    auto seq = session_->cursor().command;
    for (const auto& type : types) rows.push_back({seq = seq.next(), type, "{}", {}});
    return rows;
  }

  session::outcome decide(const std::vector<std::string>& types, bool is_isolated = false) {
    return session_->decide(session_->cursor(), commands(types), parser_, {}, is_isolated);
  }

  static std::vector<std::string> types_of(const session::outcome& out) {
    std::vector<std::string> types;
    for (const auto& u : out.writes.updates) types.push_back(u.type);
    return types;
  }

  module_registry modules_;
  std::shared_ptr<session_config> config_ = std::make_shared<session_config>();
  json::parser parser_;
  std::unique_ptr<session> session_;
};

using retry_change = session_writes::retry_change;
using status = session::outcome::status;

// ---------------------------------------------------------------- stale

TEST_F(session_test, is_stale_when_it_is_not_loaded) {
  session_->forget();
  EXPECT_FALSE(session_->is_loaded());
  EXPECT_EQ(session_->decide({}, commands({"tell"}), parser_).kind, status::stale);
}

TEST_F(session_test, is_stale_when_the_fetch_used_another_cursor) {
  EXPECT_EQ(session_->decide({{1}, {0}}, commands({"tell"}), parser_).kind, status::stale);
  EXPECT_EQ(session_->decide({{0}, {1}}, commands({"tell"}), parser_).kind, status::stale);
}

TEST_F(session_test, is_stale_when_the_commands_do_not_follow_the_cursor) {
  auto rows = commands({"tell", "tell"});
  rows.erase(rows.begin());
  const auto out = session_->decide({}, rows, parser_);
  EXPECT_EQ(out.kind, status::stale);
  EXPECT_TRUE(out.writes.empty());
  EXPECT_EQ(session_->cursor(), session_cursor{});
}

TEST_F(session_test, is_stale_when_the_commands_have_a_gap) {
  auto rows = commands({"tell", "tell", "tell"});
  rows.erase(rows.begin() + 1);
  EXPECT_EQ(session_->decide({}, rows, parser_).kind, status::stale);
}

TEST_F(session_test, decides_nothing_on_no_commands) {
  const auto out = decide({});
  EXPECT_EQ(out.kind, status::decided);
  EXPECT_TRUE(out.writes.empty());
  EXPECT_FALSE(out.has_more);
}

// ---------------------------------------------------------------- effects

TEST_F(session_test, numbers_updates_without_gaps_across_commands) {
  const auto out = decide({"two", "silent", "two"});
  ASSERT_THAT(out.writes.updates, SizeIs(5));
  const std::int64_t command_of[] = {1, 1, 2, 3, 3};
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(out.writes.updates[i].seq.value, static_cast<std::int64_t>(i) + 1);
    EXPECT_EQ(out.writes.updates[i].command.value, command_of[i]);
  }
  EXPECT_EQ(out.writes.before, session_cursor{});
  EXPECT_EQ(out.writes.after, (session_cursor{{5}, {3}}));
  EXPECT_EQ(session_->cursor(), out.writes.after);
  EXPECT_FALSE(out.has_more);
}

TEST_F(session_test, gives_a_receipt_when_the_module_emits_nothing) {
  const auto out = decide({"silent"});
  ASSERT_THAT(types_of(out), ElementsAre("command_done"));
  EXPECT_EQ(out.writes.updates[0].data, "{}");
}

TEST_F(session_test, decides_a_later_command_on_the_state_that_an_earlier_one_left) {
  const auto out = decide({"two", "tell"});
  EXPECT_EQ(out.writes.updates.back().data, R"({"applied":2})");
}

TEST_F(session_test, tells_a_command_the_seq_of_its_first_update) {
  EXPECT_EQ(decide({"two", "first_update"}).writes.updates.back().data, R"({"seq":3})");
}

TEST_F(session_test, puts_the_seq_of_the_update_before_it_into_a_domain_row) {
  const auto out = decide({"silent", "rows"});
  ASSERT_THAT(out.writes.rows, SizeIs(2));
  EXPECT_EQ(out.writes.rows[0].values[0], "2");
  EXPECT_EQ(out.writes.rows[1].values[0], "3");
  EXPECT_EQ(out.writes.rows[1].values[1], std::nullopt);
}

TEST_F(session_test, gives_each_sent_command_a_key_that_names_its_cause) {
  const auto out = decide({"silent", "send"});
  ASSERT_THAT(out.writes.sends, SizeIs(2));
  EXPECT_EQ(out.writes.sends[0].idempotency_key, "send:probe-1/2/0");
  EXPECT_EQ(out.writes.sends[1].idempotency_key, "send:probe-1/2/1");
  EXPECT_EQ(out.writes.sends[1].command.target.str(), "user-bob");
  EXPECT_THAT(types_of(out), ElementsAre("command_done", "command_done"));
}

TEST_F(session_test, decides_the_same_from_the_same) {
  const auto first = decide({"two", "fail_park", "rows", "send", "fail"});
  reset();
  load({});
  const auto second = decide({"two", "fail_park", "rows", "send", "fail"});
  EXPECT_EQ(types_of(first), types_of(second));
  EXPECT_EQ(first.writes.retry_put->wait, second.writes.retry_put->wait);
}

// ---------------------------------------------------------------- rejection

TEST_F(session_test, answers_a_rejected_command_with_the_reason) {
  const auto out = decide({"reject", "tell"});
  ASSERT_THAT(types_of(out), ElementsAre("command_rejected", "told"));
  EXPECT_EQ(out.writes.updates[0].data, R"({"type":"reject","reason":"told to reject"})");
  EXPECT_THAT(out.writes.dead_letters, IsEmpty());
}

TEST_F(session_test, does_not_give_its_own_updates_to_the_module) {
  EXPECT_EQ(decide({"reject", "silent", "fail_park", "tell"}).writes.updates.back().data, R"({"applied":0})");
}

TEST_F(session_test, keeps_only_the_sends_of_a_rejection) {
  const auto out = decide({"reject_and_send"});
  EXPECT_THAT(types_of(out), ElementsAre("command_rejected"));
  EXPECT_THAT(out.writes.rows, IsEmpty());
  ASSERT_THAT(out.writes.sends, SizeIs(1));
  EXPECT_EQ(out.writes.sends[0].idempotency_key, "send:probe-1/1/0");
}

TEST_F(session_test, rejects_data_that_can_not_be_read_and_goes_on) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"{", "cut off"},
      {"[1]", "not an object"},
      {"{\"a\":" + std::string(10'000, '[') + std::string(10'000, ']') + "}", "nested deeper"},
      {"{\"a\":18446744073709551616}", "as a string"},
      {"{\"a\":\"\xff\"}", "UTF-8"},
      {R"({"a":"\u0000"})", "NUL"},
      {"{\"a\":\"" + std::string(json::parser::text_bytes_max, 'x') + "\"}", "limit"},
  };
  for (const auto& [data, reason] : cases) {
    auto rows = commands({"tell", "tell"});
    rows[0].data = data;
    const auto out = session_->decide(session_->cursor(), rows, parser_);
    ASSERT_THAT(types_of(out), ElementsAre("command_rejected", "told")) << reason;
    EXPECT_THAT(out.writes.updates[0].data, HasSubstr(reason));
  }
}

// ---------------------------------------------------------------- failure

TEST_F(session_test, holds_a_failing_command_and_keeps_what_preceded_it) {
  const auto out = decide({"tell", "fail", "tell"});
  EXPECT_THAT(types_of(out), ElementsAre("told"));
  EXPECT_EQ(out.writes.after, (session_cursor{{1}, {1}}));
  EXPECT_TRUE(out.has_more);
  ASSERT_EQ(out.writes.retry, retry_change::put);
  EXPECT_EQ(out.writes.retry_put->command, command_seq{2});
  EXPECT_EQ(out.writes.retry_put->attempts, 1);
  EXPECT_EQ(out.writes.retry_put->last_error, "told to fail");
  EXPECT_EQ(out.writes.retry_put->armed_by, "");
  EXPECT_EQ(out.writes.retry_put->wait, config_->retry.wait_after(1, session_->id(), {2}));
  EXPECT_EQ(out.retry_in, out.writes.retry_put->wait);
}

TEST_F(session_test, is_cold_after_a_hold_because_only_the_database_knows_the_wait) {
  const auto out = decide({"fail"});
  EXPECT_FALSE(out.is_loaded);
  EXPECT_FALSE(session_->is_loaded());
}

TEST_F(session_test, treats_an_exception_as_a_failure) {
  EXPECT_EQ(decide({"throw"}).writes.retry_put->last_error, "told to throw");
  load({});
  EXPECT_THAT(decide({"throw_int"}).writes.retry_put->last_error, HasSubstr("no std::exception"));
}

TEST_F(session_test, makes_utf8_of_what_an_exception_says) {
  const auto out = decide({"throw_bytes"});
  ASSERT_THAT(out.writes.dead_letters, SizeIs(1));
  EXPECT_EQ(out.writes.dead_letters[0].error, "bytes \ufffd and more");
}

TEST_F(session_test, parks_at_once_where_the_policy_says_so_and_goes_on) {
  const auto out = decide({"tell", "fail_park", "tell"});
  ASSERT_THAT(types_of(out), ElementsAre("told", "command_failed", "told"));
  EXPECT_EQ(out.writes.updates[1].data, R"({"type":"fail_park","error":"told to fail","attempts":1})");
  ASSERT_THAT(out.writes.dead_letters, SizeIs(1));
  EXPECT_EQ(out.writes.dead_letters[0].command.seq, command_seq{2});
  EXPECT_EQ(out.writes.dead_letters[0].attempts, 1);
  EXPECT_EQ(out.writes.retry, retry_change::keep);
  EXPECT_FALSE(out.has_more);
}

TEST_F(session_test, is_held_for_the_rest_of_a_wait_although_the_claim_withholds_the_commands) {
  load(image_with({{1}, 1, "earlier", "", 70ms}));
  const auto out = decide({});
  EXPECT_EQ(out.retry_in, 70ms);
  EXPECT_FALSE(out.is_loaded) << "the wait must be asked for anew";
}

TEST_F(session_test, counts_the_attempts_of_a_held_command) {
  load(image_with({{1}, 1, "earlier", "", 0ms}));
  const auto out = decide({"fail"});
  ASSERT_EQ(out.writes.retry, retry_change::put);
  EXPECT_EQ(out.writes.retry_put->attempts, 2);
  EXPECT_EQ(out.writes.retry_put->wait, config_->retry.wait_after(2, session_->id(), {1}));
}

TEST_F(session_test, parks_after_the_last_attempt_and_goes_on) {
  load(image_with({{1}, 2, "earlier", "", 0ms}));
  const auto out = decide({"fail", "tell"});
  EXPECT_THAT(types_of(out), ElementsAre("command_failed", "told"));
  ASSERT_THAT(out.writes.dead_letters, SizeIs(1));
  EXPECT_EQ(out.writes.dead_letters[0].attempts, 3);
  EXPECT_EQ(out.writes.retry, retry_change::clear);
  EXPECT_FALSE(out.writes.retry_put);
}

TEST_F(session_test, clears_the_retry_when_the_command_succeeds) {
  load(image_with({{1}, 2, "earlier", "", 0ms}));
  const auto out = decide({"tell", "tell"});
  EXPECT_THAT(types_of(out), ElementsAre("told", "told"));
  EXPECT_EQ(out.writes.retry, retry_change::clear);
}

TEST_F(session_test, clears_the_retry_when_the_command_is_rejected) {
  load(image_with({{1}, 2, "earlier", "", 0ms}));
  EXPECT_EQ(decide({"reject"}).writes.retry, retry_change::clear);
}

TEST_F(session_test, replaces_a_cleared_retry_by_that_of_a_later_command) {
  load(image_with({{1}, 2, "earlier", "", 0ms}));
  const auto out = decide({"tell", "fail"});
  EXPECT_EQ(out.writes.retry, retry_change::put);
  EXPECT_EQ(out.writes.retry_put->command, command_seq{2});
  EXPECT_EQ(out.writes.retry_put->attempts, 1);
}

TEST_F(session_test, decides_nothing_while_a_command_is_held) {
  load(image_with({{1}, 1, "earlier", "", 250ms}));
  const auto out = decide({"tell", "tell"});
  EXPECT_EQ(out.kind, status::decided);
  EXPECT_TRUE(out.writes.empty());
  EXPECT_TRUE(out.has_more);
  EXPECT_EQ(out.retry_in, 250ms);
  EXPECT_FALSE(session_->is_loaded());
}

TEST_F(session_test, treats_a_command_that_can_not_be_committed_as_failed_without_executing_it) {
  const auto rows = commands({"tell", "tell"});
  const auto out = session_->decide(session_->cursor(), rows, parser_, "the table is missing");
  EXPECT_THAT(out.writes.updates, IsEmpty());
  EXPECT_EQ(out.writes.retry_put->last_error, "the table is missing");
}

TEST_F(session_test, keeps_nothing_of_a_decision_that_can_not_be_written) {
  for (const auto* type : {"bad_json", "bad_array", "bad_nul", "bad_number", "bad_utf8", "bad_type", "bad_reserved", "bad_count",
                           "bad_bytes", "bad_send_json", "bad_send_target", "bad_row_table", "bad_row_column",
                           "bad_row_size", "bad_row_nul", "bad_row_utf8", "bad_row_seq"}) {
    load({});
    const auto out = decide({"tell", type, "tell"});
    EXPECT_THAT(types_of(out), ElementsAre("told")) << type;
    EXPECT_EQ(out.writes.after, (session_cursor{{1}, {1}})) << type;
    EXPECT_THAT(out.writes.rows, IsEmpty()) << type;
    EXPECT_THAT(out.writes.sends, IsEmpty()) << type;
    ASSERT_EQ(out.writes.retry, retry_change::put) << type;
    EXPECT_EQ(out.writes.retry_put->command, command_seq{2}) << type;
  }
}

TEST_F(session_test, gives_the_state_up_when_apply_throws_halfway) {
  const auto out = decide({"tell", "apply_throws", "tell"});
  EXPECT_THAT(types_of(out), ElementsAre("told"));
  EXPECT_EQ(out.writes.retry_put->last_error, "can not apply");
  EXPECT_TRUE(out.has_more);
  EXPECT_FALSE(session_->is_loaded());
}

TEST_F(session_test, ends_the_batch_with_a_command_that_is_parked_because_apply_threw) {
  session_image image = image_with({{1}, 2, "earlier", "", 0ms});
  load(image);
  const auto out = decide({"apply_throws", "tell"});
  EXPECT_THAT(types_of(out), ElementsAre("command_failed"));
  EXPECT_EQ(out.writes.after, (session_cursor{{1}, {1}}));
  EXPECT_TRUE(out.has_more);
  EXPECT_FALSE(out.retry_in);
  EXPECT_FALSE(session_->is_loaded());

  image.retry.reset();
  image.cursor = out.writes.after;
  image.tail = out.writes.updates;
  load(image);
  EXPECT_EQ(decide({"tell"}).writes.updates[0].data, R"({"applied":0})") << "nothing of it was applied";
}

// ---------------------------------------------------------------- with care

TEST_F(session_test, records_the_attempt_before_it_executes_with_care) {
  session_image image;
  image.careful_until = {2};
  load(image);
  const auto armed = decide({"tell", "tell", "tell"});
  EXPECT_THAT(armed.writes.updates, IsEmpty());
  EXPECT_TRUE(armed.has_more);
  EXPECT_FALSE(armed.retry_in);
  ASSERT_EQ(armed.writes.retry, retry_change::put);
  EXPECT_EQ(armed.writes.retry_put->command, command_seq{1});
  EXPECT_EQ(armed.writes.retry_put->attempts, 1);
  EXPECT_EQ(armed.writes.retry_put->armed_by, "node-1");
  EXPECT_EQ(armed.writes.retry_put->wait, 0ms);

  const auto executed = decide({"tell", "tell", "tell"});
  EXPECT_THAT(types_of(executed), ElementsAre("told")) << "one command only";
  EXPECT_EQ(executed.writes.retry, retry_change::clear);
  EXPECT_TRUE(executed.has_more);
}

TEST_F(session_test, goes_back_to_batches_after_the_careful_backlog) {
  session_image image;
  image.careful_until = {1};
  load(image);
  decide({"tell", "tell", "tell"});
  decide({"tell", "tell", "tell"});
  const auto out = decide({"tell", "tell"});
  EXPECT_THAT(types_of(out), ElementsAre("told", "told"));
  EXPECT_FALSE(out.has_more);
}

TEST_F(session_test, executes_what_this_node_armed_before_it_went_cold) {
  load(image_with({{1}, 1, "", "node-1", 0ms}, {1}));
  EXPECT_THAT(types_of(decide({"tell"})), ElementsAre("told"));
}

TEST_F(session_test, counts_the_attempt_of_a_node_that_died_in_it) {
  load(image_with({{1}, 1, "", "node-0", 0ms}, {1}));
  const auto out = decide({"tell"}, true);
  EXPECT_THAT(out.writes.updates, IsEmpty());
  EXPECT_EQ(out.writes.retry_put->attempts, 2);
  EXPECT_EQ(out.writes.retry_put->armed_by, "node-1");
}

TEST_F(session_test, is_careful_with_what_another_node_armed_outside_of_any_backlog) {
  load(image_with({{1}, 1, "", "node-0", 0ms}));
  EXPECT_EQ(decide({"tell"}, true).writes.retry_put->attempts, 2);
}

TEST_F(session_test, asks_for_a_turn_of_its_own_when_a_careful_attempt_ended_with_its_node) {
  load(image_with({{1}, 1, "", "node-0", 0ms}, {1}));
  auto out = decide({"tell"});
  EXPECT_TRUE(out.needs_isolation);
  EXPECT_TRUE(out.writes.empty());
  EXPECT_TRUE(out.has_more);
  out = decide({"tell"}, true);
  EXPECT_EQ(out.writes.retry_put->attempts, 2);
  EXPECT_TRUE(out.needs_isolation) << "for the execution too";
  load(image_with({{1}, 2, "", "node-1", 0ms}, {1}));
  EXPECT_TRUE(decide({"tell"}).needs_isolation);
  EXPECT_THAT(types_of(decide({"tell"}, true)), ElementsAre("told"));
}

TEST_F(session_test, waits_longer_with_each_attempt_that_another_node_has_begun) {
  // Live nodes that take a shard from each other must not use up all attempts of an innocent command in a moment.
  std::chrono::milliseconds last{0};
  for (const int attempts : {1, 2}) {
    load(image_with({{1}, attempts, "", "node-0", 0ms}, {1}));
    const auto out = decide({"tell"}, true);
    ASSERT_EQ(out.writes.retry, retry_change::put);
    EXPECT_EQ(out.writes.retry_put->armed_by, "node-1");
    EXPECT_GT(out.writes.retry_put->wait, last / 2);
    EXPECT_EQ(out.retry_in, out.writes.retry_put->wait);
    EXPECT_FALSE(out.is_loaded) << "only the database knows when the wait is over";
    last = out.writes.retry_put->wait;
  }
  EXPECT_GT(last, 0ms);
}

TEST_F(session_test, lets_the_node_that_armed_a_command_go_first) {
  load(image_with({{1}, 2, "", "node-1", 80ms}, {1}));
  EXPECT_EQ(decide({}).retry_in, 80ms);
  load(image_with({{1}, 2, "", "node-0", 80ms}, {1}));
  const auto out = decide({});
  ASSERT_TRUE(out.retry_in);
  EXPECT_GT(*out.retry_in, 2 * 80ms);
  EXPECT_TRUE(out.writes.empty());
}

TEST_F(session_test, parks_a_command_that_killed_every_node_that_tried_it) {
  load(image_with({{1}, 3, "", "node-0", 0ms}, {2}));
  const auto out = decide({"tell", "tell"}, true);
  EXPECT_THAT(types_of(out), ElementsAre("command_failed"));
  ASSERT_THAT(out.writes.dead_letters, SizeIs(1));
  EXPECT_EQ(out.writes.dead_letters[0].attempts, 3);
  EXPECT_THAT(out.writes.dead_letters[0].error, HasSubstr("died"));
  EXPECT_EQ(out.writes.retry, retry_change::clear);
  EXPECT_TRUE(out.has_more);
}

TEST_F(session_test, counts_a_failure_with_care_once) {
  load(image_with({{1}, 1, "", "node-1", 0ms}, {1}));
  const auto out = decide({"fail"});
  EXPECT_EQ(out.writes.retry_put->attempts, 1);
  EXPECT_EQ(out.writes.retry_put->armed_by, "");
  EXPECT_GT(out.writes.retry_put->wait, 0ms);
}

// ---------------------------------------------------------------- load and snapshots

TEST_F(session_test, loads_a_snapshot_and_the_updates_after_it) {
  session_image image;
  image.snapshot = snapshot_row{{10}, {8}, R"({"applied":7})"};
  image.tail = {{{11}, {9}, "told", "{}", {}}, {{12}, {10}, "command_done", "{}", {}}};
  image.cursor = {{12}, {10}};
  load(image);
  const auto out = decide({"tell"});
  EXPECT_EQ(out.writes.updates[0].seq, update_seq{13});
  EXPECT_EQ(out.writes.updates[0].data, R"({"applied":8})");
}

TEST_F(session_test, stays_cold_when_an_image_can_not_be_read_back) {
  const session_image good{
      {{2}, {2}}, snapshot_row{{1}, {1}, R"({"applied":1})"}, {{{2}, {2}, "told", "{}", {}}}, {}, {}};
  load(good);
  std::vector<session_image> broken(6, good);
  broken[0].snapshot->state = "{";
  broken[1].snapshot->state = "{}";
  broken[2].tail[0].data = "nonsense";
  broken[3].tail[0].type = "unappliable";
  broken[4].tail[0].seq = {3};
  broken[5].tail.clear();
  for (std::size_t i = 0; i < broken.size(); ++i) {
    const auto loaded = session_->load(broken[i], parser_);
    ASSERT_FALSE(loaded) << i;
    EXPECT_EQ(loaded.error().code, errc::internal);
    EXPECT_THAT(loaded.error().message, HasSubstr("probe-1"));
    EXPECT_FALSE(session_->is_loaded()) << i;
  }
}

TEST_F(session_test, takes_a_snapshot_when_enough_updates_were_folded) {
  config_->snapshot_interval_updates = 4;
  EXPECT_FALSE(decide({"two"}).writes.snapshot);
  const auto out = decide({"two", "two"});
  ASSERT_TRUE(out.writes.snapshot);
  EXPECT_EQ(out.writes.snapshot->seq, update_seq{6});
  EXPECT_EQ(out.writes.snapshot->command, command_seq{3});
  EXPECT_EQ(out.writes.snapshot->state, R"({"applied":6})");
  EXPECT_FALSE(decide({"two"}).writes.snapshot);
  EXPECT_TRUE(decide({"two"}).writes.snapshot);
}

TEST_F(session_test, counts_from_the_snapshot_that_it_was_loaded_from) {
  config_->snapshot_interval_updates = 4;
  session_image image;
  image.snapshot = snapshot_row{{10}, {10}, R"({"applied":100})"};
  image.cursor = {{10}, {10}};
  load(image);
  EXPECT_FALSE(decide({"two", "tell"}).writes.snapshot);
  EXPECT_TRUE(decide({"tell"}).writes.snapshot);
}

TEST_F(session_test, goes_without_a_snapshot_that_could_not_be_read_back) {
  config_->snapshot_interval_updates = 13;
  decide({"two", "two", "two", "two", "two", "two"});
  const auto thrown = decide({"tell"});
  EXPECT_FALSE(thrown.writes.snapshot);
  EXPECT_EQ(thrown.snapshot_error, "no luck");
  EXPECT_THAT(types_of(thrown), ElementsAre("told"));
  EXPECT_THAT(decide({"tell"}).snapshot_error, HasSubstr("cut off"));
  EXPECT_THAT(decide({"tell"}).snapshot_error, HasSubstr("optional"));
  EXPECT_THAT(decide({"tell"}).snapshot_error, HasSubstr("NUL"));
  EXPECT_TRUE(decide({"tell"}).writes.snapshot) << "and tries again with the next batch";
}

TEST_F(session_test, takes_empty_snapshots_of_a_module_without_state) {
  config_->snapshot_interval_updates = 4;
  reset("echo-1");
  session_image image;
  image.cursor = {{7}, {7}};  // no state was wanted: neither snapshot nor tail
  load(image);
  const auto out = decide({"hello"});
  ASSERT_TRUE(out.writes.snapshot);
  EXPECT_EQ(out.writes.snapshot->state, "{}");
  EXPECT_EQ(out.writes.snapshot->seq, update_seq{8});
}

TEST_F(session_test, passes_the_text_of_a_command_on_unchanged) {
  reset("echo-1");
  load({});
  auto rows = commands({"hello"});
  rows[0].data = R"({ "n": 9007199254740993, "e": 1.50e3, "t": "\t\\.\u00e9 $$ *>" })";
  EXPECT_EQ(session_->decide({}, rows, parser_).writes.updates[0].data, rows[0].data);
}

// ---------------------------------------------------------------- registry

TEST(module_registry_find, knows_the_standard_kinds) {
  const auto modules = standard_modules();
  EXPECT_THAT(modules.kinds(), testing::UnorderedElementsAre("chat", "user", "echo"));
  EXPECT_EQ(modules.find("chat")->kind(), "chat");
  EXPECT_EQ(modules.find("nobody"), nullptr);
}

TEST(module_registry_death_test, a_kind_registered_twice_ends_the_process) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(module_registry{}.add<probe>().add<probe>(), "assertion failed");
}

}  // namespace
