#include "engine/fold.hpp"

#include "engine/internal/guarded.hpp"

namespace rowcall::engine {

using internal::guarded;

result<folded_state> fold(const module& m, const session_id& session, const std::optional<snapshot_row>& snapshot,
                          std::span<const update_row> updates, json::parser& parser) {
  const auto unreadable = [&session](update_seq at, const std::string& why) {
    return fail(errc::internal,
                "session " + session.str() + " can not be loaded at update " + std::to_string(at.value) + ": " + why);
  };
  folded_state folded;
  auto& state = folded.state;
  auto& at = folded.at;
  if (auto thrown = guarded([&] { state = m.new_state(); })) return unreadable(at, *thrown);
  if (m.has_state()) {
    if (snapshot) {
      auto saved = parser.parse(snapshot->state);
      if (!saved) return unreadable(snapshot->seq, "the snapshot is broken: " + saved.error().message);
      if (auto thrown = guarded([&] { state = m.load(*saved); })) return unreadable(snapshot->seq, *thrown);
      at = snapshot->seq;
    }
    for (const auto& row : updates) {
      if (row.seq != at.next()) return unreadable(row.seq, "updates before it are missing");
      at = row.seq;
      if (update_type::is_reserved(row.type)) continue;
      auto data = parser.parse_object(row.data);
      if (!data) return unreadable(row.seq, data.error().message);
      if (auto thrown = guarded([&] { m.apply(*state, {session, row.seq, row.type, *data}); }))
        return unreadable(row.seq, *thrown);
    }
  }
  ROWCALL_ASSERT(state);
  return folded;
}

}  // namespace rowcall::engine
