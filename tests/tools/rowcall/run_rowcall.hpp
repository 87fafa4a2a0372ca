#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "tests/support/process.hpp"

/// The built `rowcall` as a process.
namespace rowcall::test {

struct run_result {
  int exit_code = -1;
  std::string out, err;
  std::vector<std::string> lines() const;  ///< of out
};

/// Runs `rowcall <arguments>` to its end. `environment`: KEY=VALUE, on top of the test's own without any ROWCALL_….
/// Throws std::runtime_error when it does not end in time.
run_result run_rowcall(std::vector<std::string> arguments, std::vector<std::string> environment = {},
                       const std::string& input = "");

/// The same with stdout somewhere else: `out` is a descriptor, and stays open.
run_result run_rowcall_into(int out, std::vector<std::string> arguments, std::vector<std::string> environment = {});

/// A `rowcall` that runs along: stdin is a pipe, stdout and stderr are collected.
class running_rowcall {
 public:
  running_rowcall(std::vector<std::string> arguments, std::vector<std::string> environment = {});
  ~running_rowcall();
  running_rowcall(const running_rowcall&) = delete;

  void write(const std::string& text);
  void close_input();
  void signal(int number);
  /// Waits until the output (stdout and stderr together) contains `text`, from where the last wait ended.
  bool wait_for(const std::string& text, std::chrono::milliseconds deadline = std::chrono::seconds{20});
  /// The exit code, or -1 when it does not end in time.
  int wait(std::chrono::milliseconds deadline = std::chrono::seconds{20});
  const std::string& output() const { return output_; }

 private:
  bool read_some(std::chrono::milliseconds timeout);

  int pid_ = -1;
  int to_ = -1, from_ = -1;
  std::string output_;
  std::size_t looked_at_ = 0;
};

}  // namespace rowcall::test
