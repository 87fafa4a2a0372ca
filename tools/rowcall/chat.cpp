#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstdio>
#include <deque>
#include <mutex>
#include <random>
#include <set>
#include <thread>
#include <variant>

#include "bus/signal_channel.hpp"
#include "client/follower.hpp"
#include "client/submitter.hpp"
#include "tools/rowcall/actions.hpp"
#include "tools/rowcall/chat_model.hpp"
#include "tools/rowcall/chat_terminal.hpp"
#include "tools/rowcall/format.hpp"
#include "tools/rowcall/stop_signal.hpp"

/// The terminal chat: threads and servers around chat_model.
///
///   stdin ───────────────┐                      ┌─► chat_terminal
///   follower's thread ───┤                      │
///   submitter's thread ──┼─► mailbox ─► model ──┼─► submitter
///   loader's thread ─────┤     (main thread)    ├─► loader, follower
///   signals' thread ─────┘                      └─► signals
namespace rowcall::tools {
namespace {

using engine::session_id;
using steady = std::chrono::steady_clock;

struct loaded_event {
  session_id session;
  chat_image image;
};
struct updates_event {
  session_id session;
  std::vector<engine::update_row> updates;
};
struct jumped_event {
  session_id session;
  std::optional<engine::snapshot_row> snapshot;
};
struct submitted_event {
  engine::result<engine::submit_receipt> outcome;
};
/// A read that no waiting mends.
struct failed_event {
  engine::error error;
};
struct presence_event {
  session_id room;
  presence_signal signal;
};
using chat_event =
    std::variant<loaded_event, updates_event, jumped_event, submitted_event, failed_event, presence_event>;

/// From the other threads to the main one. Full, it makes the sender wait.
class mailbox {
 public:
  static constexpr std::size_t events_max = 10'000;

  mailbox() : fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
  ~mailbox() { ::close(fd_); }
  mailbox(const mailbox&) = delete;

  void put(chat_event event) {
    std::unique_lock lock{mutex_};
    room_.wait(lock, [this] { return closed_ || events_.size() < events_max; });
    if (!closed_) add(std::move(event));
  }
  /// What may be lost: waits for nobody, and leaves room for what counts.
  void offer(chat_event event) {
    const std::lock_guard lock{mutex_};
    if (!closed_ && events_.size() < events_max / 10) add(std::move(event));
  }
  std::deque<chat_event> take() {
    std::uint64_t count = 0;
    if (read(fd_, &count, sizeof count) < 0 && errno != EAGAIN) std::perror("rowcall: eventfd");
    const std::lock_guard lock{mutex_};
    auto events = std::exchange(events_, {});
    room_.notify_all();
    return events;
  }
  /// Nothing is taken any more: lets the senders go.
  void close() {
    const std::lock_guard lock{mutex_};
    closed_ = true;
    room_.notify_all();
  }
  int fd() const { return fd_; }

 private:
  /// Under the mutex.
  void add(chat_event event) {
    events_.push_back(std::move(event));
    const std::uint64_t one = 1;
    if (write(fd_, &one, sizeof one) < 0) std::perror("rowcall: eventfd");
  }

  std::mutex mutex_;
  std::condition_variable room_;
  std::deque<chat_event> events_;
  bool closed_ = false;
  int fd_;
};

bool is_permanent(const engine::error& error) {
  return !engine::is_transient(error.code) && error.code != engine::errc::gone;
}

engine::result<chat_image> read_image(engine::update_store& store, const session_id& session, std::size_t history) {
  constexpr std::size_t page_updates = 500;
  chat_image image;
  auto snapshot = store.snapshot(session);
  if (!snapshot) return tl::make_unexpected(snapshot.error());
  image.snapshot = std::move(*snapshot);
  if (image.snapshot) image.last = image.snapshot->seq;
  // Messages from before the snapshot. A room has other updates than messages: read a little more than asked for.
  if (image.snapshot && history > 0 && session.kind() == "chat") {
    const auto window = static_cast<std::int64_t>(history) * 2;
    engine::update_seq after{std::max<std::int64_t>(0, image.last.value - window)};
    while (after < image.last) {
      auto page = store.updates_after(session, after,
                                      std::min(page_updates, static_cast<std::size_t>(image.last.value - after.value)));
      if (!page) return tl::make_unexpected(page.error());
      if (page->gone || page->updates.empty()) break;  // removed by retention: there is no older history
      after = page->updates.back().seq;
      std::move(page->updates.begin(), page->updates.end(), std::back_inserter(image.earlier));
    }
  }
  while (true) {
    auto page = store.updates_after(session, image.last, page_updates);
    if (!page) return tl::make_unexpected(page.error());
    if (page->gone) return engine::fail(engine::errc::gone, "cleaned up while it was read");
    const bool is_end = page->updates.size() < page_updates;
    if (!page->updates.empty()) image.last = page->updates.back().seq;
    std::move(page->updates.begin(), page->updates.end(), std::back_inserter(image.updates));
    if (is_end) return image;
  }
}

/// Reads sessions from the database on a thread of its own, again and again until it works.
class loader {
 public:
  loader(std::unique_ptr<engine::update_store> store, std::size_t history, mailbox& to)
      : store_(std::move(store)), history_(history), to_(to), thread_([this] { run(); }) {}
  ~loader() {
    {
      const std::lock_guard lock{mutex_};
      stopping_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  loader(const loader&) = delete;

  /// At most one entry a session: a user has a bounded number of rooms.
  void load(const session_id& session) {
    const std::lock_guard lock{mutex_};
    if (std::find(queue_.begin(), queue_.end(), session) == queue_.end()) queue_.push_back(session);
    changed_.notify_all();
  }
  bool is_failing() const { return failing_; }

 private:
  void run() {
    constexpr milliseconds wait_min{100}, wait_max{1'000};
    milliseconds wait = wait_min;
    std::unique_lock lock{mutex_};
    while (true) {
      changed_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      if (stopping_) return;
      const auto session = queue_.front();
      lock.unlock();
      auto image = read_image(*store_, session, history_);
      failing_ = !image;
      if (image)
        to_.put(loaded_event{session, std::move(*image)});
      else if (is_permanent(image.error()))
        to_.put(failed_event{image.error()});
      lock.lock();
      if (image) {
        queue_.pop_front();
        wait = wait_min;
      } else {
        changed_.wait_for(lock, wait, [this] { return stopping_; });
        wait = std::min(wait * 2, wait_max);
      }
    }
  }

  std::unique_ptr<engine::update_store> store_;
  std::size_t history_;
  mailbox& to_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<session_id> queue_;
  bool stopping_ = false;
  std::atomic<bool> failing_{false};
  std::thread thread_;  // last: starts when the rest is there
};

/// The rooms whose signals matter here: everybody's are heard. Thread-safe.
class heard_rooms {
 public:
  void add(const session_id& room) {
    const std::lock_guard lock{mutex_};
    rooms_.insert(room);
  }
  void remove(const session_id& room) {
    const std::lock_guard lock{mutex_};
    rooms_.erase(room);
  }
  bool has(const session_id& room) const {
    const std::lock_guard lock{mutex_};
    return rooms_.contains(room);
  }

 private:
  mutable std::mutex mutex_;
  std::set<session_id> rooms_;
};

std::string random_key_prefix() {
  std::random_device random;
  char text[32];
  std::snprintf(text, sizeof text, "chat-%08x%08x", random(), random());
  return text;
}

/// The main thread's part: everything goes through here one after the other.
class chat_loop {
 public:
  chat_loop(const global_options& global, const chat_options& options, session_id user, engine::bus& bus,
            stop_signal& stop)
      : terminal_(!options.no_colour),
        name_(random_key_prefix()),
        model_({user, options.room, options.history, name_, terminal_.is_interactive()}),
        user_(std::move(user)),
        bus_(bus),
        stop_(stop),
        loader_(make_store(global), options.history, mailbox_),
        follower_(make_store(global), bus, handler()),
        submitter_(make_command_stores(global), bus, submit_config(global)) {
    auto signals = open_signals(global.connection, "chat", [this](const session_id& room, std::string_view payload) {
      if (!heard_.has(room)) return;
      if (auto signal = read_presence(room, payload)) mailbox_.offer(presence_event{room, *std::move(signal)});
    });
    if (signals) signals_ = *std::move(signals);  // without them nobody is known to be here
  }

  ~chat_loop() { mailbox_.close(); }  // before the threads are joined

  exit_code run() {
    perform();
    while (!is_over()) {
      pollfd fds[] = {
          {stop_.fd(), POLLIN, 0}, {mailbox_.fd(), POLLIN, 0}, {wants_input() ? STDIN_FILENO : -1, POLLIN, 0}};
      if (poll(fds, 3, static_cast<int>(tick.count())) < 0 && errno != EINTR) break;
      if (fds[0].revents != 0 && stop_.is_stopped()) break;
      if (fds[2].revents != 0) read_input();
      for (auto& event : mailbox_.take()) std::visit([this](auto& e) { handle(e); }, event);
      if (model_.wants_retry() && steady::now() >= retry_at_) model_.retry();
      model_.tick(steady::now());
      perform();
    }
    return end();
  }

 private:
  static constexpr milliseconds tick{250};
  static constexpr milliseconds retry_wait{500};
  static constexpr milliseconds engine_patience{2'000};
  static constexpr milliseconds drain_timeout{30'000};
  static constexpr std::size_t backlog_max = 1'000;

  static std::unique_ptr<engine::update_store> make_store(const global_options& global) {
    return storage::postgres::make_update_store(store_config_of(global.connection, "chat"));
  }
  static std::vector<std::unique_ptr<engine::command_store>> make_command_stores(const global_options& global) {
    std::vector<std::unique_ptr<engine::command_store>> stores;
    stores.push_back(storage::postgres::make_command_store(store_config_of(global.connection, "chat")));
    return stores;
  }
  static client::submitter_config submit_config(const global_options& global) {
    client::submitter_config config;
    config.data_bytes_max = global.data_bytes_max;
    config.retry_for = milliseconds{1'000};  // the model goes on trying, with the same key
    return config;
  }
  client::follow_handler handler() {
    client::follow_handler h;
    h.on_updates = [this](const session_id& id, std::span<const engine::update_row> updates) {
      mailbox_.put(updates_event{id, {updates.begin(), updates.end()}});
    };
    h.on_gone = [this](const session_id& id, const std::optional<engine::snapshot_row>& snapshot) {
      mailbox_.put(jumped_event{id, snapshot});
    };
    h.on_live = [this](bool live) { is_cut_off_ = !live; };
    h.on_error = [this](const engine::error& error) {
      if (is_permanent(error)) mailbox_.put(failed_event{error});
    };
    return h;
  }

  void handle(loaded_event& e) {
    heard_.add(e.session);
    model_.loaded(e.session, e.image);
    follower_.follow(e.session, e.image.last);
  }
  void handle(updates_event& e) { model_.updated(e.session, e.updates); }
  void handle(jumped_event& e) { model_.jumped(e.session, e.snapshot); }
  void handle(failed_event& e) {
    if (!failure_) failure_ = std::move(e.error);
  }
  void handle(presence_event& e) { model_.heard(e.room, e.signal); }
  void handle(submitted_event& e) {
    model_.submitted(e.outcome);
    if (model_.wants_retry()) retry_at_ = steady::now() + retry_wait;
  }

  bool wants_input() const { return !input_ended_ && model_.backlog() < backlog_max; }

  void read_input() {
    char bytes[4096];
    const auto count = read(STDIN_FILENO, bytes, sizeof bytes);
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) return;
    if (count <= 0) {
      input_ended_ = true;
      if (!input_.empty()) model_.typed(std::exchange(input_, {}));
      return leave();
    }
    const std::string_view text{bytes, static_cast<std::size_t>(count)};
    terminal_.is_interactive() ? read_keys(text) : read_lines(text);
  }

  void read_keys(std::string_view text) {
    for (auto& event : terminal_.editor.feed(text)) {
      using kind = chat_line_editor::event::kind;
      if (event.what == kind::line)
        model_.typed(event.text);
      else if (event.what == kind::clear)
        terminal_.clear_screen();
      else if (event.what == kind::end || event.text.empty())
        is_leaving_ ? void(leave_now_ = true) : leave();
    }
  }

  void read_lines(std::string_view text) {
    input_ += text;
    std::size_t begin = 0;
    for (auto end = input_.find('\n'); end != std::string::npos; end = input_.find('\n', begin)) {
      model_.typed(std::string_view{input_}.substr(begin, end - begin));
      begin = end + 1;
    }
    input_.erase(0, begin);
    constexpr std::size_t line_bytes_max = 1024 * 1024;
    if (input_.size() > line_bytes_max) input_.resize(line_bytes_max);  // refused for its length when it ends
  }

  void leave() {
    if (is_leaving_) return;
    is_leaving_ = true;
    leave_by_ = steady::now() + drain_timeout;
  }

  bool is_over() const {
    if (failure_) return true;
    if (!is_leaving_) return false;
    if (leave_now_ || steady::now() >= leave_by_) return true;
    return terminal_.is_interactive() ? model_.pending().empty() : !model_.is_busy();
  }

  /// Does what the model asks for and shows what there is to see.
  void perform() {
    auto effects = model_.take();
    for (const auto& session : effects.load) loader_.load(session);
    for (const auto& session : effects.unfollow) {
      heard_.remove(session);
      follower_.unfollow(session);
    }
    tell(effects.presences);
    if (effects.submit)
      submitter_.submit_async(std::move(*effects.submit),
                              [this](auto outcome) { mailbox_.put(submitted_event{std::move(outcome)}); });
    if (effects.quit) leave();
    const auto status = status_now();
    if (status.empty() && !shown_status_.empty() && !is_leaving_)
      effects.lines.push_back({chat_line::kind::notice, {}, {}, {}, "back"});
    else if (!terminal_.is_interactive() && status != shown_status_ && !status.empty())
      effects.lines.push_back({chat_line::kind::notice, {}, {}, {}, status});
    shown_status_ = status;
    terminal_.show(effects.lines, {status, model_.pending(), prompt()});
  }

  void tell(const std::vector<chat_model::told_presence>& presences) {
    if (!signals_) return;
    for (const auto& p : presences) signals_->publish(p.room, presence_payload(name_, p.room, user_.name(), p.what));
  }

  std::string status_now() {
    const auto now = steady::now();
    if (!model_.awaits_engine()) engine_heard_at_ = now;
    if (is_cut_off_ || loader_.is_failing() || !bus_.is_connected() || model_.wants_retry()) {
      // A first connection takes a moment: not worth a word.
      if (!trouble_since_) trouble_since_ = now;
      if (now - *trouble_since_ < milliseconds{300}) return shown_status_;
      return "reconnecting …" + how_to_leave("; ");
    }
    trouble_since_.reset();
    if (now - engine_heard_at_ < engine_patience) return how_to_leave("sending what is left; ");
    if (model_.unsent() == 0)
      return is_leaving_ ? "waiting for an engine: what you sent is stored" + how_to_leave("; ")
                         : "waiting for an engine: what you sent is stored and will be delivered";
    return "not sent yet: waiting for an engine" +
           (model_.entering().empty() ? "" : " to enter #" + model_.entering()) + how_to_leave("; ");
  }

  /// For who has pressed Ctrl-D and wonders why it goes on; `before` stands in front.
  std::string how_to_leave(const std::string& before) const {
    if (!is_leaving_ || !terminal_.is_interactive()) return {};
    return before + "Ctrl-C leaves at once";
  }

  std::string prompt() const {
    std::string text;
    for (const auto& [name, count] : model_.unread()) text += "[" + name + ": " + std::to_string(count) + "] ";
    if (const auto room = model_.room(); !room.empty()) text += "#" + room + " ";
    return text + std::string{user_.name()} + "> ";
  }

  exit_code end() {
    terminal_.finish();
    model_.bye();
    tell(model_.take().presences);
    const auto left = model_.pending();
    if (left.empty()) return failure_ ? fail_with(*failure_) : exit_code::ok;
    const auto unsent = model_.unsent();
    for (std::size_t i = 0; i < left.size(); ++i)
      std::fprintf(stderr, "rowcall: %s: %s\n", i + unsent < left.size() ? "not confirmed" : "not sent",
                   sanitised(left[i]).c_str());
    return failure_ ? fail_with(*failure_) : exit_code::timed_out;
  }

  mailbox mailbox_;
  chat_terminal terminal_;
  const std::string name_;  ///< unique to this run
  chat_model model_;
  session_id user_;
  engine::bus& bus_;
  stop_signal& stop_;
  std::string input_;  ///< of a pipe, after the last line feed
  bool input_ended_ = false;
  bool is_leaving_ = false;
  bool leave_now_ = false;
  steady::time_point leave_by_{};
  steady::time_point retry_at_{};
  steady::time_point engine_heard_at_ = steady::now();
  std::optional<steady::time_point> trouble_since_;
  std::string shown_status_;
  std::optional<engine::error> failure_;
  std::atomic<bool> is_cut_off_{false};
  loader loader_;
  client::follower follower_;
  client::submitter submitter_;
  heard_rooms heard_;
  std::unique_ptr<bus::signal_channel> signals_;  // last: what it hears goes to the others
};

}  // namespace

exit_code run(const global_options& global, const chat_options& options) {
  constexpr std::size_t user_name_bytes_max = 32;  // as the browser's login
  auto user = session_id::parse("user-" + options.user);
  if (!user || options.user.size() > user_name_bytes_max)
    return fail_with({engine::errc::invalid_argument,
                      "'" + sanitised(options.user) + "' is no user name: write 1 to 32 of A-Z a-z 0-9 _ -"});
  if (auto checked = check_database(global.connection); !checked) return fail_with(checked.error());
  stop_signal stop;
  auto bus = open_bus(global.connection, "chat");
  if (!bus) return fail_with(bus.error());
  chat_loop loop{global, options, std::move(*user), **bus, stop};
  return loop.run();
}

}  // namespace rowcall::tools
