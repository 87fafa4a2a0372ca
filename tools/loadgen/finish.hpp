#pragma once

#include <string>
#include <vector>

#include "tools/loadgen/report.hpp"

/// The end of a run: files, summary, exit code.
namespace rowcall::tools::loadgen {

/// How the program ends. Stated in --help; part of the interface.
enum class exit_code : int {
  ok = 0,
  failed = 1,     ///< an operating error: servers not reachable, no engine, a file that can not be written
  usage = 2,      ///< the command line or a file is invalid; nothing was sent
  faulty = 6,     ///< something was lost, duplicated, reordered or skipped
  threshold = 7,  ///< a --fail-if condition was met, or --find-max found no rate that holds
};

struct output_options {
  std::string json, csv, html;  ///< file names; "-" is stdout; empty: none
  std::vector<std::string> fail_if;
  bool is_quiet = false;
};

/// Checks the thresholds, writes the files, prints the summary and says how to end.
exit_code finish(report& r, const output_options& output);
/// Errors: invalid_argument.
engine::result<std::vector<threshold>> parse_thresholds(const output_options& output);

}  // namespace rowcall::tools::loadgen
