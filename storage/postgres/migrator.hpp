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
  bool changed = false;  ///< applied with another checksum than this binary's file has
  std::string applied_at;
};

/// Applies the numbered SQL files that are embedded in the binary, under an advisory lock, each in its transaction and
/// recorded with its SHA-256 checksum. Errors: schema_mismatch when the database is newer than this binary or a
/// recorded checksum differs.
class migrator {
 public:
  explicit migrator(store_config config);
  engine::result<std::vector<migration_status>> status();
  engine::result<int> up();                ///< to the newest; returns how many were applied
  engine::result<int> down(int target);    ///< undoes everything above `target`
  /// What a process needs before it starts: the schema is exactly this binary's.
  engine::result<void> check();
  static int newest();

 private:
  store_config config_;
};

}  // namespace rowcall::storage::postgres
