#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <random>
#include <unordered_map>

#include "client/follower.hpp"
#include "client/submitter.hpp"
#include "engine/json.hpp"
#include "tools/connect/duration.hpp"
#include "tools/rowcall/actions.hpp"
#include "tools/rowcall/format.hpp"
#include "tools/rowcall/stream_check.hpp"

namespace rowcall::tools {
namespace {

using engine::session_id;
using engine::update_row;
using steady = std::chrono::steady_clock;

std::string random_hex() {
  std::random_device random;
  char text[16];
  std::snprintf(text, sizeof text, "%06x", random() & 0xFFFFFFu);
  return text;
}

session_id session(const std::string& text) { return *session_id::parse(text); }

engine::error no_answer(const std::string& what) {
  return {engine::errc::timed_out, what + "\nIs an engine running on this database and NATS? See `rowcall status`."};
}

std::unique_ptr<client::submitter> make_submitter(const global_options& global, engine::bus& bus,
                                                  std::size_t stores_count) {
  std::vector<std::unique_ptr<engine::command_store>> stores;
  for (std::size_t i = 0; i < stores_count; ++i)
    stores.push_back(storage::postgres::make_command_store(store_config_of(global.connection, "demo")));
  client::submitter_config config;
  config.data_bytes_max = global.data_bytes_max;
  return std::make_unique<client::submitter>(std::move(stores), bus, config);
}

std::unique_ptr<engine::update_store> make_updates(const global_options& global) {
  return storage::postgres::make_update_store(store_config_of(global.connection, "demo"));
}

// ---------------------------------------------------------------- the conversation

/// What the followers of the conversation have received. Filled on the follower's thread.
class received {
 public:
  void add(const session_id& id, std::span<const update_row> updates) {
    const std::lock_guard lock{mutex_};
    auto& log = logs_[id];
    log.insert(log.end(), updates.begin(), updates.end());
    changed_.notify_all();
  }
  /// Waits for an update of the session that `matches`, from `from` on; moves `from` behind it.
  template <class Predicate>
  std::optional<update_row> next(const session_id& id, std::size_t& from, steady::time_point deadline,
                                 Predicate matches) {
    std::unique_lock lock{mutex_};
    while (true) {
      const auto& log = logs_[id];
      for (; from < log.size(); ++from)
        if (matches(log[from])) return log[from++];
      if (changed_.wait_until(lock, deadline) == std::cv_status::timeout) return {};
    }
  }
  std::vector<update_row> log(const session_id& id) {
    const std::lock_guard lock{mutex_};
    return logs_[id];
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::unordered_map<session_id, std::vector<update_row>> logs_;
};

struct step {
  const char* user;
  const char* type;    ///< the command, submitted to the user's session
  const char* text;    ///< of a message, or a room's name
  const char* answer;  ///< the update that shows the effect
  bool in_room;        ///< where that update is: in the room's log or in the user's own
};

constexpr step conversation[] = {
    {"ann", "create_chat", "Lunch", "chat_created", true},
    {"bob", "join_chat", "", "chat_joined", false},
    {"ann", "select_chat", "", "chat_selected", false},
    {"ann", "post_message", "Hi Bob! Where shall we eat today?", "new_message", true},
    {"bob", "post_message", "The place at the harbour? They have fish 🐟", "new_message", true},
    {"cleo", "join_chat", "", "chat_joined", false},
    {"cleo", "post_message", "Fish is good. When?", "new_message", true},
    {"ann", "rename_chat", "Lunch at the harbour", "chat_renamed", true},
    {"ann", "post_message", "At half past twelve. See you!", "new_message", true},
    {"bob", "leave_chat", "", "chat_left", false},
};

class play {
 public:
  play(const global_options& global, engine::bus& bus)
      : run_(random_hex()),
        room_(session("chat-demo-" + run_)),
        quiet_(global.json),
        updates_(make_updates(global)),
        submitter_(make_submitter(global, bus, 1)),
        follower_(make_updates(global), bus, handler()) {}

  exit_code run(steady::time_point deadline) {
    if (!quiet_)
      std::printf("A conversation in %s: each line is an update that reached a follower.\n\n", room_.str().c_str());
    follower_.follow(room_, {});
    for (const char* name : {"ann", "bob", "cleo"}) follower_.follow(user(name), {});
    for (const auto& s : conversation)
      if (auto done = act(s, deadline); !done) return fail_with(done.error());
    return check();
  }

 private:
  client::follow_handler handler() {
    client::follow_handler h;
    h.on_updates = [this](const session_id& id, std::span<const update_row> updates) { received_.add(id, updates); };
    return h;
  }
  session_id user(const std::string& name) const { return session("user-" + name + "-" + run_); }

  engine::result<void> act(const step& s, steady::time_point deadline) {
    const std::string_view type = s.type;
    engine::command_request request{user(s.user), s.type, {}, {}};
    if (type == "post_message")
      request.data = engine::json::object_of({{"chat_id", room_.str()}, {"text", s.text}});
    else if (type == "create_chat" || type == "rename_chat")
      request.data = engine::json::object_of({{"chat_id", room_.str()}, {"name", s.text}});
    else
      request.data = engine::json::object_of({{"chat_id", room_.str()}});
    auto outcome = submitter_->submit(std::move(request));
    if (!outcome) return tl::make_unexpected(outcome.error());
    if (outcome->kind == engine::submit_receipt::outcome::unknown_kind)
      return engine::fail(engine::errc::unavailable, "no engine has ever served this database: start `rowcall serve`");
    if (outcome->kind == engine::submit_receipt::outcome::busy)
      return engine::fail(engine::errc::busy, "the engine refused: busy");
    const auto where = s.in_room ? room_ : user(s.user);
    const auto found = received_.next(where, positions_[where], deadline, [&](const update_row& u) {
      return u.type == s.answer || u.type == "request_refused" || u.type == engine::update_type::command_rejected;
    });
    if (!found) return tl::make_unexpected(no_answer(std::string{"no update '"} + s.answer + "' for " + s.user + "."));
    if (found->type != s.answer)
      return engine::fail(engine::errc::internal, "unexpected " + found->type + ": " + found->data);
    if (!quiet_) show(s, *found);
    return {};
  }

  static void show(const step& s, const update_row& u) {
    const std::string_view type = s.type;
    const auto clock = format_clock(u.created_at);
    if (type == "post_message")
      std::printf("  %s  %4s: %s\n", clock.c_str(), s.user, s.text);
    else
      std::printf("  %s  %4s %s%s%s%s\n", clock.c_str(), s.user,
                  type == "create_chat"   ? "creates the room"
                  : type == "join_chat"   ? "joins the room"
                  : type == "select_chat" ? "selects the room"
                  : type == "rename_chat" ? "renames the room to"
                                          : "leaves the room",
                  *s.text ? " \"" : "", s.text, *s.text ? "\"" : "");
    std::fflush(stdout);
  }

  /// The followers' streams against the database, session by session.
  exit_code check() {
    std::size_t updates = 0;
    for (const auto& id : {room_, user("ann"), user("bob"), user("cleo")}) {
      auto page = updates_->updates_after(id, {}, 1'000);
      if (!page) return fail_with(page.error());
      // What was written a moment ago may still be on its way to the follower.
      auto log = received_.log(id);
      const auto expected = page->updates.size();
      if (log.size() < expected) {
        std::size_t from = 0;
        const auto last = page->updates.back().seq;
        received_.next(id, from, steady::now() + std::chrono::seconds{10},
                       [&](const update_row& u) { return u.seq == last; });
        log = received_.log(id);
      }
      log.resize(std::min(log.size(), expected));
      const bool same =
          std::equal(log.begin(), log.end(), page->updates.begin(), page->updates.end(),
                     [](const update_row& a, const update_row& b) { return a.seq == b.seq && a.type == b.type; });
      bool contiguous = true;
      for (std::size_t i = 0; i < expected; ++i)
        contiguous = contiguous && page->updates[i].seq.value == static_cast<std::int64_t>(i + 1);
      if (!same || !contiguous) {
        std::fprintf(stderr, "rowcall: %s: the follower's stream is not what the database holds\n", id.str().c_str());
        return exit_code::faulty;
      }
      updates += expected;
    }
    if (!quiet_)
      std::printf(
          "\n  %zu commands of 3 users gave %zu updates in 4 sessions; the followers saw exactly what the database "
          "holds.\n\n",
          std::size(conversation), updates);
    return exit_code::ok;
  }

  std::string run_;
  session_id room_;
  bool quiet_;
  received received_;
  std::unordered_map<session_id, std::size_t> positions_;
  std::unique_ptr<engine::update_store> updates_;
  std::unique_ptr<client::submitter> submitter_;
  client::follower follower_;
};

// ---------------------------------------------------------------- the burst

struct percentiles {
  double p50_ms = 0, p90_ms = 0, p99_ms = 0, max_ms = 0;
};

percentiles percentiles_of(std::vector<std::int64_t> latencies_ns) {
  if (latencies_ns.empty()) return {};
  std::sort(latencies_ns.begin(), latencies_ns.end());
  const auto at = [&](double share) {
    const auto index = static_cast<std::size_t>(share * static_cast<double>(latencies_ns.size() - 1) + 0.5);
    return static_cast<double>(latencies_ns[index]) / 1e6;
  };
  return {at(0.5), at(0.9), at(0.99), at(1.0)};
}

class burst {
 public:
  burst(const global_options& global, const demo_options& options, engine::bus& bus)
      : global_(global),
        options_(options),
        sessions_count_(std::min(options.sessions, options.commands)),
        check_(sessions_count_),
        acknowledged_(sessions_count_, 0),
        started_at_(options.commands),
        latency_ns_(options.commands, -1),
        show_live_(isatty(STDOUT_FILENO) == 1),
        updates_(make_updates(global)),
        submitter_(make_submitter(global, bus, 2)),
        follower_(make_updates(global), bus, handler()) {
    const auto run = random_hex();
    sessions_.reserve(sessions_count_);
    for (std::size_t i = 0; i < sessions_count_; ++i) {
      sessions_.push_back(session("echo-demo-" + run + "-" + std::to_string(i)));
      indexes_.emplace(sessions_.back(), i);
    }
  }

  exit_code run(steady::time_point deadline) {
    deadline_ = deadline;
    for (const auto& id : sessions_) follower_.follow(id, {});
    const auto alone = one_at_a_time();
    if (!alone) return fail_with(alone.error());
    begin_ = shown_at_ = steady::now();
    if (auto sent = submit_all(); !sent) return fail_with(sent.error());
    const bool in_time = await_all();
    const auto seconds = std::chrono::duration<double>(steady::now() - begin_).count();
    progress(true);
    if (!in_time) std::fprintf(stderr, "rowcall: not everything came back in time; counting what did\n");
    auto database = read_back();
    if (!database) return fail_with(database.error());
    return report(seconds, *alone, *database);
  }

 private:
  static constexpr std::size_t alone_commands = 200;

  client::follow_handler handler() {
    client::follow_handler h;
    h.on_updates = [this](const session_id& id, std::span<const update_row> updates) { take(id, updates); };
    return h;
  }

  /// The n-th command of session s is number s + n * sessions. One at a time uses sessions of its own.
  void take(const session_id& id, std::span<const update_row> updates) {
    const auto now = steady::now();
    const std::lock_guard lock{mutex_};
    const auto index = indexes_.find(id);
    if (index == indexes_.end()) {
      alone_seen_ += updates.size();
    } else {
      check_.take(index->second, updates);
      for (const auto& u : updates) {
        const auto number = index->second + static_cast<std::size_t>(u.command.value - 1) * sessions_count_;
        if (number >= latency_ns_.size() || latency_ns_[number] >= 0) continue;
        latency_ns_[number] = (now - started_at_[number]).count();
        ++seen_;
      }
    }
    changed_.notify_all();
  }

  engine::result<percentiles> one_at_a_time() {
    const auto id = session("echo-demo-" + random_hex() + "-alone");
    follower_.follow(id, {});
    std::vector<std::int64_t> latencies;
    for (std::size_t i = 1; i <= alone_commands; ++i) {
      const auto start = steady::now();
      auto outcome = submitter_->submit({id, "ping", "{\"n\":" + std::to_string(i) + "}", {}});
      if (auto stored = check_stored(outcome); !stored) return tl::make_unexpected(stored.error());
      std::unique_lock lock{mutex_};
      if (!changed_.wait_until(lock, deadline_, [&] { return alone_seen_ >= i; }))
        return tl::make_unexpected(no_answer("command " + std::to_string(i) + " of " + id.str() + " has no update."));
      latencies.push_back((steady::now() - start).count());
    }
    return percentiles_of(std::move(latencies));
  }

  static engine::result<void> check_stored(const client::submitter::outcome& outcome) {
    if (!outcome) return tl::make_unexpected(outcome.error());
    if (outcome->kind == engine::submit_receipt::outcome::stored) return {};
    if (outcome->kind == engine::submit_receipt::outcome::busy)
      return engine::fail(engine::errc::busy, "the engine refused a command: too many are pending");
    return engine::fail(engine::errc::unavailable,
                        "no engine has ever served sessions of the kind 'echo': start `rowcall serve`");
  }

  engine::result<void> submit_all() {
    for (std::size_t number = 0; number < options_.commands; ++number) {
      {
        std::unique_lock lock{mutex_};
        while (!error_ && number - seen_ >= options_.in_flight) {
          if (changed_.wait_for(lock, milliseconds{100}) == std::cv_status::timeout && steady::now() > deadline_)
            return tl::make_unexpected(no_answer("the updates stopped coming after " +
                                                 format_count(static_cast<std::int64_t>(seen_)) + " commands."));
          show_progress(lock);
        }
        if (error_) return tl::make_unexpected(*error_);
        started_at_[number] = steady::now();
      }
      const auto index = number % sessions_count_;
      submitter_->submit_async(
          {sessions_[index], "ping", "{\"n\":" + std::to_string(number) + "}", {}},
          [this, index](const client::submitter::outcome& outcome) { acknowledge(index, outcome); });
    }
    return {};
  }

  void acknowledge(std::size_t index, const client::submitter::outcome& outcome) {
    const std::lock_guard lock{mutex_};
    if (auto stored = check_stored(outcome); stored) {
      ++acknowledged_[index];
      ++acknowledged_total_;
    } else if (!error_) {
      error_ = stored.error();
    }
    changed_.notify_all();
  }

  bool await_all() {
    std::unique_lock lock{mutex_};
    while (!error_ && (seen_ < options_.commands || acknowledged_total_ < options_.commands)) {
      changed_.wait_for(lock, milliseconds{100});
      if (steady::now() > deadline_) return false;
      show_progress(lock);
    }
    if (error_) print_error(*error_);
    return !error_;
  }

  void show_progress(std::unique_lock<std::mutex>& lock) {
    const auto every = show_live_ ? milliseconds{100} : milliseconds{1'000};
    if (steady::now() - shown_at_ < every) return;
    lock.unlock();
    progress(false);
    lock.lock();
  }

  void progress(bool is_last) {
    if (global_.json) return;
    shown_at_ = steady::now();
    std::size_t seen = 0;
    {
      const std::lock_guard lock{mutex_};
      seen = seen_;
    }
    const auto seconds = std::max(std::chrono::duration<double>(steady::now() - begin_).count(), 1e-3);
    std::printf("%s  %s of %s commands and their updates, %s/s%s", show_live_ ? "\r" : "",
                format_count(static_cast<std::int64_t>(seen)).c_str(),
                format_count(static_cast<std::int64_t>(options_.commands)).c_str(),
                format_count(static_cast<std::int64_t>(static_cast<double>(seen) / seconds)).c_str(),
                show_live_ && !is_last ? "   " : "   \n");
    std::fflush(stdout);
  }

  /// The same check on the logs as the database holds them.
  engine::result<stream_check::counts> read_back() {
    constexpr std::size_t sessions_at_once = 100;
    constexpr std::size_t page_updates = 1'000;
    stream_check check{sessions_count_};
    for (std::size_t begin = 0; begin < sessions_count_; begin += sessions_at_once) {
      std::vector<std::size_t> open;
      std::vector<engine::follow_position> positions;
      for (auto i = begin; i < std::min(begin + sessions_at_once, sessions_count_); ++i) {
        open.push_back(i);
        positions.push_back({sessions_[i], {}});
      }
      while (!positions.empty()) {
        auto pages = updates_->updates_after(positions, page_updates);
        if (!pages) return tl::make_unexpected(pages.error());
        std::vector<std::size_t> still_open;
        std::vector<engine::follow_position> next;
        for (std::size_t i = 0; i < pages->size(); ++i) {
          const auto& updates = (*pages)[i].updates;
          check.take(open[i], updates);
          if (updates.empty()) continue;
          still_open.push_back(open[i]);
          next.push_back({sessions_[open[i]], updates.back().seq});
        }
        open = std::move(still_open);
        positions = std::move(next);
      }
    }
    const std::lock_guard lock{mutex_};
    return check.result(acknowledged_);
  }

  exit_code report(double seconds, const percentiles& alone, const stream_check::counts& database) {
    const std::lock_guard lock{mutex_};
    const auto stream = check_.result(acknowledged_);
    std::erase(latency_ns_, -1);
    const auto loaded = percentiles_of(std::move(latency_ns_));
    const auto rate = static_cast<double>(stream.updates) / seconds;
    global_.json ? print_json(seconds, rate, alone, loaded, stream, database)
                 : print_text(seconds, rate, alone, loaded, stream, database);
    const bool complete = acknowledged_total_ == options_.commands;
    if (!complete) return exit_code::failed;
    return stream.is_clean() && database.is_clean() && stream.updates == database.updates ? exit_code::ok
                                                                                          : exit_code::faulty;
  }

  void print_text(double seconds, double rate, const percentiles& alone, const percentiles& loaded,
                  const stream_check::counts& stream, const stream_check::counts& database) const {
    const auto n = [](auto value) { return format_count(static_cast<std::int64_t>(value)); };
    std::printf("\nSummary\n");
    std::printf("  commands        %s acknowledged as durable, over %s sessions, in %.2f s\n",
                n(acknowledged_total_).c_str(), n(sessions_count_).c_str(), seconds);
    std::printf("  updates         %s received by followers, %s in the database\n", n(stream.updates).c_str(),
                n(database.updates).c_str());
    std::printf("  rate            %s commands/s, from submit to the follower's hands\n", n(rate).c_str());
    std::printf("  latency         p50 %.1f ms, p90 %.1f ms, p99 %.1f ms, max %.1f ms, with %s commands under way\n",
                loaded.p50_ms, loaded.p90_ms, loaded.p99_ms, loaded.max_ms,
                n(std::min(options_.in_flight, options_.commands)).c_str());
    std::printf("  one at a time   p50 %.2f ms, p90 %.2f ms, p99 %.2f ms, max %.2f ms\n", alone.p50_ms, alone.p90_ms,
                alone.p99_ms, alone.max_ms);
    const auto line = [&](const char* where, const stream_check::counts& c) {
      std::printf("  %-14s  lost %s, duplicated %s, reordered %s, gaps %s\n", where, n(c.lost).c_str(),
                  n(c.duplicated).c_str(), n(c.reordered).c_str(), n(c.gaps).c_str());
    };
    line("followers", stream);
    line("database", database);
  }

  void print_json(double seconds, double rate, const percentiles& alone, const percentiles& loaded,
                  const stream_check::counts& stream, const stream_check::counts& database) const {
    engine::json::writer w;
    const auto n = [](auto value) { return static_cast<std::int64_t>(value); };
    const auto latency = [&](const char* name, const percentiles& p) {
      w.key(name).begin_object().key("p50").number(p.p50_ms).key("p90").number(p.p90_ms);
      w.key("p99").number(p.p99_ms).key("max").number(p.max_ms).end_object();
    };
    const auto counted = [&](const char* name, const stream_check::counts& c) {
      w.key(name).begin_object().key("updates").number(n(c.updates)).key("lost").number(n(c.lost));
      w.key("duplicated")
          .number(n(c.duplicated))
          .key("reordered")
          .number(n(c.reordered))
          .key("gaps")
          .number(n(c.gaps))
          .end_object();
    };
    w.begin_object().key("commands").number(n(acknowledged_total_)).key("sessions").number(n(sessions_count_));
    w.key("seconds").number(seconds).key("commands_per_s").number(rate);
    latency("latency_ms", loaded);
    latency("latency_alone_ms", alone);
    counted("followers", stream);
    counted("database", database);
    w.end_object();
    std::printf("%s\n", w.str().c_str());
  }

  const global_options& global_;
  const demo_options& options_;
  std::size_t sessions_count_;
  std::vector<session_id> sessions_;
  std::unordered_map<session_id, std::size_t> indexes_;
  steady::time_point deadline_{}, begin_{}, shown_at_{};

  std::mutex mutex_;
  std::condition_variable changed_;
  stream_check check_;
  std::vector<std::uint32_t> acknowledged_;  ///< commands, by session
  std::size_t acknowledged_total_ = 0;
  std::vector<steady::time_point> started_at_;  ///< by command number
  std::vector<std::int64_t> latency_ns_;        ///< by command number; -1: not seen yet
  std::size_t seen_ = 0;
  std::size_t alone_seen_ = 0;
  std::optional<engine::error> error_;

  bool show_live_;
  std::unique_ptr<engine::update_store> updates_;
  std::unique_ptr<client::submitter> submitter_;
  client::follower follower_;
};

}  // namespace

exit_code run(const global_options& global, const demo_options& options) {
  if (auto checked = check_database(global.connection); !checked) return fail_with(checked.error());
  auto bus = open_bus(global.connection, "demo");
  if (!bus) return fail_with(bus.error());
  if (!wait_connected(**bus, global.connection.connect_timeout))
    return fail_with(
        {engine::errc::unavailable, "cannot reach NATS at " + without_password(global.connection.nats_url) +
                                        ".\nCheck --nats / ROWCALL_NATS_URL, or start one with `./run services`."});
  const auto deadline = steady::now() + options.timeout;
  const auto played = play{global, **bus}.run(deadline);
  if (played != exit_code::ok || options.no_load) return played;
  if (!global.json)
    std::printf("A burst of load: %s echo commands over %s sessions.\n\n",
                format_count(static_cast<std::int64_t>(options.commands)).c_str(),
                format_count(static_cast<std::int64_t>(std::min(options.sessions, options.commands))).c_str());
  return burst{global, options, **bus}.run(deadline);
}

}  // namespace rowcall::tools
