#include "client/receipts.hpp"

#include <algorithm>
#include <condition_variable>
#include <mutex>

namespace rowcall::client {

using engine::errc;
using std::chrono::milliseconds;
using steady = std::chrono::steady_clock;

engine::result<engine::receipt> wait_receipt(engine::update_store& store, engine::bus& bus, const engine::session_id& session,
                                             engine::command_seq command, milliseconds timeout, milliseconds poll_interval) {
  constexpr milliseconds flush_timeout_max{500};
  const auto deadline = steady::now() + timeout;
  std::mutex mutex;
  std::condition_variable noticed;
  bool is_noticed = false;
  engine::receipt sent_along;

  const auto subscription = bus.on_updates(session, [&](const engine::update_notice& notice) {
    // All updates of a command are committed together, so a notice that has one of them has all.
    std::vector<engine::update_row> rows;
    for (const auto& row : notice.updates)
      if (row.command == command) rows.push_back(row);
    if (rows.empty() && !notice.updates.empty()) return;
    const std::lock_guard lock{mutex};
    if (sent_along.updates.empty()) sent_along.updates = std::move(rows);
    is_noticed = true;
    noticed.notify_one();
  });
  // From here on no notice is missed; without a bus, polling finds the receipt.
  static_cast<void>(bus.flush(std::min(timeout, flush_timeout_max)));

  for (bool is_last = false, is_again = false;; is_again = true) {
    auto read = store.receipt_of(session, command);
    if (read && !read->updates.empty()) return read;
    if (read && is_again) {
      // A session's commands are processed in order, so what has passed it and has no updates had some once.
      const auto last = store.last(session);
      if (last && last->command >= command) {
        read = store.receipt_of(session, command);  // decided between the two reads?
        if (!read || !read->updates.empty()) return read;
        return engine::fail(errc::gone, "command " + std::to_string(command.value) + " of " + session.str() +
                                            " was processed; retention has removed its updates since");
      }
    }
    if (!read && (is_last || !engine::is_transient(read.error().code))) return read;
    if (is_last)
      return engine::fail(errc::timed_out, "no receipt of command " + std::to_string(command.value) + " of " + session.str() +
                                               " within " + std::to_string(timeout.count()) +
                                               " ms; it is stored and will be processed");
    std::unique_lock lock{mutex};
    noticed.wait_until(lock, std::min(deadline, steady::now() + poll_interval), [&] { return is_noticed; });
    if (!sent_along.updates.empty()) return sent_along;
    is_noticed = false;
    is_last = steady::now() >= deadline;
  }
}

}  // namespace rowcall::client
