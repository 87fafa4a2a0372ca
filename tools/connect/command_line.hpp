#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "tools/connect/connect.hpp"

namespace CLI {
class App;
class Option;
class ParseError;
}  // namespace CLI

/// One table of options for a tool: the command line is declared once, and environment variables and configuration
/// keys follow from the names by rule.
///
///   flag                 environment                    configuration file
///   --log-level          ROWCALL_LOG_LEVEL              log-level = "info"
///   serve --workers      ROWCALL_SERVE_WORKERS          [serve] workers = 2
///
/// The command line wins over the environment, the environment over the file, the file over the default.
namespace rowcall::tools {

/// --database, --nats, --subject-prefix, --connect-timeout.
void add_connection_options(CLI::App& app, connection_options& options);

/// What a duration has to be besides well-formed. By default: anything.
struct duration_rule {
  std::chrono::milliseconds shortest{0};
  std::chrono::milliseconds step{1};  ///< it has to be a multiple of this
};

/// An option that is a duration ("10s"); shows and stores it in milliseconds. One that breaks the rule is refused.
CLI::Option* add_duration_option(CLI::App& app, const std::string& name, std::chrono::milliseconds& value,
                                 const std::string& description, duration_rule rule = {});

/// To be called when all options are declared: gives every option without one its environment variable, adds --config,
/// and refuses unknown keys in a configuration file.
void finish_options(CLI::App& app, const std::string& prefix = "ROWCALL");

struct command_line_fault {
  std::string message;  ///< with where the value came from, when that is not the command line
  std::string command;  ///< whose --help tells more: the subcommands; empty: the program's
};
/// What is wrong, for people. `arguments`: as they were parsed.
command_line_fault fault_of(const CLI::App& app, const CLI::ParseError& error,
                            const std::vector<std::string>& arguments);

/// The environment variable of an option by the rule above.
std::string environment_name(const std::string& prefix, const std::string& subcommands, const std::string& flag);

}  // namespace rowcall::tools
