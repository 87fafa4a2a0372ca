#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

/// The real actors of several nodes on one in-memory database, under a scheduler, a clock and a network whose every
/// choice comes from one seed.
namespace rowcall::simulation {

/// A fault of the engine's surroundings that no engine may survive unnoticed: proof that the simulation bites.
enum class deliberate_bug {
  none,
  publish_before_commit,   ///< a notice goes out, then COMMIT is tried
  ack_before_commit,       ///< a client is told "stored" when the connection was lost before COMMIT
  ack_before_flush,        ///< a client is told "stored" when the server crashed before the command was on the disk
  folded_claim,            ///< the commands are read before the locks are granted
  no_fence,                ///< the same, and no primary key stops the stale turn
  no_lock,                 ///< a shard that is locked is served all the same, from what was committed before
  lost_send,               ///< COMMIT forgets a sent command
  lost_row,                ///< COMMIT forgets a domain row
  doubled_submit,          ///< a resubmit is stored under another idempotency key
  reversed_fetch,          ///< commands are fetched without ORDER BY
  silent_commit_failure,   ///< a serialization failure is reported as success
  no_sweep,                ///< nobody looks for lost wakes
  cursor_off_by_one,       ///< a follower pages from one too far
  trusting_follower,       ///< a follower takes a notice without looking at its first seq
  believed_wake,           ///< what was decided on a wake's word is committed without a look at the log
};
std::string to_string(deliberate_bug bug);

struct options {
  std::uint64_t seed = 1;
  deliberate_bug bug = deliberate_bug::none;
  bool keeps_trace = false;  ///< the trace is always hashed; kept as text only on demand
  std::set<std::string_view> broken;  ///< lines of broken_lines.txt; without effect on the engine as it is
};

struct report {
  std::vector<std::string> violations;  ///< empty: the promise was kept
  std::string trace;
  std::uint64_t trace_hash = 0;
  std::uint64_t steps = 0, faults = 0, commands = 0, turns = 0, turns_aborted = 0, takeovers = 0, lost_wakes_found = 0;
  std::uint64_t turns_trusting = 0;   ///< that took a wake's word for their command
  std::uint64_t wakes_mistaken = 0;   ///< whose word was wrong
  std::uint64_t deaths_by_command = 0;
  std::map<std::string, std::uint64_t> faults_by_name;  ///< and what else happens by chance: a message late, a node started again
};

/// One run, whole: nodes, clients, faults, quiet, judgement. The same options give the same report.
///
/// A seed divisible by 4 gives a calm run: one node, a bus that delays and reorders but loses nothing, no faults, and no
/// sweep: there all work must be done by wakes alone. In some others a few commands end each process that tries them.
report simulate(const options& o);

/// The same; whatever ends the process in the middle of it, and a run that goes round in circles (which ends the process as
/// well), is told with its seed.
report simulate_watched(const options& o);

}  // namespace rowcall::simulation
