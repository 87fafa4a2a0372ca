#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace rowcall::support {

/// A child process that can not outlive the test: killed and reaped by the destructor, and by the kernel when the test
/// itself is killed. Start it on a thread that lives as long as the child may (PR_SET_PDEATHSIG follows the thread).
/// Signals go to the child's own pid and nowhere else.
class process {
 public:
  struct options {
    std::string output;                    ///< file that stdout and stderr are appended to; empty: /dev/null
    std::vector<std::string> environment;  ///< KEY=VALUE, added to the test's own
    int signal_on_parent_death = 9;
    /// When the test runs as root: become this user first (as `setpriv` does). Ignored for an ordinary user.
    std::string user_if_root;
  };

  process() = default;
  /// Starts argv[0] (looked up in PATH). Throws std::runtime_error when the fork fails; a failed exec is exit code 127.
  process(std::vector<std::string> argv, options how);
  explicit process(std::vector<std::string> argv) : process(std::move(argv), options{}) {}
  process(process&& other) noexcept;
  process& operator=(process&& other) noexcept;
  process(const process&) = delete;
  process& operator=(const process&) = delete;
  ~process();

  [[nodiscard]] pid_t pid() const { return pid_; }
  /// True while the child has not ended; reaps it when it has.
  [[nodiscard]] bool running();
  void signal(int number);
  /// Waits for the end: the exit code, or 128 + the signal that ended it. Empty when it did not end in time.
  [[nodiscard]] std::optional<int> wait(std::chrono::milliseconds deadline);
  /// SIGKILL and wait. Nothing to do when it has ended.
  void kill9();

 private:
  pid_t pid_ = -1;
  std::optional<int> status_;
};

/// Runs a command to its end, its output appended to `output`. Throws std::runtime_error with the end of the output
/// unless it exits with 0 in time.
void run_to_end(std::vector<std::string> argv, process::options how,
                std::chrono::milliseconds deadline = std::chrono::seconds{60});

/// A TCP port of 127.0.0.1 that nobody listens on, from below the ephemeral range, so that it stays free over a restart.
int free_port();

/// A new directory below /tmp, short enough for a unix socket's path, 0755. Removed when the process ends.
std::string make_directory();

/// The last lines of a file, for messages.
std::string tail_of(const std::string& path, std::size_t bytes = 2000);

}  // namespace rowcall::support
