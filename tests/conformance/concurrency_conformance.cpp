#include <atomic>
#include <future>
#include <map>
#include <random>
#include <set>

#include "tests/conformance/store_backend.hpp"

namespace rowcall::conformance {

using namespace engine;

namespace {

/// Runs `body(0) … body(count - 1)` on threads of their own; the first exception is the test's failure.
template <class Body>
void on_threads(int count, Body body) {
  std::vector<std::future<void>> threads;
  for (int i = 0; i < count; ++i) threads.push_back(std::async(std::launch::async, body, i));
  for (auto& t : threads) t.get();
}

constexpr auto patience = std::chrono::seconds{40};

/// One node's turns over the sessions, until all are answered: caches cursors as a node does, forgets what was taken
/// over, sometimes abandons. A fenced commit fails the test: the claim must have seen what was committed before it.
class serving_node {
 public:
  serving_node(std::unique_ptr<turn_store> store, std::vector<session_id> sessions, unsigned seed)
      : store_(std::move(store)), sessions_(std::move(sessions)), random_(seed) {}

  void run_until(const std::function<bool()>& is_done) {
    const auto end = std::chrono::steady_clock::now() + patience;
    while (!is_done()) {
      if (std::chrono::steady_clock::now() > end) throw std::runtime_error("not done in time");
      turn();
    }
  }
  std::int64_t answered() const { return answered_; }
  /// Every claim asks for the cursor again.
  serving_node& remember_nothing() { return remembers_ = false, *this; }

 private:
  void turn() {
    turn_request request{{}, {.sessions_max = 8, .commands_per_session_max = 5, .commands_max = 30}};
    auto chosen = sessions_;
    std::shuffle(chosen.begin(), chosen.end(), random_);
    chosen.resize(1 + random_() % chosen.size());
    for (const auto& s : chosen) {
      const auto known = known_.find(s);
      request.sessions.push_back(ask(s, known == known_.end() ? std::nullopt : std::optional{known->second}));
    }
    const auto claim = must(store_->claim(request));
    for (const auto shard : claim.taken_over)
      std::erase_if(known_, [&](const auto& k) { return shard_of(k.first, shard_count_default) == shard; });
    std::vector<session_writes> writes;
    std::int64_t count = 0;
    for (std::size_t i = 0; i < chosen.size(); ++i) {
      const auto& c = claim.sessions[i];
      if (c.status != claim_status::claimed) continue;
      const auto before = c.image ? c.image->cursor : known_.at(chosen[i]);
      for (std::size_t n = 0; n < c.commands.size(); ++n)
        if (c.commands[n].seq.value != before.command.value + static_cast<std::int64_t>(n) + 1)
          throw std::runtime_error("the commands do not follow the cursor of " + chosen[i].str());
      writes.push_back(echo(chosen[i], before, c.commands));
      count += std::ssize(c.commands);
    }
    if (random_() % 8 == 0) {
      store_->abandon();
      known_.clear();  // a takeover may have been rolled back
      return;
    }
    must(store_->commit(writes));
    if (remembers_)
      for (const auto& w : writes) known_[w.session] = w.after;
    answered_ += count;
  }

  std::unique_ptr<turn_store> store_;
  std::vector<session_id> sessions_;
  std::mt19937 random_;
  bool remembers_ = true;
  std::map<session_id, session_cursor> known_;
  std::int64_t answered_ = 0;
};

}  // namespace

TEST_P(concurrency_conformance, submitters_on_one_session_leave_no_gap_and_keep_their_own_order) {
  constexpr int threads = 6, batches = 25, batch_size = 4;
  on_threads(threads, [&](int t) {
    const auto store = backend_->commands();
    std::int64_t last = 0;
    for (int b = 0; b < batches; ++b) {
      std::vector<command_request> batch;
      for (int i = 0; i < batch_size; ++i)
        batch.push_back(request(id("echo-a"), numbered(t * 1'000'000 + b * batch_size + i), "say",
                                b % 2 == 0 ? std::nullopt : std::optional{"key" + std::to_string(b) + "/" + std::to_string(t * batch_size + i)}));
      const auto receipts = must(store->submit(batch));
      for (int i = 0; i < batch_size; ++i) {
        EXPECT_EQ(receipts[i].kind, submit_receipt::outcome::stored);
        if (i > 0) {
          EXPECT_EQ(receipts[i].seq, receipts[i - 1].seq.next()) << "a batch stands together";
        }
        EXPECT_GT(receipts[i].seq.value, last);
        last = receipts[i].seq.value;
      }
    }
  });
  const auto stored = pending_of(id("echo-a"));
  ASSERT_EQ(stored.size(), std::size_t{threads * batches * batch_size});
  for (std::size_t i = 0; i < stored.size(); ++i) ASSERT_EQ(stored[i].seq.value, static_cast<std::int64_t>(i) + 1);
}

TEST_P(concurrency_conformance, submitters_of_the_same_keys_store_each_once) {
  constexpr int threads = 5, keys = 40;
  std::vector<std::vector<submit_receipt>> receipts(threads);
  on_threads(threads, [&](int t) {
    const auto store = backend_->commands();
    std::mt19937 random(static_cast<unsigned>(t));
    std::vector<int> order(keys);
    for (int k = 0; k < keys; ++k) order[k] = k;
    std::shuffle(order.begin(), order.end(), random);
    receipts[t].resize(keys);
    for (int k : order) {
      const std::vector batch{request(id("echo-a"), numbered(k), "say", "key" + std::to_string(k))};
      receipts[t][k] = must(store->submit(batch)).at(0);
    }
  });
  EXPECT_EQ(pending_of(id("echo-a")).size(), std::size_t{keys});
  for (int k = 0; k < keys; ++k) {
    int stored = 0;
    for (int t = 0; t < threads; ++t) {
      stored += receipts[t][k].kind == submit_receipt::outcome::stored ? 1 : 0;
      EXPECT_EQ(receipts[t][k].seq, receipts[0][k].seq);
    }
    EXPECT_EQ(stored, 1) << "key " << k;
  }
}

TEST_P(concurrency_conformance, submitters_of_many_sessions_in_any_order_do_not_deadlock) {
  constexpr int threads = 4, rounds = 30, sessions = 12;
  on_threads(threads, [&](int t) {
    const auto store = backend_->commands();
    std::mt19937 random(static_cast<unsigned>(t));
    for (int r = 0; r < rounds; ++r) {
      std::vector<command_request> batch;
      for (int s = 0; s < sessions; ++s) batch.push_back(request(id("echo-" + std::to_string(s)), numbered(r)));
      std::shuffle(batch.begin(), batch.end(), random);
      must(store->submit(batch));
    }
  });
  for (int s = 0; s < sessions; ++s) {
    const auto stored = pending_of(id("echo-" + std::to_string(s)));
    ASSERT_EQ(stored.size(), std::size_t{threads * rounds});
    for (std::size_t i = 0; i < stored.size(); ++i) ASSERT_EQ(stored[i].seq.value, static_cast<std::int64_t>(i) + 1);
  }
}

/// Serves all of some sessions by `nodes` turn stores at once.
///
/// The trap of the one-statement claim: a snapshot from before the locks does not see what the shard's previous holder
/// has just committed, so its commands are decided upon again, and only the fence keeps the log right.
void concurrency_conformance::serve_all(int nodes, const std::function<std::string(int)>& name, bool knows_cursors) {
  constexpr int per_session = 60;
  std::vector<session_id> sessions;
  for (int i = 0; i < 12; ++i) sessions.push_back(id("echo-" + std::to_string(i)));
  for (const auto& s : sessions) submit(s, per_session);
  const auto total = std::ssize(sessions) * per_session;
  std::atomic<bool> is_done = false;
  std::vector<std::future<std::int64_t>> threads;
  for (int n = 0; n < nodes; ++n)
    threads.push_back(std::async(std::launch::async, [&, n] {
      serving_node node(turns(name(n)), sessions, static_cast<unsigned>(n));
      if (!knows_cursors) node.remember_nothing();
      node.run_until([&] { return is_done.load(); });
      return node.answered();
    }));
  EXPECT_TRUE(eventually([&] {
    std::int64_t answered = 0;
    for (const auto& s : sessions) answered += must(updates_->last(s)).command.value;
    return answered == total;
  }));
  is_done = true;
  std::int64_t answered = 0;
  for (auto& t : threads) answered += t.get();
  EXPECT_EQ(answered, total);
  for (const auto& s : sessions) expect_each_answered_once(s, per_session);
}

TEST_P(concurrency_conformance, nodes_over_the_same_sessions_answer_each_command_once_and_are_never_fenced) {
  serve_all(4, [](int n) { return "n" + std::to_string(n); }, true);
}

TEST_P(concurrency_conformance, turns_of_one_node_that_know_no_cursor_are_never_fenced) {
  serve_all(4, [](int) { return "n1"; }, false);
}

TEST_P(concurrency_conformance, commands_are_answered_while_they_are_submitted_and_swept) {
  constexpr int submitters = 3, per_submitter = 80;
  std::vector<session_id> sessions;
  for (int i = 0; i < 5; ++i) sessions.push_back(id("echo-" + std::to_string(i)));
  std::atomic<bool> is_done = false;
  std::vector<std::future<void>> threads;
  for (int n = 0; n < 2; ++n)
    threads.push_back(std::async(std::launch::async, [&, n] {
      serving_node node(turns("n" + std::to_string(n)), sessions, static_cast<unsigned>(n));
      node.run_until([&] { return is_done.load(); });
    }));
  threads.push_back(std::async(std::launch::async, [&] {
    const auto store = backend_->nodes();
    while (!is_done)
      must(store->sweep({"echo"}, [](std::span<const pending_session> chunk) {
        for (const auto& p : chunk)
          if (p.last <= p.processed) throw std::runtime_error("the sweep found what is not pending");
        return true;
      }));
  }));
  on_threads(submitters, [&](int t) {
    const auto store = backend_->commands();
    for (int i = 0; i < per_submitter; ++i) {
      std::vector<command_request> batch;
      for (const auto& s : sessions) batch.push_back(request(s, numbered(t * 1'000 + i)));
      must(store->submit(batch));
    }
  });
  const std::int64_t each = submitters * per_submitter;
  is_done = eventually([&] {
    for (const auto& s : sessions)
      if (must(updates_->last(s)).command.value < each) return false;
    return true;
  });
  EXPECT_TRUE(is_done.exchange(true));
  for (auto& t : threads) t.get();
  for (const auto& s : sessions) expect_each_answered_once(s, each);
  bool found = false;
  must(nodes_->sweep({"echo"}, [&](std::span<const pending_session> chunk) { return found = found || !chunk.empty(); }));
  EXPECT_FALSE(found);
}

TEST_P(concurrency_conformance, nodes_that_send_to_each_others_sessions_deliver_once) {
  constexpr int count = 40;
  const auto sessions = sessions_on_distinct_shards("chat", 4);
  for (const auto& s : sessions) submit(s, count);
  on_threads(4, [&](int t) {
    const auto store = turns("n" + std::to_string(t));
    const auto& mine = sessions[t];
    for (int done = 0; done < count;) {
      const auto claim = must(store->claim(ask_all({ask(mine)}, {.commands_per_session_max = 3})));
      auto w = echo(mine, claim.sessions[0].image->cursor, claim.sessions[0].commands);
      for (const auto& c : claim.sessions[0].commands)
        for (int target = 3; target >= 0; --target)
          w.sends.push_back({{id("user-" + std::to_string((target + t) % 4)), "sent", numbered(t)},
                             "send:" + mine.str() + "/" + std::to_string(c.seq.value)});
      must(store->commit({&w, 1}));
      done = static_cast<int>(w.after.command.value);
    }
  });
  for (int i = 0; i < 4; ++i) {
    const auto got = pending_of(id("user-" + std::to_string(i)));
    ASSERT_EQ(got.size(), std::size_t{4 * count});
    for (std::size_t n = 0; n < got.size(); ++n) ASSERT_EQ(got[n].seq.value, static_cast<std::int64_t>(n) + 1);
  }
}

}  // namespace rowcall::conformance
