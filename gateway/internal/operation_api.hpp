#pragma once

#include "gateway/internal/context.hpp"

/// What operators and their tools ask.
namespace rowcall::gateway::internal {

// GET /healthz, /readyz, /metrics, /openapi.json: no token
void get_health(context& c, const exchange_ptr& e);
void get_readiness(context& c, const exchange_ptr& e);
void get_metrics(context& c, const exchange_ptr& e);
void get_openapi(context& c, const exchange_ptr& e);

}  // namespace rowcall::gateway::internal
