#include <chrono>
#include <cstdlib>
#include <thread>

#include "engine/module.hpp"
#include "tools/rowcall/main.hpp"

/// The standard engine with one more module that does what no module should: its command `crash` ends the process, and
/// `hang` never comes back.
namespace {

struct crashing {
  static constexpr std::string_view kind = "crashing";
  struct state {};
  static rowcall::engine::decision decide(const state&, const rowcall::engine::command& c) {
    if (c.type == "crash") std::_Exit(70);
    while (c.type == "hang") std::this_thread::sleep_for(std::chrono::seconds{1});
    return {};
  }
  static void apply(state&, const rowcall::engine::update&) {}
  static std::string save(const state&) { return "{}"; }
  static state load(const rowcall::engine::json::value&) { return {}; }
};

}  // namespace

int main(int argc, char** argv) {
  auto modules = rowcall::engine::standard_modules();
  modules.add<crashing>();
  return rowcall::tools::run_main(argc, argv, std::move(modules));
}
