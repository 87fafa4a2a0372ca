#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/checker/history.hpp"

/// Decides whether a history keeps the promise: an acknowledged command has exactly one effect, in its session's order.
namespace rowcall::checker {

enum class rule {
  acknowledged_once,   ///< an acknowledged command is in the log once, at its seq
  unknown_at_most_once,
  refused_never,
  sent_once,           ///< a sent command is in its target's log once
  no_stranger,         ///< every command in a log was submitted or sent by somebody
  receipt_once,        ///< a processed command's updates stand together: one receipt
  submit_order,        ///< a client's commands of a session stand in the order of its submits
  command_seq_gapless,
  update_seq_gapless,
  receipts_in_order,   ///< updates follow the order of their commands, none is skipped or unknown
  followed_is_log,     ///< a follower saw the log, from where it began
  nothing_pending,
  status_is_true,      ///< the `commands` view says processed or dead of what is, and leaves nothing out
  table_is_fold,       ///< a module's table has what the fold of the logs says
};
std::string_view to_string(rule r);
std::optional<rule> rule_from(std::string_view name);

struct violation {
  rule broken;
  std::string text;  ///< one line: session, seq, what was expected
};

/// Every breach found; empty = the promise was kept. `history` is that of a system at rest.
std::vector<violation> check(const history& h);

}  // namespace rowcall::checker
