#include "tools/connect/command_line.hpp"

#include <CLI/CLI.hpp>

#include <cctype>
#include <cstdlib>
#include <map>

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
    if (option->get_lnames().empty() || !option->get_configurable()) continue;
    const auto& flag = option->get_lnames().front();
    if (option->get_envname().empty()) option->envname(environment_name(prefix, path, flag));
    names.emplace(path.empty() ? flag : path + "." + flag, option->get_envname());
  }
  for (auto* sub : app.get_subcommands([](CLI::App*) { return true; }))
    name_environment(*sub, prefix, path.empty() ? sub->get_name() : path + "." + sub->get_name(), names);
}

}  // namespace

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
