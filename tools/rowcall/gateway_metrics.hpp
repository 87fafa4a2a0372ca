#pragma once

#include "gateway/metrics.hpp"
#include "tools/telemetry/exposition.hpp"

namespace rowcall::tools {

/// A gateway's figures under the names that docs/gateway.md lists. They have a prefix of their own: alerts on engines
/// ask whether none is ready, and a gateway is none.
void add_gateway_metrics(exposition& out, const gateway::gateway_metrics& m);

}  // namespace rowcall::tools
