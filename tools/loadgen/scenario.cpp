#include "tools/loadgen/scenario.hpp"

#include <fmt/format.h>

#include "engine/json.hpp"
#include "tools/loadgen/chat_scenario.hpp"
#include "tools/loadgen/template_scenario.hpp"

namespace rowcall::tools::loadgen {

namespace {

using engine::errc;
using engine::fail;
namespace json = engine::json;

/// What a chat message looks like to an echo session: about 100 bytes with a text of 80.
constexpr std::string_view echo_data = R"({"chat_id":"${session}","text":"${text}","sender":"${user}"})";

engine::result<void> check_names(std::string_view kind, std::string_view run) {
  if (!engine::is_valid_kind(kind)) return fail(errc::invalid_argument, fmt::format("'{}' is no session kind", kind));
  // Room for the kind, two dashes and ten digits.
  if (run.empty() || run.size() > 24 || !engine::is_valid_kind(run) || kind.size() > 24)
    return fail(errc::invalid_argument, fmt::format("run '{}': 1 to 24 of A-Z a-z 0-9 _ are expected", run));
  return {};
}

engine::result<command_template> make_command(std::string type, double weight, std::string_view data, std::string_view size) {
  if (!engine::is_valid_type(type)) return fail(errc::invalid_argument, "'" + type + "' is no command type");
  if (!(weight > 0)) return fail(errc::invalid_argument, "the weight of '" + type + "' has to be above 0");
  auto compiled = data_template::compile(data);
  if (!compiled) return tl::make_unexpected(compiled.error());
  const auto bytes = size_distribution::parse(size);
  if (!bytes) return tl::make_unexpected(bytes.error());
  // Rendered once now: a template that is no JSON is told here and not as a million refused commands.
  std::string sample;
  random_source random(0);
  compiled->render({0, 0, 0, 8}, random, sample);
  json::parser parser;
  if (const auto parsed = parser.parse_object(sample); !parsed)
    return fail(errc::invalid_argument, "the data of '" + type + "' does not give a JSON object: " + parsed.error().message);
  return command_template{std::move(type), weight, std::move(*compiled), *bytes};
}

/// The member's template: an object stands for its own text, a string is the text of one (for ${n} outside a string).
std::string data_of(const json::object& o) {
  json::value v;
  if (o["data"].get(v) != simdjson::SUCCESS) return "{}";
  std::string_view text;
  return v.get_string().get(text) == simdjson::SUCCESS ? std::string(text) : json::to_text(v);
}

engine::result<std::vector<command_template>> read_commands(const json::object& o, std::string_view key,
                                                            const scenario_options& options) {
  std::vector<command_template> all;
  json::value member;
  if (o[key].get(member) != simdjson::SUCCESS) return all;
  simdjson::dom::array array;
  if (member.get_array().get(array) != simdjson::SUCCESS)
    return fail(errc::invalid_argument, "scenario: '" + std::string(key) + "' has to be an array");
  for (const json::value v : array) {
    json::object c;
    if (v.get_object().get(c) != simdjson::SUCCESS)
      return fail(errc::invalid_argument, "scenario: each of '" + std::string(key) + "' has to be an object");
    for (const auto field : c)
      if (field.key != "type" && field.key != "weight" && field.key != "size" && field.key != "data")
        return fail(errc::invalid_argument, fmt::format("scenario: unknown member '{}' of a command", field.key));
    double weight = 1;
    if (json::value w; c["weight"].get(w) == simdjson::SUCCESS && w.get_double().get(weight) != simdjson::SUCCESS)
      return fail(errc::invalid_argument, "scenario: 'weight' has to be a number");
    auto made = make_command(std::string(json::string_at(c, "type").value_or("")), weight, data_of(c),
                             json::string_at(c, "size").value_or(options.size));
    if (!made) return tl::make_unexpected(made.error());
    all.push_back(std::move(*made));
  }
  return all;
}

}  // namespace

engine::result<std::unique_ptr<scenario>> make_scenario(const scenario_options& options) {
  if (options.name == "chat") return make_chat_scenario(options);
  if (options.name != "echo" && options.name != "burst" && options.name != "churn" && options.name != "reconnect-storm")
    return fail(errc::invalid_argument, "unknown scenario '" + options.name + "' (echo, chat, burst, churn, reconnect-storm)");
  if (const auto ok = check_names("echo", options.run); !ok) return tl::make_unexpected(ok.error());
  auto keys = key_chooser::parse(options.keys, options.sessions);
  if (!keys) return tl::make_unexpected(keys.error());
  auto command = make_command("say", 1, echo_data, options.size);
  if (!command) return tl::make_unexpected(command.error());
  template_scenario_config config{.kind = "echo", .run = options.run, .keys = *keys, .users = options.users};
  config.commands.push_back(std::move(*command));
  if (options.name == "churn") {
    if (options.session_commands == 0) return fail(errc::invalid_argument, "churn: a session needs at least one command");
    config.session_commands = options.session_commands;
  }
  return std::make_unique<template_scenario>(std::move(config));
}

engine::result<std::unique_ptr<scenario>> load_scenario(std::string_view text, const scenario_options& options) {
  json::parser parser;
  const auto parsed = parser.parse_object(text);
  if (!parsed) return fail(errc::invalid_argument, "scenario: " + parsed.error().message);
  const json::object& o = *parsed;
  for (const auto field : o) {
    constexpr std::array<std::string_view, 8> known{"kind", "sessions", "keys", "users", "one_update_a_command",
                                                    "session_commands", "commands", "setup"};
    if (std::find(known.begin(), known.end(), field.key) == known.end())
      return fail(errc::invalid_argument, fmt::format("scenario: unknown member '{}'", field.key));
  }
  const auto natural = [&](std::string_view key, std::size_t otherwise) -> engine::result<std::size_t> {
    json::value v;
    if (o[key].get(v) != simdjson::SUCCESS) return otherwise;
    std::uint64_t n = 0;
    if (v.get_uint64().get(n) != simdjson::SUCCESS)
      return fail(errc::invalid_argument, "scenario: '" + std::string(key) + "' has to be a whole number");
    return static_cast<std::size_t>(n);
  };
  const std::string kind(json::string_at(o, "kind").value_or("echo"));
  if (const auto ok = check_names(kind, options.run); !ok) return tl::make_unexpected(ok.error());
  const auto sessions = natural("sessions", options.sessions), users = natural("users", options.users),
             life = natural("session_commands", 0);
  for (const auto* n : {&sessions, &users, &life})
    if (!*n) return tl::make_unexpected(n->error());
  auto keys = key_chooser::parse(json::string_at(o, "keys").value_or(options.keys), *sessions);
  if (!keys) return tl::make_unexpected(keys.error());
  bool one_update = kind == "echo";
  if (json::value v; o["one_update_a_command"].get(v) == simdjson::SUCCESS && v.get_bool().get(one_update) != simdjson::SUCCESS)
    return fail(errc::invalid_argument, "scenario: 'one_update_a_command' is true or false");
  auto commands = read_commands(o, "commands", options);
  if (!commands) return tl::make_unexpected(commands.error());
  if (commands->empty()) return fail(errc::invalid_argument, "scenario: 'commands' needs at least one command");
  auto setup = read_commands(o, "setup", options);
  if (!setup) return tl::make_unexpected(setup.error());
  if (*life != 0 && !setup->empty())
    return fail(errc::invalid_argument, "scenario: 'setup' and 'session_commands' do not go together");
  template_scenario_config config{.kind = kind, .run = options.run, .keys = *keys, .users = *users};
  config.commands = std::move(*commands);
  config.setup = std::move(*setup);
  config.one_update_a_command = one_update;
  config.session_commands = *life;
  return std::make_unique<template_scenario>(std::move(config));
}

}  // namespace rowcall::tools::loadgen
