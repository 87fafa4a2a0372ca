#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>
#include <vector>

#include "tests/chaos/chaos.hpp"
#include "tests/checker/checker.hpp"

namespace {

constexpr const char* usage =
    R"(rowcall_chaos: engines, clients, PostgreSQL and NATS under faults; afterwards the checker decides.

  --minutes N | --seconds N   at least this long (60 s)
  --faults N                  and at least this many faults (60)
  --seed S                    what faults there are, and when (drawn when it is not given; it is printed)
  --kinds A,B                 only these (--list names them)
  --bug NAME                  a deliberately broken engine; the run succeeds when the checker finds …
  --expect RULE,…             … that one of these of its rules is broken
  --strict                    a recovery beyond its bound fails the run
  --medians-within N          so does a kind whose median recovery is above N times its bound
  --plan N                    prints the first N episodes of the seed, and runs nothing
  --list                      the kinds of faults
)";

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> parts;
  for (std::size_t at = 0; at <= list.size();) {
    const auto end = std::min(list.find(',', at), list.size());
    parts.push_back(list.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

int fail(const std::string& text) {
  std::cerr << text << "\n" << usage;
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace rowcall::chaos;
  options o;
  o.seed = static_cast<std::uint64_t>(std::chrono::system_clock::now().time_since_epoch().count()) % 1'000'000;
  std::size_t plan = 0;
  std::vector<std::string> expected;  // rules that the bug breaks
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--strict") {
      o.is_strict = true;
      continue;
    }
    if (name == "--quiet") {
      o.is_quiet = true;
      continue;
    }
    if (name == "--list") {
      for (const auto kind : all_fault_kinds()) std::cout << to_string(kind) << "\n";
      return 0;
    }
    if (name == "--help") {
      std::cout << usage;
      return 0;
    }
    if (i + 1 >= argc) return fail(name + "?");
    const std::string value = argv[++i];
    if (name == "--bug") {
      o.bug = value;
      continue;
    }
    if (name == "--kinds") {
      for (const auto& word : split(value)) {
        const auto kind = fault_kind_from(word);
        if (!kind) return fail("there is no fault " + word);
        o.kinds.push_back(*kind);
      }
      continue;
    }
    if (name == "--expect") {
      for (auto& word : split(value)) {
        if (!rowcall::checker::rule_from(word)) return fail("there is no rule " + word);
        expected.push_back(std::move(word));
      }
      continue;
    }
    char* end = nullptr;
    const auto number = std::strtoull(value.c_str(), &end, 10);
    if (value.empty() || *end != '\0') return fail(name + " needs a number");
    if (name == "--minutes")
      o.lasts = std::chrono::minutes{number};
    else if (name == "--seconds")
      o.lasts = std::chrono::seconds{number};
    else if (name == "--faults")
      o.faults_min = number;
    else if (name == "--seed")
      o.seed = number;
    else if (name == "--medians-within")
      o.medians_within = static_cast<double>(number);
    else if (name == "--plan")
      plan = number;
    else
      return fail("unknown option " + name);
  }
  if (o.bug.empty() != expected.empty()) return fail("--bug and --expect belong together");
  std::cout << "SEED " << o.seed << std::endl;
  if (plan > 0) {
    auto kinds = o.kinds;
    if (kinds.empty()) kinds.assign(all_fault_kinds().begin(), all_fault_kinds().end());
    schedule faults(o.seed, kinds, milliseconds{1'500});
    for (std::size_t i = 0; i < plan; ++i) {
      const auto e = faults.next();
      std::cout << "after " << e.pause.count() << " ms:\n";
      for (const auto& f : e.faults) std::cout << "  " << describe(f) << "\n";
    }
    return 0;
  }
  try {
    const auto r = run(o, std::cout);
    print(r, std::cout);
    std::cout << "SEED " << o.seed << std::endl;
    if (o.bug.empty()) return r.violations.empty() ? 0 : 1;
    // A run that ended early, or anything else that went wrong, is no proof: the checker must say what the bug does.
    const bool is_found = std::any_of(expected.begin(), expected.end(),
                                      [&](const std::string& rule) { return r.broken_rules.contains(rule); });
    std::cout << (is_found ? "the bug was found" : "the bug was NOT found") << std::endl;
    return is_found ? 0 : 1;
  } catch (const std::exception& e) {
    std::cerr << "chaos: " << e.what() << "\nSEED " << o.seed << std::endl;
    return 1;
  }
}
