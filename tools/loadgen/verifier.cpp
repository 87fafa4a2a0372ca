#include "tools/loadgen/verifier.hpp"

#include <algorithm>

namespace rowcall::tools::loadgen {

session_index verifier::open(std::string name, engine::session_cursor at) {
  track t;
  t.name = std::move(name);
  t.update_next = at.update.value + 1;
  t.command_base = t.command_last = at.command.value;
  sessions_.push_back(std::move(t));
  return static_cast<session_index>(sessions_.size() - 1);
}

void verifier::note(const track& t, std::string_view what, std::int64_t seq) {
  if (found_.examples.size() >= examples_max) return;
  found_.examples.push_back(t.name + ": " + std::string(what) + " " + std::to_string(seq));
}

verifier::word* verifier::word_of(track& t, std::int64_t command, std::uint64_t& bit) {
  const std::int64_t offset = command - t.command_base - 1;
  if (offset < 0 || offset > static_cast<std::int64_t>(t.words.size()) * 64 + jump_max) return nullptr;
  const auto index = static_cast<std::size_t>(offset / 64);
  if (index >= t.words.size()) t.words.resize(index + 1);
  bit = std::uint64_t{1} << (offset % 64);
  return &t.words[index];
}

/// Words at the front that are wholly acknowledged and seen tell nothing more than "below command_base": drop them, a
/// few at once, so that the erase costs O(1) a command.
void verifier::retire(track& t) {
  std::size_t done = 0;
  while (done < t.words.size() && t.words[done].acknowledged == ~std::uint64_t{0} && t.words[done].seen == ~std::uint64_t{0})
    ++done;
  if (done == 0 || (done < 16 && done < t.words.size())) return;
  t.words.erase(t.words.begin(), t.words.begin() + static_cast<std::ptrdiff_t>(done));
  t.command_base += static_cast<std::int64_t>(done) * 64;
}

verifier::acknowledgement verifier::acknowledged(session_index session, engine::command_seq seq) {
  track& t = sessions_[session];
  std::uint64_t bit = 0;
  word* w = word_of(t, seq.value, bit);
  if (w == nullptr || (w->acknowledged & bit)) {
    ++found_.duplicated;
    note(t, w == nullptr ? "an acknowledgement names a seq out of reach, command" : "two submits were given the same seq, command",
         seq.value);
    return acknowledgement::wrong;
  }
  w->acknowledged |= bit;
  const bool was_seen = (w->seen & bit) != 0;
  if (!was_seen) {
    ++t.outstanding;
    ++outstanding_;
  } else if (w->acknowledged == ~std::uint64_t{0}) {
    retire(t);
  }
  return was_seen ? acknowledgement::seen_already : acknowledgement::awaited;
}

bool verifier::take_missing(track& t, std::int64_t seq) {
  for (auto it = t.missing.begin(); it != t.missing.end(); ++it) {
    if (seq < it->first || seq > it->last) continue;
    const range whole = *it;
    if (whole.first == whole.last) {
      t.missing.erase(it);
    } else if (seq == whole.first) {
      ++it->first;
    } else {
      it->last = seq - 1;
      if (seq != whole.last) t.missing.insert(it + 1, {seq + 1, whole.last});
    }
    return true;
  }
  return false;
}

verifier::sight verifier::seen(session_index session, engine::update_seq seq, engine::command_seq command) {
  track& t = sessions_[session];
  bool adjacent = false, late = false;
  if (seq.value == t.update_next) {
    adjacent = true;
    ++t.update_next;
  } else if (seq.value > t.update_next) {
    found_.gaps += static_cast<std::uint64_t>(seq.value - t.update_next);
    note(t, "the stream skips update", t.update_next);
    if (t.missing.size() < ranges_max) t.missing.push_back({t.update_next, seq.value - 1});
    t.update_next = seq.value + 1;
  } else if (take_missing(t, seq.value)) {
    --found_.gaps;
    ++found_.reordered;
    note(t, "an update came after a later one, update", seq.value);
    late = true;
  } else {
    ++found_.duplicated;
    note(t, "an update came twice, update", seq.value);
    return sight::wrong;
  }

  std::uint64_t bit = 0;
  word* w = word_of(t, command.value, bit);
  if (w == nullptr && command.value > t.command_last) {
    ++found_.gaps;
    note(t, "an update names a command far ahead, command", command.value);
    return sight::wrong;
  }
  if (w == nullptr || (w->seen & bit)) {
    if (!one_update_a_command_ && (late || command.value == t.command_last)) return sight::further;
    ++found_.duplicated;
    note(t, "a command was answered twice, command", command.value);
    return sight::wrong;
  }
  // Update seqs next to each other whose commands are not: the engine itself skipped or reordered.
  if (adjacent && command.value > t.command_last + 1) {
    found_.gaps += static_cast<std::uint64_t>(command.value - t.command_last - 1);
    note(t, "commands were left without an answer, from command", t.command_last + 1);
  } else if (command.value < t.command_last && !late) {
    ++found_.reordered;
    note(t, "a command was answered after a later one, command", command.value);
  }
  t.command_last = std::max(t.command_last, command.value);
  w->seen |= bit;
  if (w->acknowledged & bit) {
    --t.outstanding;
    --outstanding_;
    if (w->seen == ~std::uint64_t{0}) retire(t);
  }
  return sight::receipt;
}

findings verifier::so_far() const { return found_; }

findings verifier::result() const {
  findings f = found_;
  f.lost = outstanding_;
  for (const track& t : sessions_) {
    if (t.outstanding == 0 || f.examples.size() >= examples_max) continue;
    for (std::size_t i = 0; i < t.words.size(); ++i) {
      const std::uint64_t open = t.words[i].acknowledged & ~t.words[i].seen;
      if (open == 0) continue;
      const std::int64_t command = t.command_base + static_cast<std::int64_t>(i) * 64 + __builtin_ctzll(open) + 1;
      f.examples.push_back(t.name + ": acknowledged and never answered, command " + std::to_string(command));
      break;
    }
  }
  return f;
}

std::uint64_t verifier::outstanding_above(session_index session, engine::command_seq processed) const {
  const track& t = sessions_[session];
  std::uint64_t n = 0;
  for (std::size_t i = 0; i < t.words.size(); ++i) {
    std::uint64_t open = t.words[i].acknowledged & ~t.words[i].seen;
    for (; open != 0; open &= open - 1) {
      const std::int64_t command = t.command_base + static_cast<std::int64_t>(i) * 64 + __builtin_ctzll(open) + 1;
      if (command > processed.value) ++n;
    }
  }
  return n;
}

void verifier::close(session_index session) {
  track& t = sessions_[session];
  ROWCALL_ASSERT(t.outstanding == 0);
  t.words = {};
  t.missing = {};
}

engine::update_seq verifier::position(session_index session) const { return {sessions_[session].update_next - 1}; }

std::size_t verifier::memory_bytes() const {
  std::size_t bytes = sessions_.capacity() * sizeof(track);
  for (const track& t : sessions_) {
    bytes += t.words.capacity() * sizeof(word) + t.missing.capacity() * sizeof(range);
    if (t.name.capacity() > 15) bytes += t.name.capacity() + 1;
  }
  return bytes;
}

}  // namespace rowcall::tools::loadgen
