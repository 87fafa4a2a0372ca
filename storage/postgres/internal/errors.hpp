#pragma once

#include "engine/result.hpp"

/// The one place where libpqxx's exceptions end.
namespace rowcall::storage::postgres::internal {

/// What is lost when the connection is.
enum class on_loss {
  nothing,  ///< connection_lost: nothing was committed
  commit,   ///< commit_in_doubt: the statement held a COMMIT, or was one
};

/// The exception being handled, as an error. Call inside a catch block.
engine::error current_error(on_loss loss);

}  // namespace rowcall::storage::postgres::internal
