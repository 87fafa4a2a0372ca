#pragma once

#include "engine/module.hpp"
#include "tools/rowcall/exit_code.hpp"
#include "tools/rowcall/options.hpp"

/// The subcommands, one file each. Each opens what it needs, does its work and returns how it ended.
namespace rowcall::tools {

exit_code run(const global_options& global, const migrate_options& options);
exit_code run(const global_options& global, const submit_options& options);
exit_code run(const global_options& global, const follow_options& options);
exit_code run(const global_options& global, const status_options& options);
exit_code run(const global_options& global, const top_options& options);
exit_code run(const global_options& global, const cleanup_options& options);
exit_code run(const global_options& global, const dead_options& options);
exit_code run(const global_options& global, const doctor_options& options);
exit_code run(const global_options& global, const restored_options& options);
exit_code run(const global_options& global, const demo_options& options);
exit_code run(const global_options& global, const chat_options& options);
exit_code run(const global_options& global, const token_options& options);
/// Folds with the modules, for the operator's console.
exit_code run(const global_options& global, const gateway_options& options, const engine::module_registry& modules);
/// Takes the modules: it is the only one that runs them.
exit_code run(const global_options& global, const serve_options& options, engine::module_registry modules);

}  // namespace rowcall::tools
