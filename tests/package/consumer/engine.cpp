// The whole command line with another project's module, as the README shows it.
#include "engine/module.hpp"
#include "tools/rowcall/main.hpp"

namespace {

struct nothing {
  static constexpr std::string_view kind = "nothing";
  struct state {};
  static rowcall::engine::decision decide(const state&, const rowcall::engine::command&) { return {}; }
};

}  // namespace

int main(int argc, char** argv) {
  auto modules = rowcall::engine::standard_modules();
  modules.add<nothing>();
  return rowcall::tools::run_main(argc, argv, std::move(modules));
}
