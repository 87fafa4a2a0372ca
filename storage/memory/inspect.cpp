#include "storage/memory/inspect.hpp"

#include "storage/memory/internal/database.hpp"

namespace rowcall::storage::memory {

database_dump dump(database& db) { return db.dump(); }

void declare_table(database& db, const std::string& name, std::vector<std::string> key_columns) {
  db.declare_table(name, std::move(key_columns));
}

std::size_t drop_open_turns(database& db, const std::string& node) { return db.drop_open_turns(node); }
std::size_t drop_open_turns(database& db) { return db.drop_open_turns(std::nullopt); }
std::size_t crash(database& db) { return db.crash(); }
std::size_t open_turns(database& db) { return db.open_turns(); }
void set_fence(database& db, bool is_on) { db.set_fence(is_on); }
void set_turn_timeout(database& db, std::chrono::milliseconds timeout) { db.set_turn_timeout(timeout); }

}  // namespace rowcall::storage::memory
