#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/types.hpp"
#include "tools/loadgen/distributions.hpp"
#include "tools/loadgen/random_source.hpp"
#include "tools/loadgen/verifier.hpp"

namespace rowcall::tools::loadgen {

struct planned_command {
  session_index session = 0;
  std::string type;       ///< empty: no command but a read of the session's last updates
  std::string data;
  bool is_read() const { return type.empty(); }
};

/// What is sent, and to whom; not when. The same seed gives the same commands. One thread at a time.
class scenario {
 public:
  virtual ~scenario() = default;
  /// Sessions 0 to this are followed before the load starts; next() may name further ones, each one above the last.
  virtual std::size_t initial_sessions() const = 0;
  virtual engine::session_id id_of(session_index session) const = 0;
  /// Commands that prepare the load, in phases: a phase is followed to its end before the next one starts.
  virtual std::vector<std::vector<planned_command>> setup() { return {}; }
  /// The next command. `random` belongs to the caller (in a closed loop: to the user).
  virtual planned_command next(random_source& random) = 0;
  /// Sessions that will get no more commands, each told once.
  virtual std::vector<session_index> retired() { return {}; }
  /// Every command yields exactly one update.
  virtual bool has_one_update_a_command() const = 0;
};

/// What the options say about a scenario; each uses what concerns it.
struct scenario_options {
  std::string name = "echo";          ///< echo, chat, burst, churn, reconnect-storm
  std::string run = "r";              ///< part of the session ids, 1 to 24 of A-Z a-z 0-9 _
  std::size_t sessions = 1000;        ///< of echo and its variants; those alive at a time in churn
  std::string keys = "uniform";       ///< see key_chooser
  std::string size = "80";            ///< bytes of a text, see size_distribution
  std::size_t session_commands = 20;  ///< churn: a session's whole life
  std::size_t users = 100;            ///< chat
  std::size_t room_users = 10;        ///< chat: members of a room
  std::string mix = "post:70,select:10,read:20";  ///< chat: weights
};

/// Errors: invalid_argument.
engine::result<std::unique_ptr<scenario>> make_scenario(const scenario_options& options);

/// A scenario of one's own from a JSON file (README.md shows one). What the file does not say comes from `options`.
/// Errors: invalid_argument.
engine::result<std::unique_ptr<scenario>> load_scenario(std::string_view json, const scenario_options& options);

}  // namespace rowcall::tools::loadgen
