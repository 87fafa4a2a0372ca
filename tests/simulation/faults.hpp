#pragma once

#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <string_view>

#include "tests/simulation/simulation.hpp"

namespace rowcall::simulation {

/// What the stores and the bus of a simulated node ask the world.
class fate {
 public:
  virtual ~fate() = default;
  /// True with this probability, while faults are on; counted and traced under the name.
  virtual bool strikes(double probability, std::string_view fault, const std::string& whom) = 0;
  /// The caller waits for the network: others run meanwhile, and may end or stop the caller's node.
  virtual void pause(const std::string& node) = 0;
  virtual void note(std::string line) = 0;
  virtual deliberate_bug bug() const = 0;
};

}  // namespace rowcall::simulation
