#pragma once

#include <string>
#include <vector>

#include "engine/result.hpp"
#include "storage/postgres/stores.hpp"

namespace rowcall::storage::postgres {

struct migration_status {
  int version = 0;
  std::string name;
  bool applied = false;
  int compatible_from = 0;  ///< the oldest version whose binaries can work with it
  bool changed = false;  ///< applied with another checksum than this binary's file has
  std::string applied_at;
};

/// Applies the numbered SQL files that are embedded in the binary, under an advisory lock, each in its transaction and
/// recorded with its SHA-256 checksum. Errors: schema_mismatch when the database is newer than this binary or a
/// recorded checksum differs.
///
/// A migration says in its first lines which older binaries can live with it ("-- compatible-from: 7", or "previous"); it is
/// recorded, so that a binary of that age still starts, and one that does not fit is refused. Without the line it is a break:
/// no older binary may run.
class migrator {
 public:
  explicit migrator(store_config config);
  engine::result<std::vector<migration_status>> status();
  /// To the newest; returns how many were applied. Waits for locks a second at a time, so that nobody who queues behind it
  /// waits longer. Errors: busy when an engine runs that could not live with it (unless `whatever_runs`).
  engine::result<int> up(bool whatever_runs = false);
  engine::result<int> down(int target);    ///< undoes everything above `target`
  /// What a process needs before it starts: the schema is this binary's, or a newer one that it can live with.
  engine::result<void> check();
  static int newest();

 private:
  store_config config_;
};

}  // namespace rowcall::storage::postgres
