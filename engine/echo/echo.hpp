#pragma once

#include "engine/module.hpp"

/// A module without state for load tests and for trying things out. Kind `echo`.
///
///   command                        what comes of it
///   fail                           decision::fail: held, tried again, parked after the last attempt
///   park                           decision::fail with the policy park: a dead letter at once
///   throw                          an exception, held like fail
///   reject                         command_rejected
///   silent                         no update of the module's own, so command_done
///   send {"to","type","data"}      sends a command; one update `sent {"to","type"}`
///   many {"count"}                 `count` (1 to 1,000) updates `echo {"index"}`, counted from 0
///   any other                      one update `echo` with the command's data, its text unchanged
namespace rowcall::engine::echo {

struct echo {
  static constexpr std::string_view kind = "echo";
  static constexpr std::int64_t many_count_max = 1000;
  struct state {};
  static decision decide(const state&, const command& c);
  static failure_policy on_failure(std::string_view type);
};

}  // namespace rowcall::engine::echo
