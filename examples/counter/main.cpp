#include <utility>

#include "examples/counter/counter.hpp"
#include "tools/rowcall/main.hpp"

/// The `rowcall` command line, with one module more.
int main(int argc, char** argv) {
  auto modules = rowcall::engine::standard_modules();
  modules.add<example::counter>();  // the one registration line
  return rowcall::tools::run_main(argc, argv, std::move(modules));
}
