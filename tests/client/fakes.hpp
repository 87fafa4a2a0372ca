#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <vector>

#include "bus/local_bus.hpp"
#include "engine/ports.hpp"

namespace rowcall::client {

inline engine::session_id id(std::string_view text) { return *engine::session_id::parse(text); }

/// A local bus with a connection that tests cut and restore, and a memory of the wakes.
class fake_bus final : public engine::bus {
 public:
  void publish(std::span<const engine::wake> wakes) override {
    const std::lock_guard lock{mutex_};
    wakes_.insert(wakes_.end(), wakes.begin(), wakes.end());
  }
  void publish(std::span<const engine::update_notice> notices) override { local_->publish(notices); }
  void publish(const engine::update_notice& notice) { local_->publish(std::span{&notice, 1}); }
  std::unique_ptr<engine::subscription> on_wakes(std::function<void(engine::wake)> handler) override {
    return local_->on_wakes(std::move(handler));
  }
  std::unique_ptr<engine::subscription> on_updates(const engine::session_id& session,
                                                   std::function<void(const engine::update_notice&)> handler) override {
    ++subscriptions;
    return local_->on_updates(session, std::move(handler));
  }
  std::unique_ptr<engine::subscription> on_connected(std::function<void()> handler) override {
    const std::lock_guard lock{mutex_};
    handlers_.push_back(std::make_shared<std::function<void()>>(std::move(handler)));
    struct ending final : engine::subscription {
      ending(fake_bus& b, std::shared_ptr<std::function<void()>> h) : bus(b), handler(std::move(h)) {}
      ~ending() override {
        const std::lock_guard lock{bus.mutex_};
        std::erase(bus.handlers_, handler);
      }
      fake_bus& bus;
      std::shared_ptr<std::function<void()>> handler;
    };
    return std::make_unique<ending>(*this, handlers_.back());
  }
  engine::result<void> flush(std::chrono::milliseconds) override {
    if (!is_up) return engine::fail(engine::errc::unavailable, "cut");
    subscriptions_flushed = subscriptions.load();
    return {};
  }
  bool is_connected() const override { return is_up; }

  void connect() {
    is_up = true;
    const std::lock_guard lock{mutex_};
    for (const auto& handler : handlers_) (*handler)();
  }
  std::vector<engine::wake> wakes() const {
    const std::lock_guard lock{mutex_};
    return wakes_;
  }

  std::atomic<bool> is_up{true};
  std::atomic<int> subscriptions{0};
  std::atomic<int> subscriptions_flushed{0};  ///< of them, those that the server has seen

 private:
  std::unique_ptr<engine::bus> local_ = rowcall::bus::make_local_bus();
  mutable std::mutex mutex_;
  std::vector<engine::wake> wakes_;
  std::vector<std::shared_ptr<std::function<void()>>> handlers_;
};

/// Update logs that a test writes, and how reading them behaves.
class fake_log {
 public:
  /// Appends the next update and returns its notice (with the update when `is_inline`).
  engine::update_notice append(const engine::session_id& session, bool is_inline = true) {
    const std::lock_guard lock{mutex_};
    auto& log = logs_[session];
    const engine::update_seq seq{log.first + static_cast<std::int64_t>(log.rows.size())};
    log.rows.push_back({seq, {seq.value}, "echoed", "{\"n\":" + std::to_string(seq.value) + "}", {}});
    engine::update_notice notice{session, seq, seq, {}};
    if (is_inline) notice.updates.push_back(log.rows.back());
    return notice;
  }
  /// Retention: removes all below `seq`; with a snapshot at `seq` - 1 when the module has state.
  void remove_below(const engine::session_id& session, std::int64_t seq, bool with_snapshot = true) {
    const std::lock_guard lock{mutex_};
    auto& log = logs_[session];
    while (log.first < seq) log.rows.pop_front(), ++log.first;
    if (with_snapshot) log.snapshot = engine::snapshot_row{{seq - 1}, {seq - 1}, "{\"at\":" + std::to_string(seq - 1) + "}"};
  }

  /// An older state of the database is back: what follows `last` is gone. The same incarnation: nobody has said so.
  void restore(const engine::session_id& session, std::int64_t last, std::string incarnation) {
    const std::lock_guard lock{mutex_};
    auto& log = logs_[session];
    while (!log.rows.empty() && log.rows.back().seq.value > last) log.rows.pop_back();
    incarnation_ = std::move(incarnation);
  }

  std::unique_ptr<engine::update_store> store();

  std::atomic<bool> is_failing{false};
  std::atomic<int> reads{0}, bulk_reads{0}, positions_max{0};
  /// Called before updates are read. To be set before anybody reads.
  std::function<void()> on_read;

 private:
  struct log {
    std::int64_t first = 1;
    std::deque<engine::update_row> rows;
    std::optional<engine::snapshot_row> snapshot;
  };
  class reader;

  engine::update_page page(const engine::session_id& session, engine::update_seq after, std::size_t limit) {
    const auto it = logs_.find(session);
    if (it == logs_.end()) return {};
    const auto& log = it->second;
    if (after.value + 1 < log.first) return {.updates = {}, .gone = true};
    if (log.first + static_cast<std::int64_t>(log.rows.size()) - 1 < after.value) return {.is_ahead = true};
    engine::update_page p;
    for (auto i = static_cast<std::size_t>(after.value + 1 - log.first); i < log.rows.size() && p.updates.size() < limit; ++i)
      p.updates.push_back(log.rows[i]);
    return p;
  }

  std::mutex mutex_;
  std::map<engine::session_id, log> logs_;
  std::string incarnation_ = "first";
};

class fake_log::reader final : public engine::update_store {
 public:
  explicit reader(fake_log& log) : log_(log) {}
  engine::result<engine::update_page> updates_after(const engine::session_id& session, engine::update_seq after,
                                                    std::size_t limit) override {
    ++log_.reads;
    if (log_.on_read) log_.on_read();
    if (log_.is_failing) return engine::fail(engine::errc::connection_lost, "away");
    const std::lock_guard lock{log_.mutex_};
    return log_.page(session, after, limit);
  }
  engine::result<std::vector<engine::update_page>> updates_after(std::span<const engine::follow_position> positions,
                                                                 std::size_t limit) override {
    ++log_.bulk_reads;
    if (log_.on_read) log_.on_read();
    log_.positions_max = std::max(log_.positions_max.load(), static_cast<int>(positions.size()));
    if (log_.is_failing) return engine::fail(engine::errc::connection_lost, "away");
    const std::lock_guard lock{log_.mutex_};
    std::vector<engine::update_page> pages;
    for (const auto& p : positions) pages.push_back(log_.page(p.session, p.after, limit));
    return pages;
  }
  engine::result<std::optional<engine::snapshot_row>> snapshot(const engine::session_id& session) override {
    if (log_.is_failing) return engine::fail(engine::errc::connection_lost, "away");
    const std::lock_guard lock{log_.mutex_};
    return log_.logs_[session].snapshot;
  }
  engine::result<engine::session_cursor> last(const engine::session_id& session) override {
    if (log_.is_failing) return engine::fail(engine::errc::connection_lost, "away");
    const std::lock_guard lock{log_.mutex_};
    const auto& log = log_.logs_[session];
    if (log.rows.empty()) return engine::session_cursor{};
    return engine::session_cursor{log.rows.back().seq, log.rows.back().command};
  }
  engine::result<engine::receipt> receipt_of(const engine::session_id& session, engine::command_seq command) override {
    ++log_.reads;
    if (log_.is_failing) return engine::fail(engine::errc::connection_lost, "away");
    const std::lock_guard lock{log_.mutex_};
    engine::receipt r;
    for (const auto& row : log_.logs_[session].rows)
      if (row.command == command) r.updates.push_back(row);
    return r;
  }
  engine::result<std::string> incarnation() override {
    if (log_.is_failing) return engine::fail(engine::errc::connection_lost, "away");
    const std::lock_guard lock{log_.mutex_};
    return log_.incarnation_;
  }

 private:
  fake_log& log_;
};

inline std::unique_ptr<engine::update_store> fake_log::store() { return std::make_unique<reader>(*this); }

/// The command logs behind any number of command stores, and what their submits answer.
class fake_commands {
 public:
  struct transaction {
    std::vector<engine::command_request> commands;
  };

  std::unique_ptr<engine::command_store> store();

  /// The next submits: fail with this code, before or (commit_in_doubt) after the commands were stored.
  void fail_next(engine::errc code, bool is_stored = false) {
    const std::lock_guard lock{mutex_};
    failures_.emplace_back(code, is_stored);
  }
  /// The next submit refuses all its commands: too much is pending.
  void refuse_next() {
    const std::lock_guard lock{mutex_};
    is_refusing_ = true;
  }
  /// Submits wait in the store until open() is called.
  void close() {
    const std::lock_guard lock{mutex_};
    is_closed_ = true;
  }
  void open() {
    const std::lock_guard lock{mutex_};
    is_closed_ = false;
    changed_.notify_all();
  }
  void wait_for_submits(int count) {
    std::unique_lock lock{mutex_};
    changed_.wait(lock, [&] { return submits_ >= count; });
  }
  std::vector<transaction> transactions() const {
    const std::lock_guard lock{mutex_};
    return transactions_;
  }
  /// The data of a session's stored commands, in the order of seq.
  std::vector<std::string> log(std::string_view session) const {
    const std::lock_guard lock{mutex_};
    std::vector<std::string> data;
    for (const auto& t : transactions_)
      for (const auto& c : t.commands)
        if (c.session.str() == session) data.push_back(c.data);
    return data;
  }

  /// A command with this data makes the whole batch fail with `internal`.
  std::string poison;
  /// Called when a batch is stored, before submit returns.
  std::function<void()> on_stored;
  /// A submit of one command tells that it is visible before it returns.
  bool tells_before_the_disk = false;

 private:
  class writer;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool is_closed_ = false, is_refusing_ = false;
  int submits_ = 0;
  std::deque<std::pair<engine::errc, bool>> failures_;
  std::vector<transaction> transactions_;
  std::map<engine::session_id, std::int64_t> last_;
  std::map<std::pair<engine::session_id, std::string>, std::int64_t> keys_;
};

class fake_commands::writer final : public engine::command_store {
 public:
  explicit writer(fake_commands& commands) : c_(commands) {}
  engine::result<std::vector<engine::submit_receipt>> submit(std::span<const engine::command_request> batch,
                                                              const visible_function& visible) override {
    using engine::submit_receipt;
    std::unique_lock lock{c_.mutex_};
    ++c_.submits_;
    c_.changed_.notify_all();
    c_.changed_.wait(lock, [&] { return !c_.is_closed_; });
    if (std::exchange(c_.is_refusing_, false))
      return std::vector<submit_receipt>(batch.size(), submit_receipt{submit_receipt::outcome::busy, {}});
    std::optional<engine::errc> code;
    if (!c_.failures_.empty()) {
      const auto [failure, is_stored] = c_.failures_.front();
      c_.failures_.pop_front();
      if (!is_stored) return engine::fail(failure, "as told");
      code = failure;
    }
    for (const auto& command : batch)
      if (!c_.poison.empty() && command.data == c_.poison) return engine::fail(engine::errc::internal, "poison");
    std::vector<submit_receipt> receipts;
    transaction t;
    for (const auto& command : batch) {
      if (command.idempotency_key) {
        const auto [it, is_new] = c_.keys_.try_emplace({command.session, *command.idempotency_key}, c_.last_[command.session] + 1);
        if (!is_new) {
          receipts.push_back({submit_receipt::outcome::duplicate, {it->second}});
          continue;
        }
      }
      receipts.push_back({submit_receipt::outcome::stored, {++c_.last_[command.session]}});
      t.commands.push_back(command);
    }
    c_.transactions_.push_back(std::move(t));
    if (c_.on_stored) c_.on_stored();
    if (c_.tells_before_the_disk && visible && batch.size() == 1) visible(receipts);
    if (code) return engine::fail(*code, "as told");
    return receipts;
  }

 private:
  fake_commands& c_;
};

inline std::unique_ptr<engine::command_store> fake_commands::store() { return std::make_unique<writer>(*this); }

}  // namespace rowcall::client
