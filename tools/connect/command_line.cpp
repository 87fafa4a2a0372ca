#include "tools/connect/command_line.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <map>
#include <optional>

#include "tools/connect/duration.hpp"

namespace rowcall::tools {
namespace {

/// CLI11 lets a configuration file win over the environment. Ours leaves out of the file what the environment sets.
class environment_first : public CLI::ConfigBase {
 public:
  explicit environment_first(std::map<std::string, std::string> environment) : environment_(std::move(environment)) {}
  std::vector<CLI::ConfigItem> from_config(std::istream& input) const override {
    auto items = ConfigBase::from_config(input);
    std::erase_if(items, [this](const CLI::ConfigItem& item) {
      const auto found = environment_.find(item.fullname());
      if (found == environment_.end()) return false;
      const char* value = std::getenv(found->second.c_str());
      return value != nullptr && *value != '\0';
    });
    return items;
  }

 private:
  std::map<std::string, std::string> environment_;  ///< full configuration key to variable
};

void name_environment(CLI::App& app, const std::string& prefix, const std::string& path,
                      std::map<std::string, std::string>& names) {
  for (auto* option : app.get_options()) {
    if (option->get_lnames().empty() || option == app.get_help_ptr() || option == app.get_version_ptr()) continue;
    const auto& flag = option->get_lnames().front();
    if (option->get_envname().empty()) option->envname(environment_name(prefix, path, flag));
    names.emplace(path.empty() ? flag : path + "." + flag, option->get_envname());
  }
  for (auto* sub : app.get_subcommands([](CLI::App*) { return true; }))
    name_environment(*sub, prefix, path.empty() ? sub->get_name() : path + "." + sub->get_name(), names);
}

/// Whether a message is about this option: its flag stands there as a word.
bool names(const std::string& message, const std::string& flag) {
  for (auto at = message.find(flag); at != std::string::npos; at = message.find(flag, at + 1)) {
    const auto end = at + flag.size();
    if (end == message.size() || (std::isalnum(static_cast<unsigned char>(message[end])) == 0 && message[end] != '-'))
      return true;
  }
  return false;
}

/// Whether a value stands in a message: several options may have the name that it tells.
bool shows(const std::string& message, const std::string& value) {
  return (" " + message + " ").find(" " + value + " ") != std::string::npos;
}

bool is_given(const CLI::Option& option, const std::vector<std::string>& arguments) {
  return std::any_of(arguments.begin(), arguments.end(), [&](const std::string& argument) {
    const auto is = [&](const std::string& flag, bool takes_rest) {
      return argument == flag || argument.starts_with(flag + "=") || (takes_rest && argument.starts_with(flag));
    };
    for (const auto& name : option.get_lnames())
      if (is("--" + name, false)) return true;
    for (const auto& name : option.get_snames())
      if (is("-" + name, true)) return true;
    return false;
  });
}

/// The file that was read, or was to be read.
std::string file_of(const CLI::App& app) {
  const auto* option = app.get_config_ptr();
  return option == nullptr ? "the configuration file" : option->as<std::string>();
}

/// What a message is about, when its value stands in the environment or in the file. `path`: the subcommands.
std::optional<command_line_fault> fault_of_value(const CLI::App& app, const std::string& file,
                                                 const std::string& message, const std::vector<std::string>& arguments,
                                                 const std::string& path) {
  for (const auto* option : app.get_options()) {
    if (option->get_lnames().empty() || option->empty() || is_given(*option, arguments)) continue;
    const auto& name = option->get_lnames().front();
    if (!names(message, "--" + name) || !shows(message, option->results().front())) continue;
    const char* value = std::getenv(option->get_envname().c_str());
    const bool is_variable = value != nullptr && *value != '\0';
    auto key = path.empty() ? name : path + "." + name;
    std::replace(key.begin(), key.end(), ' ', '.');
    return command_line_fault{
        message + " (from " + (is_variable ? "the variable " + option->get_envname() : key + " in " + file) + ")",
        path};
  }
  for (const auto* sub : app.get_subcommands([](const CLI::App*) { return true; }))
    if (auto found = fault_of_value(*sub, file, message, arguments, (path.empty() ? "" : path + " ") + sub->get_name()))
      return found;
  return std::nullopt;
}

/// The subcommands that a key begins with.
std::string command_of(const CLI::App& app, std::string_view key) {
  std::string path;
  const auto* at = &app;
  for (auto dot = key.find('.'); dot != std::string_view::npos; dot = key.find('.')) {
    const auto name = key.substr(0, dot);
    const auto subs = at->get_subcommands([&](const CLI::App* sub) { return sub->get_name() == name; });
    if (subs.empty()) break;
    at = subs.front();
    path += (path.empty() ? "" : " ") + at->get_name();
    key.remove_prefix(dot + 1);
  }
  return path;
}

/// CLI11's words for a key that it does not know, or does not take from a file.
command_line_fault fault_of_file(const CLI::App& app, std::string message) {
  const std::string unknown = "INI was not able to parse ",
                    not_here = ": This option is not allowed in a configuration file";
  std::string key;
  if (message.starts_with(unknown)) {
    key = message.substr(unknown.size());
    const auto section = key.find(".++");
    message = section == std::string::npos ? "unknown key " + key : "unknown section [" + key.substr(0, section) + "]";
  } else if (message.ends_with(not_here)) {
    key = message.substr(0, message.size() - not_here.size());
    message = key + " can not be given in a file";
  }
  return {file_of(app) + ": " + message, command_of(app, key)};
}

}  // namespace

command_line_fault fault_of(const CLI::App& app, const CLI::ParseError& error,
                            const std::vector<std::string>& arguments) {
  const std::string message = error.what();
  if (error.get_name() == "ConfigError") return fault_of_file(app, message);
  if (auto found = fault_of_value(app, file_of(app), message, arguments, "")) return *std::move(found);
  std::string command;
  for (auto subs = app.get_subcommands(); !subs.empty(); subs = subs.front()->get_subcommands())
    command += (command.empty() ? "" : " ") + subs.front()->get_name();
  return {message, command};
}

std::string environment_name(const std::string& prefix, const std::string& subcommands, const std::string& flag) {
  std::string name = prefix + "_" + (subcommands.empty() ? "" : subcommands + "_") + flag;
  for (auto& c : name) c = c == '-' || c == '.' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name;
}

CLI::Option* add_duration_option(CLI::App& app, const std::string& name, std::chrono::milliseconds& value,
                                 const std::string& description, duration_rule rule) {
  auto* option = app.add_option_function<std::string>(
      name,
      [&value, name, rule](const std::string& text) {
        auto parsed = parse_duration(text);
        if (!parsed) throw CLI::ValidationError(name, parsed.error().message);
        if (*parsed < rule.shortest)
          throw CLI::ValidationError(
              name, text + " is too short: it has to be " + format_duration(rule.shortest) + " or more");
        if (*parsed % rule.step != rule.step.zero())
          throw CLI::ValidationError(name,
                                     text + " is too fine: it has to be a multiple of " + format_duration(rule.step));
        value = *parsed;
      },
      description);
  return option->type_name("DURATION")->default_str(format_duration(value));
}

void add_connection_options(CLI::App& app, connection_options& options) {
  app.add_option("-d,--database", options.database_url, "PostgreSQL: a libpq URI or connection string")
      ->envname("ROWCALL_DATABASE_URL")
      ->type_name("URL");
  app.add_option("-n,--nats", options.nats_url, "NATS server, or several separated by commas")
      ->envname("ROWCALL_NATS_URL")
      ->type_name("URL")
      ->capture_default_str();
  app.add_option("--subject-prefix", options.subject_prefix, "first token of the NATS subjects")
      ->capture_default_str()
      ->envname("ROWCALL_SUBJECT_PREFIX");  // of the deployment, as both addresses: every program has to read the same
  add_duration_option(app, "--connect-timeout", options.connect_timeout, "bound on making one connection");
}

void finish_options(CLI::App& app, const std::string& prefix) {
  const char* file = std::getenv((prefix + "_CONFIG").c_str());
  // CLI11 reads the file before it looks at the environment, so the variable becomes the default; `required` makes a
  // name that can not be read an error instead of silence.
  app.set_config("--config", file != nullptr ? file : "",
                 "configuration file, see rowcall.example.conf (Env:" + prefix + "_CONFIG)",
                 file != nullptr && *file != '\0');
  std::map<std::string, std::string> names;
  name_environment(app, prefix, "", names);
  app.config_formatter(std::make_shared<environment_first>(std::move(names)));
  app.allow_config_extras(CLI::config_extras_mode::error);
}

}  // namespace rowcall::tools
