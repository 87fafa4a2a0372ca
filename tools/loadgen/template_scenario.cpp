#include "tools/loadgen/template_scenario.hpp"

#include <utility>

namespace rowcall::tools::loadgen {

template_scenario::template_scenario(template_scenario_config config) : config_(std::move(config)) {
  ROWCALL_ASSERT(!config_.commands.empty());
  for (const command_template& c : config_.commands) weight_ += c.weight;
  next_session_ = static_cast<session_index>(config_.keys.keys());
  if (config_.session_commands == 0) return;
  slots_.reserve(config_.keys.keys());
  // Spread over their lives, so that they do not all end at once.
  for (std::size_t i = 0; i < config_.keys.keys(); ++i)
    slots_.push_back({static_cast<session_index>(i), 1 + i % config_.session_commands});
}

engine::session_id template_scenario::id_of(session_index session) const {
  auto id = engine::session_id::parse(config_.kind + "-" + config_.run + "-" + std::to_string(session));
  ROWCALL_ASSERT(id.has_value());  // kind and run were checked when the scenario was made
  return std::move(*id);
}

planned_command template_scenario::render(const command_template& c, session_index session, random_source& random) {
  planned_command p{session, c.type, {}};
  template_values values;
  values.session = session;
  values.user = config_.users == 0 ? 0 : static_cast<std::size_t>(random.below(config_.users));
  values.number = number_++;
  values.text_bytes = c.size.next(random);
  p.data.reserve(values.text_bytes + 64);
  c.data.render(values, random, p.data);
  return p;
}

std::vector<std::vector<planned_command>> template_scenario::setup() {
  std::vector<std::vector<planned_command>> phases;
  random_source random(0);
  for (const command_template& c : config_.setup) {
    auto& phase = phases.emplace_back();
    for (std::size_t i = 0; i < config_.keys.keys(); ++i)
      phase.push_back(render(c, static_cast<session_index>(i), random));
  }
  number_ = 0;
  return phases;
}

planned_command template_scenario::next(random_source& random) {
  const std::size_t key = config_.keys.next(random);
  auto session = static_cast<session_index>(key);
  if (!slots_.empty()) {
    slot& s = slots_[key];
    if (s.commands_left == 0) {
      retired_.push_back(s.session);
      s = {next_session_++, config_.session_commands};
    }
    --s.commands_left;
    session = s.session;
  }
  const command_template* chosen = &config_.commands.front();
  if (config_.commands.size() > 1) {
    double x = random.unit() * weight_;
    for (const command_template& c : config_.commands) {
      chosen = &c;
      if ((x -= c.weight) < 0) break;
    }
  }
  return render(*chosen, session, random);
}

std::vector<session_index> template_scenario::retired() { return std::exchange(retired_, {}); }

}  // namespace rowcall::tools::loadgen
