#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <queue>
#include <vector>

#include "tools/loadgen/target.hpp"
#include "tools/loadgen/timeline.hpp"

namespace rowcall::tools::loadgen::testing {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

/// Time in which waiting moves the clock: to the next event, or to the end of the wait. One thread.
class virtual_timeline final : public timeline {
 public:
  nanoseconds now() override { return now_; }

  void wait_until(nanoseconds t) override {
    while (!is_interrupted_ && !events_.empty() && events_.top().at <= t) run_next();
    if (!is_interrupted_) now_ = std::max(now_, t);
    is_interrupted_ = false;
  }

  void interrupt() override { is_interrupted_ = true; }

  void at(nanoseconds t, std::function<void()> what) { events_.push({std::max(t, now_), order_++, std::move(what)}); }
  void clear() { events_ = {}; }

 private:
  struct event {
    nanoseconds at;
    std::uint64_t order;
    std::function<void()> what;
    bool operator<(const event& o) const { return at != o.at ? at > o.at : order > o.order; }
  };
  void run_next() {
    event e = std::move(const_cast<event&>(events_.top()));
    events_.pop();
    now_ = std::max(now_, e.at);
    e.what();
  }
  nanoseconds now_{std::chrono::hours{1}};
  std::uint64_t order_ = 0;
  bool is_interrupted_ = false;
  std::priority_queue<event> events_;
};

/// An engine, a database and a bus that answer after fixed times, and misbehave on request.
class virtual_target final : public target {
 public:
  struct behaviour {
    nanoseconds acknowledge_after{milliseconds{1}};
    nanoseconds follow_after{milliseconds{2}};       ///< after the acknowledgement
    nanoseconds stall_from{0}, stall_until{0};       ///< since the start: nothing is answered in between
    std::uint64_t lose = 0, repeat = 0, swap = 0;    ///< the n-th update (from 1), 0: none
    std::uint64_t forget = 0;                        ///< the n-th command is acknowledged and never answered
    std::uint64_t answer_twice = 0;                  ///< the n-th command gets two updates
    std::uint64_t refuse_every = 0;                  ///< every n-th submit fails
    bool updates_overtake = false;                   ///< updates come before acknowledgements
    bool is_dead = false;                            ///< nothing is ever answered
  };

  virtual_target(virtual_timeline& time, behaviour b) : time_(time), behaviour_(b), start_(time.now()) {}

  void start(updates on_updates) override { on_updates_ = std::move(on_updates); }

  void submit(engine::command_request request, submitted done) override {
    requests.push_back(request);
    request_times.push_back(time_.now());
    ++submits_;
    if (behaviour_.is_dead) return;
    if (behaviour_.refuse_every != 0 && submits_ % behaviour_.refuse_every == 0) {
      time_.at(after_stall(time_.now() + behaviour_.acknowledge_after),
               [done] { done(engine::fail(engine::errc::unavailable, "refused")); });
      return;
    }
    session& s = sessions_[request.session.str()];
    const std::int64_t seq = ++s.commands;
    nanoseconds acknowledged = after_stall(time_.now() + behaviour_.acknowledge_after);
    const nanoseconds followed = after_stall(acknowledged + behaviour_.follow_after);
    if (behaviour_.updates_overtake) acknowledged = followed + milliseconds{1};
    time_.at(acknowledged, [done, seq] { done(engine::submit_receipt{engine::submit_receipt::outcome::stored, {seq}}); });
    if (submits_ == behaviour_.forget) return;
    time_.at(followed, [this, id = request.session.str(), seq, twice = submits_ == behaviour_.answer_twice] {
      deliver(id, seq);
      if (twice) deliver(id, seq);
    });
  }

  void follow(std::span<const position> positions) override {
    for (const position& p : positions) {
      session& s = sessions_[p.session.str()];
      s.index = p.index;
      s.is_followed = true;
      ++follows;
    }
  }
  void unfollow(std::span<const position> positions) override {
    for (const position& p : positions) {
      sessions_[p.session.str()].is_followed = false;
      ++unfollows;
    }
  }
  void reconnect(std::function<std::vector<position>()> where) override {
    ++reconnects;
    for (auto& [id, s] : sessions_) s.is_followed = false;
    follow(where());
  }
  void read(engine::session_id, std::function<void(bool)> done) override {
    ++reads;
    time_.at(time_.now() + milliseconds{3}, [done] { done(true); });
  }
  engine::result<engine::session_cursor> cursor(const engine::session_id& session) override {
    ++cursors;
    const auto& s = sessions_[session.str()];
    return engine::session_cursor{{s.updates}, {s.updates}};
  }
  bool wait_live(std::chrono::milliseconds) override { return true; }
  void stop() override { time_.clear(); }

  void give_history(const std::string& id, std::int64_t length) { sessions_[id].commands = sessions_[id].updates = length; }

  std::vector<engine::command_request> requests;
  std::vector<nanoseconds> request_times;
  int reconnects = 0, cursors = 0, reads = 0;
  std::size_t follows = 0, unfollows = 0;

 private:
  struct session {
    session_index index = 0;
    std::int64_t commands = 0, updates = 0;
    bool is_followed = false;
  };

  nanoseconds after_stall(nanoseconds t) const {
    const nanoseconds from = start_ + behaviour_.stall_from, until = start_ + behaviour_.stall_until;
    return t >= from && t < until ? until : t;
  }

  void deliver(const std::string& id, std::int64_t command) {
    session& s = sessions_[id];
    const engine::update_row row{{++s.updates}, {command}, "echo", "{}", {}};
    ++delivered_;
    if (delivered_ == behaviour_.lose) return;
    if (delivered_ == behaviour_.swap) {
      held_ = {s.index, row};
      return;
    }
    tell(s.index, row);
    if (delivered_ == behaviour_.repeat) tell(s.index, row);
    if (held_ && held_->first == s.index) {
      tell(s.index, held_->second);
      held_.reset();
    }
  }
  void tell(session_index index, const engine::update_row& row) {
    on_updates_(index, std::span<const engine::update_row>(&row, 1));
  }

  virtual_timeline& time_;
  behaviour behaviour_;
  nanoseconds start_;
  updates on_updates_;
  std::map<std::string, session> sessions_;
  std::uint64_t submits_ = 0, delivered_ = 0;
  std::optional<std::pair<session_index, engine::update_row>> held_;
};

}  // namespace rowcall::tools::loadgen::testing
