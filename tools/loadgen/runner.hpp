#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <optional>
#include <queue>
#include <vector>

#include "tools/loadgen/latency_ledger.hpp"
#include "tools/loadgen/load_profile.hpp"
#include "tools/loadgen/recorder.hpp"
#include "tools/loadgen/scenario.hpp"
#include "tools/loadgen/target.hpp"
#include "tools/loadgen/timeline.hpp"

namespace rowcall::tools::loadgen {

/// Users who wait for their receipt and think before the next command. Their latency starts when the command is handed
/// over: a closed loop slows down with the system and can not show what an open loop shows.
struct closed_loop {
  std::size_t users = 1;
  nanoseconds think_time{0};       ///< mean
  bool has_random_think = false;   ///< exponential around the mean; otherwise always the mean
};

struct run_plan {
  std::vector<stage> stages;            ///< in a closed loop: their durations only
  std::optional<closed_loop> closed;    ///< nothing: open loop
  arrival_kind arrival = arrival_kind::fixed;
  std::size_t burst_commands = 1;
  nanoseconds warm_up{0};               ///< left out of the figures, not out of the verification
  nanoseconds drain_timeout = std::chrono::seconds{30};  ///< without any progress, after the load
  nanoseconds linger = std::chrono::milliseconds{250};   ///< after all has come: would anything come twice?
  nanoseconds prepare_timeout = std::chrono::seconds{60};
  nanoseconds reconnect_interval{0};    ///< above 0: all followers go and come back this often
  std::uint64_t seed = 1;
  std::uint64_t commands_max = 0;       ///< 0: as many as the profile gives
  std::size_t in_flight_max = 200'000;  ///< handed over and not acknowledged; beyond it the generator waits (and the clock runs)
  bool gives_up = false;                ///< open loop: beyond it, commands are left out instead (errors: given_up)
  bool has_idempotency_keys = false;    ///< makes commits in doubt safe to repeat, and costs an index entry a command
  std::string run = "r";                ///< part of the idempotency keys: two runs on one database need two
  bool has_fresh_sessions = true;       ///< the sessions have no history: their cursors need not be asked for
};

/// One line of the live view.
struct progress {
  second_row last;
  counts total;       ///< since the start of the load, warm-up included
  findings found;     ///< so far; `lost` is not known before the end
  double elapsed_s = 0, total_s = 0;
  std::uint64_t in_flight = 0, pending = 0;
  std::string phase;  ///< prepare, load, drain
};

struct run_observers {
  std::function<void(const progress&)> on_second;           ///< on the runner's thread
  /// A sample: a new one when asked for a fresh one, otherwise the last one (reading /proc takes milliseconds, which
  /// would delay the commands). Nothing: no CPU figures.
  std::function<cpu_usage::sample(bool fresh)> sample_cpu;
  role_map roles;
};

/// Puts the load of a scenario on a target and verifies what comes back.
///
/// The open loop: commands are handed over at their intended starts, or as soon after as the generator gets to it, never
/// because an earlier one was answered; latencies count from the intended start. So a system that stalls for a second
/// shows the second in every command that was due in it (no coordinated omission, see G. Tene, "How NOT to Measure
/// Latency"). run() in one thread, the target's callbacks on any.
class runner {
 public:
  /// All of them must outlive the runner.
  runner(run_plan plan, scenario& s, target& t, timeline& time, run_observers observers = {});
  ~runner();
  runner(const runner&) = delete;

  /// Errors: of the preparation only (sessions can not be read, the followers do not come up, the setup is refused).
  engine::result<report> run();

  /// Ends the load and waits for what is on its way; the second call does not wait any longer. Any thread.
  void stop();

 private:
  static constexpr std::uint32_t no_user = UINT32_MAX;
  struct ready_user {
    nanoseconds at;
    std::uint32_t user;
    bool operator>(const ready_user& o) const { return at > o.at; }
  };

  engine::result<void> prepare();
  engine::result<void> open_sessions(std::size_t until);
  engine::result<void> set_up();
  void load_open();
  void load_closed();
  void drain(nanoseconds timeout);
  void linger();
  bool is_drained();
  void audit(report& r);
  void send(const planned_command& command, started start);
  void retire_sessions();
  void wait(nanoseconds until);
  void do_periodic_work();
  void on_outcome(session_index session, started start, const engine::result<engine::submit_receipt>& outcome);
  void on_updates(session_index session, std::span<const engine::update_row> updates);
  void complete(started start, nanoseconds now);
  bool has_stopped() const { return stops_.load(std::memory_order_relaxed) > 0; }
  nanoseconds now() { return time_.now() - origin_.load(std::memory_order_relaxed); }

  run_plan plan_;
  scenario& scenario_;
  target& target_;
  timeline& time_;
  run_observers observers_;
  load_profile profile_;
  /// Of the preparation, which is in no figure.
  const load_profile no_profile_{{{std::chrono::seconds{1}, 0, 0}}};
  std::atomic<nanoseconds> origin_{nanoseconds{0}};  ///< set by the runner's thread while nothing is on its way

  // The runner's thread only.
  nanoseconds next_second_{0}, next_reconnect_{0}, load_end_{0};
  std::string phase_ = "prepare";
  std::vector<session_index> retiring_;
  std::uint64_t sent_ = 0, digest_ = 0;
  cpu_usage cpu_;
  std::vector<second_row> cpu_rows_;
  std::vector<random_source> user_random_;

  // Shared with the callbacks.
  std::mutex mutex_;
  verifier verifier_;
  std::vector<engine::session_id> ids_;   ///< changed by the runner's thread only, which may read without the mutex
  std::vector<bool> is_retired_;
  latency_ledger ledger_;
  std::vector<std::uint32_t> in_flight_of_session_;
  std::optional<recorder> recorder_;
  counts total_;
  std::uint64_t reads_open_ = 0;
  std::priority_queue<ready_user, std::vector<ready_user>, std::greater<>> ready_;
  bool is_throttled_ = false, is_draining_ = false;
  std::atomic<int> stops_{0};
};

}  // namespace rowcall::tools::loadgen
