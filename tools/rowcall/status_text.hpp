#pragma once

#include <string>

#include "engine/ports.hpp"

/// A status as `status` and `top` show it. Pure; without a last line feed.
namespace rowcall::tools {

/// For scripts: one JSON object.
std::string status_json(const engine::status_report& s);
/// For people: lines.
std::string status_text(const engine::status_report& s);

}  // namespace rowcall::tools
