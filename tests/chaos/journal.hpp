#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/checker/history.hpp"

/// What a submitting process has done, in a file that survives its SIGKILL: each line is written before what it
/// announces is begun, and after what it reports is known. A submit without a result has an unknown one.
///
///   S <number> <client> <session> <type> <id>     about to be submitted
///   R <number> a <seq> | r | u                    acknowledged, refused, unknown
namespace rowcall::chaos {

class journal_writer {
 public:
  /// Appends to the file. Throws std::runtime_error.
  explicit journal_writer(const std::string& path);
  ~journal_writer();
  journal_writer(const journal_writer&) = delete;

  /// The lines of one batch are written at once, by write().
  void submits(const std::vector<checker::submit>& batch);  ///< gives them the next numbers
  void results(const std::vector<checker::submit>& batch);  ///< of the last submits()

 private:
  void write(const std::string& lines);
  int fd_ = -1;
  std::uint64_t first_ = 0, next_ = 0;
};

/// What the file holds so far; empty when there is none yet.
std::string journal_text(const std::string& path);

/// Whether a journal ends between the announcement of a batch and its results.
bool is_in_the_middle(const std::string& text);

/// The submits of a journal's text, in order. A last line that was cut off announces nothing that was begun.
std::vector<checker::submit> read_journal(const std::string& text);

}  // namespace rowcall::chaos
