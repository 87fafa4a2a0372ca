#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/types.hpp"
#include "gateway/internal/http.hpp"

/// Where a stream stands in each of its sessions, as the URL and the event ids say it. Pure.
namespace rowcall::gateway::internal {

constexpr std::int64_t at_end = -1;

/// A session of a stream's URL.
struct stream_place {
  engine::session_id session;
  std::int64_t after = 0;  ///< or at_end
};

/// `17` or `end`. Nothing when it is neither.
std::optional<std::int64_t> read_position(std::string_view text);

/// Of `/v1/stream?session=user-ann:17&session=chat-1:end`. Errors: invalid_argument.
engine::result<std::vector<stream_place>> read_places(const std::vector<name_value>& query, std::size_t sessions_max);

/// The event id of a stream of several sessions: the positions that differ from the URL's, `0:18,3:121` (index:seq).
/// Together with the same URL it says everything. Changes `places`. Errors: invalid_argument.
engine::result<void> apply_event_id(std::string_view id, std::vector<stream_place>& places);

}  // namespace rowcall::gateway::internal
