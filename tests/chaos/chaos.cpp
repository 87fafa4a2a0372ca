#include "tests/chaos/chaos.hpp"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <iomanip>
#include <iostream>
#include <map>
#include <mutex>
#include <optional>
#include <sstream>
#include <thread>

#include "tests/chaos/audience.hpp"
#include "tests/chaos/journal.hpp"
#include "tests/chaos/judge.hpp"
#include "tests/chaos/prober.hpp"
#include "tests/chaos/site.hpp"
#include "tests/checker/checker.hpp"
#include "tests/support/eventually.hpp"

namespace rowcall::chaos {
namespace {

using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;

constexpr auto recovery_deadline = 30s;
constexpr auto drain_deadline = 30s;
constexpr auto silence_max = 90s;  ///< of the conductor itself: beyond it, it hangs
constexpr std::size_t disk_bytes = std::size_t{4} << 30;
/// A probe faster than this part of the sweep's interval was served by wakes, when it began as the one before was served: a
/// deaf engine's last receipt comes with its sweep, so its next one takes a whole interval.
constexpr double wake_pace = 0.8;
constexpr milliseconds several_bound{3'000};

double ms(steady::duration d) { return std::chrono::duration<double, std::milli>(d).count(); }

/// Ends the process when the conductor does not move on: it hangs in a call without a bound, which is itself a finding.
class watchdog {
 public:
  explicit watchdog(site& s) : site_(s), thread_([this] { watch(); }) {}
  ~watchdog() {
    {
      const std::lock_guard lock{mutex_};
      is_stopping_ = true;
      changed_.notify_all();
    }
    thread_.join();
  }
  watchdog(const watchdog&) = delete;
  void move_on(std::string to) {
    const std::lock_guard lock{mutex_};
    doing_ = std::move(to);
    since_ = steady::now();
    changed_.notify_all();
  }

 private:
  void watch() {
    std::unique_lock lock{mutex_};
    while (!is_stopping_) {
      if (changed_.wait_until(lock, since_ + silence_max) == std::cv_status::no_timeout ||
          steady::now() < since_ + silence_max)
        continue;
      std::cerr << "HANG in: " << doing_ << "\n" << site_.dump() << std::endl;
      _exit(3);
    }
  }
  site& site_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string doing_ = "start";
  steady::time_point since_ = steady::now();
  bool is_stopping_ = false;
  std::thread thread_;
};

class conductor {
 public:
  conductor(const options& o, std::ostream& log) : options_(o), log_(log) {}

  report run() {
    auto kinds = options_.kinds;
    if (kinds.empty()) kinds.assign(all_fault_kinds().begin(), all_fault_kinds().end());
    auto disk = make_disk(kinds);
    if (kinds.empty()) return std::move(report_);  // nothing of what was asked for is possible here

    site_options so;
    so.seed = options_.seed;
    so.bug = options_.bug;
    site_.emplace(so, std::move(disk));
    dog_ = std::make_unique<watchdog>(*site_);
    for (const auto kind : kinds) {
      auto& row = rows_[std::string(to_string(kind))];
      row.bound = promise_of(kind, so.transaction_timeout, so.sweep_interval).bound;
    }
    site_->start_engines();
    prober_.emplace(as_conductor(site_->direct_database()), site_->direct_nats(), site_->prefix());
    prober_->submit(setup(), steady::now() + 20s);
    audience_.emplace(site_->client_database(), site_->client_nats(), site_->prefix(), options_.seed);
    site_->start_clients();
    // A broken engine's load would say nothing: the load generator finds the same as the checker.
    if (options_.bug.empty()) site_->start_load();
    if (!prober_->probe(steady::now() + recovery_deadline)) give_up("the engines did not begin to serve");

    schedule faults(options_.seed, kinds, so.transaction_timeout);
    const auto begin = steady::now();
    while (!is_over_ && (steady::now() < begin + options_.lasts || report_.faults < options_.faults_min))
      play(faults.next(), so);
    report_.seconds = std::chrono::duration<double>(steady::now() - begin).count();
    if (!is_over_) finish();
    for (auto& [what, row] : rows_) {
      row.what = what;
      report_.rows.push_back(row);
    }
    if (options_.medians_within > 0)
      for (auto& slow : slow_kinds(report_.rows, options_.medians_within)) report_.violations.push_back(std::move(slow));
    return std::move(report_);
  }

 private:
  std::unique_ptr<small_disk> make_disk(std::vector<fault_kind>& kinds) {
    const auto full = std::find(kinds.begin(), kinds.end(), fault_kind::disk_full);
    if (full == kinds.end()) return nullptr;
    std::string why;
    auto disk = small_disk::mount(support::make_directory(), disk_bytes, why);
    if (disk) {
      log_ << "PostgreSQL's data on a file system of its own (" << disk->kind() << ")\n";
      return disk;
    }
    report_.skipped.push_back("disk_full: no small file system could be mounted (root is needed): " + why);
    log_ << "SKIPPED " << report_.skipped.back() << std::endl;
    kinds.erase(full);
    return nullptr;
  }

  /// The run ends here: with everything that may tell why.
  void give_up(const std::string& what) {
    is_over_ = true;
    report_.violations.push_back(what);
    std::cerr << what << "\nlast probe: " << prober_->by_owner() << "\npending: " << prober_->pending() << "\n"
              << site_->dump() << std::endl;
  }

  // ------------------------------------------------------------ faults

  struct event {
    steady::time_point at;
    const fault* what;
    bool is_begin;
  };

  void play(const episode& e, const site_options& so) {
    pause(e.pause);
    ++report_.episodes;
    report_.faults += e.faults.size();
    std::string text;
    for (const auto& f : e.faults) text += (text.empty() ? "" : " + ") + describe(f);
    dog_->move_on(text);
    const auto promise = promise_of(e.faults.front().kind, so.transaction_timeout, so.sweep_interval);
    const bool is_alone = e.faults.size() == 1;

    std::string told;
    const auto began = steady::now();
    steady::time_point ended;
    std::vector<event> events;
    for (const auto& f : e.faults) {
      ++rows_[std::string(to_string(f.kind))].faults;
      events.push_back({began + f.begins, &f, true});
      events.push_back({began + f.begins + f.lasts, &f, false});
    }
    std::stable_sort(events.begin(), events.end(), [](const event& a, const event& b) { return a.at < b.at; });
    std::vector<const fault*> lasting;
    for (const auto& step : events) {
      wait_until(step.at, lasting);
      if (step.is_begin) {
        site_->begin(*step.what);
        lasting.push_back(step.what);
        if (is_alone && promise.is_from_start)
          told += measure(std::string(to_string(step.what->kind)), promise.bound, steady::now());
      } else {
        std::erase(lasting, step.what);
        site_->end(*step.what);
        ended = steady::now();
      }
    }
    site_->restore();
    if (!is_alone) {
      rows_["several at once"].faults += 1;
      told += measure("several at once", several_bound, steady::now());
    } else if (!promise.is_from_start) {
      const auto kind = e.faults.front().kind;
      const bool is_of_nats = to_string(kind).starts_with("nats_");
      const auto what = std::string(to_string(kind));
      told += is_of_nats ? measure_wakes(what, promise.bound, ended) : measure(what, promise.bound, ended);
    } else if (e.faults.front().kind == fault_kind::nats_absent) {
      rows_["nats_absent, back"].faults += 1;
      told += measure_wakes("nats_absent, back", 1'000ms, ended);
    }
    if (auto dead = site_->casualties(); !dead.empty()) give_up(dead);
    if (!options_.is_quiet) log_ << std::setw(4) << report_.faults << "  " << text << ":" << told << std::endl;
  }

  void pause(milliseconds how_long) { wait_until(steady::now() + how_long, {}); }

  void wait_until(steady::time_point at, const std::vector<const fault*>& lasting) {
    constexpr milliseconds step{50};
    for (auto now = steady::now(); now < at; now = steady::now()) {
      std::this_thread::sleep_until(std::min(at, now + step));
      for (const auto* f : lasting) site_->during(*f);
    }
  }

  std::string note(const std::string& what, milliseconds bound, std::optional<steady::time_point> recovered,
                   steady::time_point since) {
    auto& row = rows_[what];
    row.bound = bound;
    if (!recovered) {
      give_up("no recovery from " + what);
      return " NOT RECOVERED";
    }
    const auto took = ms(*recovered - since);
    row.recovery_ms.push_back(took);
    const bool is_late = took > static_cast<double>(bound.count());
    report_.late += is_late ? 1 : 0;
    std::ostringstream text;
    text << " " << static_cast<int>(took) << " ms" << (is_late ? " LATE" : "");
    if (is_late && options_.is_strict)
      report_.violations.push_back(what + " recovered after " + std::to_string(static_cast<int>(took)) +
                                   " ms, promised are " + std::to_string(bound.count()));
    return text.str();
  }

  /// Every shard serves again.
  std::string measure(const std::string& what, milliseconds bound, steady::time_point since) {
    return note(what, bound, prober_->probe(steady::now() + recovery_deadline), since);
  }

  /// Wakes arrive again: two probes in a row are served faster than any sweep would do.
  std::string measure_wakes(const std::string& what, milliseconds bound, steady::time_point since) {
    const auto deadline = steady::now() + recovery_deadline;
    std::optional<steady::time_point> first;
    for (;;) {
      const auto begin = steady::now();
      const auto served = prober_->probe(deadline);
      if (!served) return note(what, bound, std::nullopt, since);
      if (*served - begin > wake_pace * site_options{}.sweep_interval)
        first.reset();
      else if (first)
        return note(what, bound, first, since);
      else
        first = served;
      if (steady::now() > deadline) return note(what, bound, std::nullopt, since);
    }
  }

  // ------------------------------------------------------------ the end

  void finish() {
    dog_->move_on("the end of the clients");
    const auto begin = steady::now();
    if (!site_->stop_clients(drain_deadline)) return give_up("a client did not end");
    dog_->move_on("the end of the load generator");
    if (auto wrong = site_->stop_load(drain_deadline + 30s); !wrong.empty()) report_.violations.push_back(wrong);
    dog_->move_on("the drain");
    // The checker is asked all the same: it says what else is wrong.
    if (!prober_->wait_drained(sessions::all(), steady::now() + drain_deadline)) {
      if (options_.bug.empty())
        give_up("not everything was processed");
      else
        report_.violations.push_back("not everything was processed");
    }
    report_.drain_seconds = std::chrono::duration<double>(steady::now() - begin).count();
    checker::history h;
    for (const auto& path : site_->journals())
      for (auto& s : read_journal(journal_text(path))) h.submits.push_back(std::move(s));
    count_kills();
    h.submits.insert(h.submits.end(), prober_->submits().begin(), prober_->submits().end());
    dog_->move_on("reading the database");
    read_database(as_conductor(site_->direct_database()), h);
    given_up_ = given_up(as_conductor(site_->direct_database()));
    dog_->move_on("the followers' end");
    // They poll every second; what they miss for good is the checker's business.
    static_cast<void>(support::eventually(10s, [&] { return has_all(h); }));
    h.followers = audience_->seen();
    dog_->move_on("the engines' end");
    // A broken engine may end as it likes.
    if (auto wrong = site_->stop_engines(15s); !wrong.empty() && options_.bug.empty())
      report_.violations.push_back(wrong);
    dog_->move_on("the judgement");
    judge(h);
  }

  /// A kill between submits loses nothing: some must have come in the middle of one.
  void count_kills() {
    for (const auto& path : site_->journals_of_killed()) {
      ++report_.client_kills;
      report_.client_kills_in_submit += is_in_the_middle(journal_text(path)) ? 1 : 0;
    }
    constexpr std::size_t kills_that_tell = 3;
    if (report_.client_kills >= kills_that_tell && report_.client_kills_in_submit == 0)
      report_.violations.push_back("of " + std::to_string(report_.client_kills) +
                                   " clients that were killed, none was in the middle of a submit");
  }

  bool has_all(const checker::history& h) const {
    for (const auto& counts : audience_->counts())
      for (const auto& [session, log] : h.logs)
        if (const auto seen = counts.find(session); (seen == counts.end() ? 0 : seen->second) < log.updates.size())
          return false;
    return true;
  }

  void judge(const checker::history& h) {
    for (const auto& v : checker::check(h)) {
      report_.broken_rules.emplace(checker::to_string(v.broken));
      report_.violations.push_back(std::string(checker::to_string(v.broken)) + ": " + v.text);
    }
    for (auto& letter : given_up_) report_.violations.push_back("an innocent command was given up: " + letter);
    report_.submits = h.submits.size();
    for (const auto& s : h.submits) {
      report_.acknowledged += s.result == checker::outcome::acknowledged ? 1 : 0;
      report_.unknown += s.result == checker::outcome::unknown ? 1 : 0;
    }
    for (const auto& f : h.followers) report_.updates_followed += f.seen.size();
  }

  const options& options_;
  std::ostream& log_;
  report report_;
  bool is_over_ = false;  ///< something does not come back: nothing more to be learned from this run
  std::map<std::string, recovery_row> rows_;
  std::optional<site> site_;
  std::unique_ptr<watchdog> dog_;
  std::optional<prober> prober_;
  std::optional<audience> audience_;
  std::vector<std::string> given_up_;
};

}  // namespace

report run(const options& o, std::ostream& log) { return conductor(o, log).run(); }

void print(const report& r, std::ostream& out) {
  out << "\nfault                     count  measured   median ms      max ms    bound ms   late\n";
  for (const auto& row : r.rows) {
    auto times = row.recovery_ms;
    std::sort(times.begin(), times.end());
    const auto late =
        std::count_if(times.begin(), times.end(), [&](double t) { return t > static_cast<double>(row.bound.count()); });
    out << std::left << std::setw(24) << row.what << std::right << std::setw(7) << row.faults << std::setw(10)
        << times.size() << std::fixed << std::setprecision(0);
    if (times.empty())
      out << std::setw(12) << "-" << std::setw(12) << "-";
    else
      out << std::setw(12) << median_of(times) << std::setw(12) << times.back();
    out << std::setw(12) << row.bound.count() << std::setw(7) << late << "\n";
  }
  out << "\n"
      << r.faults << " faults in " << r.episodes << " episodes, " << std::setprecision(1) << r.seconds
      << " s; drained in " << r.drain_seconds << " s\n"
      << r.submits << " commands submitted: " << r.acknowledged << " acknowledged, " << r.unknown
      << " of unknown outcome; " << r.updates_followed << " updates seen by followers\n"
      << r.client_kills << " clients killed, " << r.client_kills_in_submit << " of them in the middle of a submit\n"
      << r.late << " recoveries beyond their bound\n";
  for (const auto& s : r.skipped) out << "SKIPPED " << s << "\n";
  constexpr std::size_t shown_max = 20;
  for (std::size_t i = 0; i < std::min(r.violations.size(), shown_max); ++i)
    out << "VIOLATION " << r.violations[i] << "\n";
  if (r.violations.size() > shown_max) out << "… and " << r.violations.size() - shown_max << " more\n";
  out << (r.violations.empty() ? "the promise was kept" : "THE PROMISE WAS BROKEN") << std::endl;
}

}  // namespace rowcall::chaos
