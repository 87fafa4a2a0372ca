#include "client/submitter.hpp"

#include <atomic>
#include <condition_variable>
#include <deque>
#include <limits>
#include <mutex>
#include <random>
#include <thread>
#include <unordered_map>
#include <utility>

#include "client/internal/backoff.hpp"

namespace rowcall::client {
namespace {

using engine::command_request;
using engine::errc;
using engine::fail;
using outcome = submitter::outcome;
using std::chrono::milliseconds;
using steady = std::chrono::steady_clock;

constexpr milliseconds retry_wait_base{10};
constexpr milliseconds retry_wait_max{1'000};

/// A synchronous caller and how many answers it still waits for. Lives on the caller's stack.
struct waiter {
  std::mutex mutex;
  std::condition_variable answered;
  std::size_t open = 0;

  void answer_one() {
    // Notified under the lock: the caller may return, and this object end, as soon as the lock is free.
    const std::lock_guard lock{mutex};
    if (--open == 0) answered.notify_one();
  }
  void wait() {
    std::unique_lock lock{mutex};
    answered.wait(lock, [&] { return open == 0; });
  }
};

/// The commands of one session in a batch, which may go through several transactions: once one of them is refused or
/// not stored in time, none after it is tried, so that trying the rest again keeps the order.
class sequence {
 public:
  void refuse_after(std::size_t place) {
    auto first = first_refused_.load();
    while (place < first && !first_refused_.compare_exchange_weak(first, place)) {
    }
  }
  bool is_refused(std::size_t place) const { return place > first_refused_; }

 private:
  std::atomic<std::size_t> first_refused_{std::numeric_limits<std::size_t>::max()};
};

/// A command on its way: of a synchronous caller (`slot`, `caller`) or an asynchronous one (`done`).
struct job {
  command_request request;
  steady::time_point accepted_at;
  outcome* slot = nullptr;
  waiter* caller = nullptr;
  std::function<void(outcome)> done;
  std::optional<engine::error> refusal;  ///< found invalid before it was queued; only to be answered in turn
  std::shared_ptr<sequence> order = {};  ///< null: it is alone, or in one transaction with those before it
  std::size_t place = 0;                 ///< in its batch

  void answer(outcome o) {
    if (order && (o ? o->kind == engine::submit_receipt::outcome::busy : engine::is_transient(o.error().code)))
      order->refuse_after(place);
    if (slot != nullptr) {
      *slot = std::move(o);
      if (caller != nullptr) caller->answer_one();
    } else {
      done(std::move(o));
    }
  }
};

/// To be called before the jobs of one batch are parted.
void keep_order(std::vector<job>& jobs) {
  if (jobs.size() < 2) return;
  std::unordered_map<std::string_view, std::shared_ptr<sequence>> sequences;
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    auto& order = sequences[jobs[i].request.session.str()];
    if (!order) order = std::make_shared<sequence>();
    jobs[i].order = order;
    jobs[i].place = i;
  }
}

}  // namespace

/// One store and the commands that go through it.
///
///   idle ──► busy: a caller (its own command, nothing queued before it) or the lane's thread (a group from the queue)
///     ▲        │ one transaction at a time, so commands keep the order in which they came
///     └────────┘
struct submitter_lane {
  submitter_lane(std::unique_ptr<engine::command_store> s, engine::bus& b, const submitter_config& c)
      : store(std::move(s)), bus(b), config(c), thread([this] { run(); }) {}

  ~submitter_lane() {
    {
      const std::lock_guard lock{mutex};
      is_stopping = true;
      stop_by = steady::now() + config.retry_for;
      changed.notify_all();
    }
    thread.join();
  }

  /// Takes the lane when nothing is under way and nothing waits.
  bool try_lead() {
    const std::lock_guard lock{mutex};
    if (is_busy || !queue.empty() || is_stopping) return false;
    is_busy = true;
    return true;
  }

  void stop_leading() {
    const std::lock_guard lock{mutex};
    is_busy = false;
    if (!queue.empty() || is_stopping) changed.notify_all();
  }

  /// False when the queue is full; the job is left as it was.
  bool enqueue(job& j) {
    const std::lock_guard lock{mutex};
    if (queue.size() >= config.queue_commands_max || is_stopping) return false;
    queue.push_back(std::move(j));
    if (queue.size() == 1 && !is_busy) changed.notify_all();
    return true;
  }

  void run() {
    std::vector<job> group;
    std::unique_lock lock{mutex};
    for (;;) {
      changed.wait(lock, [&] { return !is_busy && (!queue.empty() || is_stopping); });
      if (queue.empty()) return;
      const auto size = std::min(queue.size(), std::max<std::size_t>(config.group_commands_max, 1));
      group.assign(std::make_move_iterator(queue.begin()), std::make_move_iterator(queue.begin() + static_cast<std::ptrdiff_t>(size)));
      queue.erase(queue.begin(), queue.begin() + static_cast<std::ptrdiff_t>(size));
      const bool is_late = is_stopping && steady::now() >= stop_by;
      is_busy = true;
      lock.unlock();
      if (is_late) {
        for (auto& j : group) j.answer(fail(errc::unavailable, "the submitter was stopped before the command was stored"));
      } else {
        execute(group);
      }
      group.clear();
      lock.lock();
      is_busy = false;
    }
  }

  /// Stores the group and answers every job of it. By whoever is busy with the lane.
  void execute(std::vector<job>& jobs) {
    std::vector<std::size_t> todo;
    todo.reserve(jobs.size());
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      if (jobs[i].refusal)
        jobs[i].answer(tl::make_unexpected(*std::move(jobs[i].refusal)));
      else if (jobs[i].order && jobs[i].order->is_refused(jobs[i].place))
        jobs[i].answer(fail(errc::busy, "not tried, as one before it was refused"));
      else
        todo.push_back(i);
    }
    store_all(jobs, std::move(todo));
  }

  void store_all(std::vector<job>& jobs, std::vector<std::size_t> todo) {
    internal::backoff waits{retry_wait_base, retry_wait_max, std::random_device{}()};
    while (!todo.empty()) {
      std::vector<command_request> batch;
      batch.reserve(todo.size());
      for (const auto i : todo) batch.push_back(std::move(jobs[i].request));
      bool are_told = false;
      auto stored = store->submit(batch, [&](std::span<const engine::submit_receipt> receipts) {
        are_told = true;
        publish_wakes(batch, receipts);
      });
      if (stored) {
        ROWCALL_ASSERT(stored->size() == batch.size());
        if (!are_told) publish_wakes(batch, *stored);
        for (std::size_t k = 0; k < todo.size(); ++k) jobs[todo[k]].answer((*stored)[k]);
        return;
      }
      for (std::size_t k = 0; k < todo.size(); ++k) jobs[todo[k]].request = std::move(batch[k]);
      if (!engine::is_transient(stored.error().code) && stored.error().code != errc::commit_in_doubt) {
        if (todo.size() == 1) {
          jobs[todo[0]].answer(tl::make_unexpected(stored.error()));
          return;
        }
        // One of them is at fault and it is not known which: halve, so that the others do not pay for it.
        const auto half = todo.begin() + static_cast<std::ptrdiff_t>(todo.size() / 2);
        store_all(jobs, {todo.begin(), half});
        store_all(jobs, {half, todo.end()});
        return;
      }
      const auto now = steady::now();
      std::erase_if(todo, [&](std::size_t i) {
        const bool is_unsafe = stored.error().code == errc::commit_in_doubt && !jobs[i].request.idempotency_key;
        if (!is_unsafe && now < jobs[i].accepted_at + config.retry_for) return false;
        jobs[i].answer(tl::make_unexpected(stored.error()));
        return true;
      });
      if (!todo.empty()) std::this_thread::sleep_for(waits.next());
    }
  }

  /// One for each session. For duplicates too: their first wake may be what was lost.
  void publish_wakes(const std::vector<command_request>& batch, std::span<const engine::submit_receipt> receipts) {
    using engine::submit_receipt;
    const auto is_in_log = [](const submit_receipt& r) {
      return r.kind == submit_receipt::outcome::stored || r.kind == submit_receipt::outcome::duplicate;
    };
    std::vector<engine::wake> wakes;
    if (batch.size() == 1) {
      if (is_in_log(receipts[0])) wakes.push_back({batch[0].session, receipts[0].seq, receipts[0].row});
    } else {
      std::unordered_map<std::string_view, std::size_t> seen;
      for (std::size_t i = 0; i < batch.size(); ++i) {
        if (!is_in_log(receipts[i])) continue;
        const auto [it, is_new] = seen.try_emplace(batch[i].session.str(), wakes.size());
        if (is_new)
          wakes.push_back({batch[i].session, receipts[i].seq});
        else
          wakes[it->second].last = std::max(wakes[it->second].last, receipts[i].seq);
      }
    }
    if (!wakes.empty()) bus.publish(wakes);
  }

  const std::unique_ptr<engine::command_store> store;
  engine::bus& bus;
  const submitter_config& config;

  std::mutex mutex;
  std::condition_variable changed;
  std::deque<job> queue;
  bool is_busy = false;
  bool is_stopping = false;
  steady::time_point stop_by{};
  std::thread thread;  // last: it uses all of the above
};

struct submitter::impl {
  submitter_config config;
  std::vector<std::unique_ptr<submitter_lane>> lanes;

  submitter_lane& lane_of(const engine::session_id& session) {
    if (lanes.size() == 1) return *lanes[0];
    return *lanes[engine::fnv1a_64(session.str()) % lanes.size()];
  }

  /// A callback that waited for its own thread would wait for ever.
  bool is_own_thread() const {
    for (const auto& lane : lanes)
      if (lane->thread.get_id() == std::this_thread::get_id()) return true;
    return false;
  }
};

submitter::submitter(std::vector<std::unique_ptr<engine::command_store>> stores, engine::bus& bus, submitter_config config)
    : impl_(std::make_unique<impl>()) {
  ROWCALL_ASSERT(!stores.empty());
  impl_->config = config;
  for (auto& store : stores) impl_->lanes.push_back(std::make_unique<submitter_lane>(std::move(store), bus, impl_->config));
}

submitter::~submitter() = default;

submitter::outcome submitter::submit(command_request request) {
  std::vector<command_request> one;
  one.push_back(std::move(request));
  return std::move(submit(std::move(one)).front());
}

std::vector<submitter::outcome> submitter::submit(std::vector<command_request> batch) {
  ROWCALL_ASSERT(!impl_->is_own_thread());
  std::vector<outcome> outcomes(batch.size(), outcome{engine::submit_receipt{}});
  waiter caller;
  const auto now = steady::now();
  std::vector<job> jobs;
  jobs.reserve(batch.size());
  submitter_lane* lane = nullptr;
  bool is_one_lane = true;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    if (auto valid = engine::validate(batch[i], impl_->config.data_bytes_max); !valid) {
      outcomes[i] = tl::make_unexpected(std::move(valid.error()));
      continue;
    }
    auto& its_lane = impl_->lane_of(batch[i].session);
    is_one_lane = is_one_lane && (lane == nullptr || lane == &its_lane);
    lane = &its_lane;
    jobs.push_back({std::move(batch[i]), now, &outcomes[i], nullptr, {}, {}});
  }
  if (jobs.empty()) return outcomes;

  // Nothing is under way: no thread has to be woken, this one does it.
  if (is_one_lane && lane->try_lead()) {
    const auto group_max = std::max<std::size_t>(impl_->config.group_commands_max, 1);
    if (jobs.size() <= group_max) {
      lane->execute(jobs);
    } else {
      keep_order(jobs);
      for (std::size_t begin = 0; begin < jobs.size(); begin += group_max) {
        const auto end = std::min(begin + group_max, jobs.size());
        std::vector<job> group{std::make_move_iterator(jobs.begin() + static_cast<std::ptrdiff_t>(begin)),
                               std::make_move_iterator(jobs.begin() + static_cast<std::ptrdiff_t>(end))};
        lane->execute(group);
      }
    }
    lane->stop_leading();
    return outcomes;
  }

  caller.open = jobs.size();
  keep_order(jobs);
  bool is_full = false;  // once one is refused, so are those after it: a session's order has no holes
  for (auto& j : jobs) {
    j.caller = &caller;
    is_full = is_full || !impl_->lane_of(j.request.session).enqueue(j);
    if (is_full) j.answer(fail(errc::busy, "the submit queue is full: try again later"));
  }
  caller.wait();
  return outcomes;
}

void submitter::submit_async(command_request request, std::function<void(outcome)> done) {
  job j{std::move(request), steady::now(), nullptr, nullptr, std::move(done), {}};
  if (auto valid = engine::validate(j.request, impl_->config.data_bytes_max); !valid) j.refusal = std::move(valid.error());
  auto& lane = impl_->lane_of(j.request.session);
  if (!lane.enqueue(j)) j.answer(fail(errc::busy, "the submit queue is full: try again later"));
}

void submitter::submit_async(std::vector<command_request> batch, std::function<void(std::size_t, outcome)> done) {
  const auto now = steady::now();
  const auto shared = std::make_shared<std::function<void(std::size_t, outcome)>>(std::move(done));
  std::vector<job> jobs;
  jobs.reserve(batch.size());
  for (std::size_t i = 0; i < batch.size(); ++i) {
    jobs.push_back(
        {std::move(batch[i]), now, nullptr, nullptr, [shared, i](outcome o) { (*shared)(i, std::move(o)); }, {}});
    if (auto valid = engine::validate(jobs[i].request, impl_->config.data_bytes_max); !valid)
      jobs[i].refusal = std::move(valid.error());
  }
  keep_order(jobs);
  bool is_full = false;  // as above
  for (auto& j : jobs) {
    is_full = is_full || !impl_->lane_of(j.request.session).enqueue(j);
    if (is_full) j.answer(fail(errc::busy, "the submit queue is full: try again later"));
  }
}

}  // namespace rowcall::client
