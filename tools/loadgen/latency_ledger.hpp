#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "engine/types.hpp"
#include "tools/loadgen/verifier.hpp"

namespace rowcall::tools::loadgen {

/// A command on its way: when it was meant to start, and who waits for it (closed loop).
struct started {
  std::chrono::nanoseconds intended{0};
  std::uint32_t user = 0;
};

/// Acknowledged commands that wait for their receipt. Memory follows what is on its way. One thread at a time.
class latency_ledger {
 public:
  void put(session_index session, engine::command_seq seq, started s) {
    if (session >= sessions_.size()) sessions_.resize(session + 1);
    sessions_[session].entries.push_back({seq.value, s});
  }

  /// Takes the command out; nothing when it is not there.
  std::optional<started> take(session_index session, engine::command_seq seq) {
    if (session >= sessions_.size()) return std::nullopt;
    queue& q = sessions_[session];
    // Receipts come in the order of the acknowledgements unless something is wrong: the first one, nearly always.
    for (std::size_t i = q.head; i < q.entries.size(); ++i) {
      if (q.entries[i].seq != seq.value) continue;
      const started found = q.entries[i].start;
      if (i == q.head) {
        ++q.head;
      } else {
        q.entries.erase(q.entries.begin() + static_cast<std::ptrdiff_t>(i));
      }
      compact(q);
      return found;
    }
    return std::nullopt;
  }

 private:
  struct entry {
    std::int64_t seq;
    started start;
  };
  struct queue {
    std::vector<entry> entries;
    std::size_t head = 0;
  };
  static void compact(queue& q) {
    if (q.head == q.entries.size()) {
      q.entries.clear();
      if (q.entries.capacity() > 64) q.entries.shrink_to_fit();
      q.head = 0;
    } else if (q.head >= 1024 && q.head * 2 >= q.entries.size()) {
      q.entries.erase(q.entries.begin(), q.entries.begin() + static_cast<std::ptrdiff_t>(q.head));
      q.head = 0;
    }
  }
  std::vector<queue> sessions_;
};

}  // namespace rowcall::tools::loadgen
