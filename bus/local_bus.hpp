#pragma once

#include <memory>

#include "engine/ports.hpp"

namespace rowcall::bus {

/// A bus inside one process: delivers at once, on the publisher's thread. For tests and simulation.
std::unique_ptr<engine::bus> make_local_bus();

}  // namespace rowcall::bus
