#pragma once

#include <string>

namespace rowcall::bench {

/// The machine and the database server, as one JSON object: CPU model, cores, memory, kernel, load when asked,
/// PostgreSQL's version and the settings that decide about the figures.
std::string describe_machine(const std::string& database_url);

}  // namespace rowcall::bench
