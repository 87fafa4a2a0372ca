#pragma once

#include <memory>
#include <string>

#include "engine/ports.hpp"

/// The same stores in memory: for unit tests and for simulation. Same semantics as PostgreSQL's, checked by the same
/// conformance suite: shard locks with SKIP LOCKED, snapshots a statement, the primary key as fence.
namespace rowcall::storage::memory {

/// One "server". Thread-safe. Time is the given clock's plus an epoch.
class database;
std::shared_ptr<database> make_database(std::shared_ptr<engine::clock> clock);

std::unique_ptr<engine::turn_store> make_turn_store(std::shared_ptr<database> db, std::string node);
std::unique_ptr<engine::node_store> make_node_store(std::shared_ptr<database> db);
std::unique_ptr<engine::command_store> make_command_store(std::shared_ptr<database> db);
std::unique_ptr<engine::update_store> make_update_store(std::shared_ptr<database> db);
std::unique_ptr<engine::admin_store> make_admin_store(std::shared_ptr<database> db);

}  // namespace rowcall::storage::memory
