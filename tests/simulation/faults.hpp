#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "storage/memory/inspect.hpp"
#include "tests/simulation/simulation.hpp"

namespace rowcall::simulation {

/// What the stores and the bus of a simulated node ask the world.
class fate {
 public:
  virtual ~fate() = default;
  /// True with this probability, while faults are on; counted and traced under the name.
  virtual bool strikes(double probability, std::string_view fault, const std::string& whom) = 0;
  /// Something else that happens by chance, to be counted.
  virtual void count(std::string_view what) = 0;
  /// The caller waits for the network: others may run meanwhile, and may end or stop the caller's node. False: at once.
  virtual bool pause(const std::string& node) = 0;
  virtual void note(std::string line) = 0;
  /// A call of a store. False when the run has made far too many: something goes round in circles, and the run ends.
  virtual bool spend() = 0;
  /// A turn has begun that takes a wake's word for its command.
  virtual void trusts() = 0;
  virtual deliberate_bug bug() const = 0;
  /// The server goes on with a COMMIT whose client it has lost: it holds the turn's locks until then.
  virtual void commit_later(std::unique_ptr<engine::turn_store> connection, std::vector<engine::session_writes> writes) = 0;
  /// What is committed at this moment: a statement's snapshot.
  virtual storage::memory::database_dump look() = 0;
};

}  // namespace rowcall::simulation
