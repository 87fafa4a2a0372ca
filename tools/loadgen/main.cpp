#include <exception>
#include <iostream>

#include "tools/loadgen/options.hpp"

int main(int argc, char** argv) {
  using namespace rowcall::tools::loadgen;
  try {
    const command_line line = read_command_line(argc, argv);
    if (line.merge) return static_cast<int>(merge_files(*line.merge));
    if (line.run) return static_cast<int>(run(*line.run));
    return line.code;
  } catch (const std::exception& e) {
    std::cerr << "rowcall-loadgen: " << e.what() << '\n';
    return static_cast<int>(exit_code::failed);
  }
}
