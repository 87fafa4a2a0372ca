#include <fstream>
#include <iostream>
#include <sstream>

#include "tools/loadgen/options.hpp"

namespace rowcall::tools::loadgen {

exit_code merge_files(const merge_options& options) {
  if (const auto ok = parse_thresholds(options.output); !ok) {
    std::cerr << "rowcall-loadgen: " << ok.error().message << '\n';
    return exit_code::usage;
  }
  std::vector<report> reports;
  for (const std::string& file : options.files) {
    std::ifstream in(file, std::ios::binary);
    std::ostringstream text;
    text << in.rdbuf();
    if (!in) {
      std::cerr << "rowcall-loadgen: '" << file << "' can not be read\n";
      return exit_code::usage;
    }
    auto r = from_json(text.str());
    if (!r) {
      std::cerr << "rowcall-loadgen: '" << file << "': " << r.error().message << '\n';
      return exit_code::usage;
    }
    reports.push_back(std::move(*r));
  }
  report merged = merge(reports);
  return finish(merged, options.output);
}

}  // namespace rowcall::tools::loadgen
