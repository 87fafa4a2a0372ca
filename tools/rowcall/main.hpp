#pragma once

#include "engine/module.hpp"

namespace rowcall::tools {

/// The whole `rowcall` command line with your own modules: `serve` runs these. Everything else is the same.
///
///   int main(int argc, char** argv) {
///     auto modules = rowcall::engine::standard_modules();
///     modules.add<counter>();
///     return rowcall::tools::run_main(argc, argv, std::move(modules));
///   }
///
/// Returns the process's exit code; lets no exception out.
int run_main(int argc, char** argv, engine::module_registry modules);

}  // namespace rowcall::tools
