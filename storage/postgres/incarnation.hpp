#pragma once

#include <string>

#include "engine/result.hpp"
#include "storage/postgres/stores.hpp"

/// The identity of a database over restores. Its readers: an engine when it starts, and on each new connection (see
/// store_config); a follower once a poll interval (see engine::update_store). Nothing on the way of a command reads it.
namespace rowcall::storage::postgres {

/// Errors: schema_mismatch, unavailable.
engine::result<std::string> read_incarnation(const store_config& config);

/// After a restore, before engines start: a new incarnation, which is returned, and marks of the old cluster undone.
/// Takes as long as it takes to rewrite what has transaction ids of another cluster (a restored dump; nothing
/// otherwise). Errors: busy while engines run.
engine::result<std::string> mark_restored(store_config config);

}  // namespace rowcall::storage::postgres
