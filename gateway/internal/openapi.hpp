#pragma once

#include <string_view>

namespace rowcall::gateway::internal {

/// gateway/openapi.json, built in.
std::string_view openapi_document();

}  // namespace rowcall::gateway::internal
