#include "tools/rowcall/stream_check.hpp"

#include <algorithm>

namespace rowcall::tools {

stream_check::stream_check(std::size_t sessions) : streams_(sessions) {}

bool stream_check::mark(std::vector<bool>& seen, std::int64_t seq) {
  const auto index = static_cast<std::size_t>(seq - 1);
  if (index >= seen.size()) seen.resize(index + 1, false);
  const bool is_new = !seen[index];
  seen[index] = true;
  return is_new;
}

void stream_check::take(std::size_t session, std::span<const engine::update_row> updates) {
  auto& s = streams_[session];
  for (const auto& u : updates) {
    ++counts_.updates;
    if (!mark(s.updates_seen, u.seq.value) || !mark(s.commands_answered, u.command.value))
      ++counts_.duplicated;
    else if (u.seq.value < s.update_max || u.command.value < s.command_max)
      ++counts_.reordered;
    s.update_max = std::max(s.update_max, u.seq.value);
    s.command_max = std::max(s.command_max, u.command.value);
  }
}

stream_check::counts stream_check::result(std::span<const std::uint32_t> commands) const {
  auto total = counts_;
  for (std::size_t i = 0; i < streams_.size(); ++i) {
    const auto& s = streams_[i];
    total.gaps += static_cast<std::uint64_t>(std::count(s.updates_seen.begin(), s.updates_seen.end(), false));
    const auto answered = static_cast<std::uint64_t>(
        std::count(s.commands_answered.begin(),
                   s.commands_answered.begin() +
                       std::min<std::ptrdiff_t>(commands[i], static_cast<std::ptrdiff_t>(s.commands_answered.size())),
                   true));
    total.lost += commands[i] - answered;
  }
  return total;
}

}  // namespace rowcall::tools
