#pragma once

#include "gateway/internal/context.hpp"
#include "gateway/internal/static_files.hpp"

namespace rowcall::gateway::internal {

/// Finds out who answers a request, and has it answered. CORS, and what every path has in common, is here.
void route(context& c, static_files& pages, const exchange_ptr& e);

}  // namespace rowcall::gateway::internal
