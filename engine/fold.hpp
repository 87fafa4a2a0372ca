#pragma once

#include <memory>
#include <optional>
#include <span>

#include "engine/module.hpp"

namespace rowcall::engine {

/// A session's state after update `at`.
struct folded_state {
  std::unique_ptr<module_state> state;
  update_seq at;
};

/// The snapshot, then the updates after it, in order and without a gap: the state that a session's log amounts to.
/// Without a snapshot the updates begin with 1. A module without state reads neither. Pure; errors: internal, when
/// something can not be read back or is missing.
result<folded_state> fold(const module& m, const session_id& session, const std::optional<snapshot_row>& snapshot,
                          std::span<const update_row> updates, json::parser& parser);

}  // namespace rowcall::engine
