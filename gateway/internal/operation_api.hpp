#pragma once

#include "gateway/internal/context.hpp"

/// What operators and their tools ask.
namespace rowcall::gateway::internal {

// GET /healthz, /readyz, /metrics, /openapi.json: no token
void get_health(context& c, const exchange_ptr& e);
void get_readiness(context& c, const exchange_ptr& e);
void get_metrics(context& c, const exchange_ptr& e);
void get_openapi(context& c, const exchange_ptr& e);
// GET /v1/operator/status
void get_status(context& c, const exchange_ptr& e);

/// Who asks, when he is an operator; answers 401 or 403 by itself otherwise.
std::optional<identity> identify_operator(context& c, exchange& e);

/// Reads on a reader thread for an operator, and answers.
void read_for_operator(context& c, const exchange_ptr& e, std::function<http_answer(reader_stores&)> work);

}  // namespace rowcall::gateway::internal
