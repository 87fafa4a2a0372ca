#pragma once

#include "tools/loadgen/data_template.hpp"
#include "tools/loadgen/scenario.hpp"

namespace rowcall::tools::loadgen {

/// One sort of command of a mix.
struct command_template {
  std::string type;
  double weight = 1;
  data_template data;
  size_distribution size;
};

struct template_scenario_config {
  std::string kind = "echo";
  std::string run = "r";
  key_chooser keys;                       ///< its number of keys is the number of sessions (alive at a time)
  std::vector<command_template> commands; ///< at least one
  std::vector<command_template> setup;    ///< sent once to each initial session, in order
  std::size_t users = 100;                ///< ${user} is one of these
  bool one_update_a_command = true;
  std::size_t session_commands = 0;       ///< above 0: a session ends after so many commands and a new one takes its place
};

/// Independent sessions of one kind and a mix of commands from templates: echo, burst, churn, reconnect-storm, and the
/// scenario files.
class template_scenario final : public scenario {
 public:
  explicit template_scenario(template_scenario_config config);
  std::size_t initial_sessions() const override { return config_.keys.keys(); }
  engine::session_id id_of(session_index session) const override;
  std::vector<std::vector<planned_command>> setup() override;
  planned_command next(random_source& random) override;
  std::vector<session_index> retired() override;
  bool has_one_update_a_command() const override { return config_.one_update_a_command; }

 private:
  struct slot {
    session_index session;
    std::size_t commands_left;
  };
  planned_command render(const command_template& c, session_index session, random_source& random);

  template_scenario_config config_;
  double weight_ = 0;
  std::vector<slot> slots_;  ///< churn only: key -> the session that lives there now
  session_index next_session_ = 0;
  std::vector<session_index> retired_;
  std::uint64_t number_ = 0;
};

}  // namespace rowcall::tools::loadgen
