#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <cstdio>

#include "tools/rowcall/actions.hpp"
#include "tools/rowcall/format.hpp"
#include "tools/rowcall/stop_signal.hpp"
#include "tools/rowcall/top_screen.hpp"

namespace rowcall::tools {
namespace {

/// Another screen without a cursor, and single keys from stdin, while it lives.
class full_screen {
 public:
  full_screen() {
    has_keys_ = isatty(STDIN_FILENO) == 1 && tcgetattr(STDIN_FILENO, &before_) == 0;
    if (has_keys_) {
      auto raw = before_;
      raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
      tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    }
    write("\x1b[?1049h\x1b[?25l");
  }
  ~full_screen() {
    write("\x1b[?25h\x1b[?1049l");
    if (has_keys_) tcsetattr(STDIN_FILENO, TCSANOW, &before_);
  }
  full_screen(const full_screen&) = delete;

  bool has_keys() const { return has_keys_; }
  /// Draws over what is there, so that nothing flickers. False when the terminal is gone.
  bool draw(const std::string& screen) { return write("\x1b[H" + screen + "\x1b[J"); }
  static screen_size size() {
    winsize w{};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) != 0 || w.ws_row == 0 || w.ws_col == 0) return {};
    return {w.ws_row, w.ws_col};
  }

 private:
  static bool write(const std::string& text) {
    return std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
  }
  termios before_{};
  bool has_keys_ = false;
};

/// Waits for the interval; true when a key or a signal says that it is enough.
bool is_quit_within(const full_screen& screen, stop_signal& stop, milliseconds interval) {
  const auto end = std::chrono::steady_clock::now() + interval;
  for (bool has_input = screen.has_keys();;) {
    const auto left = std::chrono::duration_cast<milliseconds>(end - std::chrono::steady_clock::now());
    if (left.count() <= 0) return stop.is_stopped();
    pollfd waits[] = {{stop.fd(), POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
    if (poll(waits, has_input ? 2 : 1, static_cast<int>(left.count()) + 1) <= 0) continue;
    if (waits[0].revents != 0) return stop.is_stopped();
    if (!has_input || waits[1].revents == 0) continue;
    char key = 0;
    if (read(STDIN_FILENO, &key, 1) != 1) has_input = false;
    if (key == 'q' || key == 'Q' || key == '\x03') return true;
    if (key == ' ') return false;  // now
  }
}

class observer {
 public:
  observer(const global_options& global, std::size_t sessions)
      : store_(storage::postgres::make_admin_store(bounded(global))),
        ranking_(storage::postgres::make_session_ranking(bounded(global))),
        sessions_(sessions) {}

  /// Keeps the last figures, with the reason, when there are no new ones.
  engine::result<void> look(top_view& view) {
    auto status = store_->status();
    if (!status) {
      view.error = status.error().message;
      return tl::make_unexpected(status.error());
    }
    const auto now = std::chrono::steady_clock::now();
    const double seconds = std::chrono::duration<double>(now - looked_at_).count();
    if (looked_at_.time_since_epoch().count() != 0 && seconds > 0)
      view.pending_change_per_s =
          static_cast<double>(status->pending_commands - view.status.pending_commands) / seconds;
    looked_at_ = now;
    view.status = *std::move(status);
    view.error.clear();
    view.busiest.clear();
    if (sessions_ == 0) return {};
    auto busiest = ranking_->busiest(sessions_);
    if (busiest)
      view.busiest = *std::move(busiest);
    else
      view.error = busiest.error().message;
    return {};
  }

 private:
  static storage::postgres::store_config bounded(const global_options& global) {
    auto c = store_config_of(global.connection, "top");
    c.statement_timeout = milliseconds{5'000};
    return c;
  }
  std::unique_ptr<engine::admin_store> store_;
  std::unique_ptr<storage::postgres::session_ranking> ranking_;
  std::size_t sessions_;
  std::chrono::steady_clock::time_point looked_at_{};
};

std::string clock_now() {
  return format_clock(std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now()));
}

}  // namespace

exit_code run(const global_options& global, const top_options& options) {
  if (auto checked = check_database(global.connection); !checked) return fail_with(checked.error());
  observer looks{global, options.sessions};
  top_view view;
  if (options.once || global.json || isatty(STDOUT_FILENO) != 1) {
    if (auto looked = looks.look(view); !looked) return fail_with(looked.error());
    view.clock = clock_now();
    std::printf("%s\n", (global.json ? top_json(view) : top_text(view)).c_str());
    return exit_code::ok;
  }
  stop_signal stop;
  full_screen screen;
  do {
    (void)looks.look(view);  // the store reconnects by itself, and the view says that it is old
    view.clock = clock_now();
    if (!screen.draw(top_screen(view, full_screen::size()))) break;
  } while (!is_quit_within(screen, stop, options.interval));
  return exit_code::ok;
}

}  // namespace rowcall::tools
