#include "tools/loadgen/finish.hpp"

#include <fstream>
#include <iostream>

namespace rowcall::tools::loadgen {

namespace {

engine::result<void> write_file(const std::string& name, const std::string& text) {
  if (name == "-") {
    std::cout << text << std::flush;
    if (!std::cout) return engine::fail(engine::errc::internal, "stdout can not be written");
    return {};
  }
  std::ofstream out(name, std::ios::binary | std::ios::trunc);
  out << text;
  out.close();
  if (!out) return engine::fail(engine::errc::internal, "'" + name + "' can not be written");
  return {};
}

}  // namespace

engine::result<std::vector<threshold>> parse_thresholds(const output_options& output) {
  std::vector<threshold> all;
  for (const std::string& text : output.fail_if) {
    auto t = threshold::parse(text);
    if (!t) return tl::make_unexpected(t.error());
    all.push_back(std::move(*t));
  }
  return all;
}

exit_code finish(report& r, const output_options& output) {
  const auto thresholds = parse_thresholds(output);
  if (!thresholds) {
    std::cerr << "rowcall-loadgen: " << thresholds.error().message << '\n';
    return exit_code::usage;
  }
  r.check(*thresholds);
  bool is_written = true;
  for (const auto& [file, write] :
       {std::pair{&output.json, &to_json}, {&output.csv, &to_csv}, {&output.html, &to_html}}) {
    if (file->empty()) continue;
    if (const auto written = write_file(*file, *file == "-" ? write(r) + "\n" : write(r)); !written) {
      std::cerr << "rowcall-loadgen: " << written.error().message << '\n';
      is_written = false;
    }
  }
  // A report on stdout is for a program: the summary then goes to stderr.
  const bool has_stdout = output.json == "-" || output.csv == "-" || output.html == "-";
  if (!output.is_quiet) (has_stdout ? std::cerr : std::cout) << to_text(r) << std::flush;
  if (!r.found.clean()) return exit_code::faulty;
  if (!r.passed()) return exit_code::threshold;
  if (r.count.submitted > 0 && r.count.followed == 0) {
    std::cerr << "rowcall-loadgen: not one command was followed: is an engine running that serves this kind?\n";
    return exit_code::failed;
  }
  return is_written ? exit_code::ok : exit_code::failed;
}

}  // namespace rowcall::tools::loadgen
