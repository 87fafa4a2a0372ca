#include <chrono>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>

#include "tests/chaos/chaos.hpp"

namespace {

constexpr const char* usage =
    R"(rowcall_chaos: engines, clients, PostgreSQL and NATS under faults; afterwards the checker decides.

  --minutes N | --seconds N   at least this long (60 s)
  --faults N                  and at least this many faults (60)
  --seed S                    what faults there are, and when (drawn when it is not given; it is printed)
  --kinds A,B                 only these (--list names them)
  --bug NAME                  a deliberately broken engine; the run succeeds when the checker complains
  --strict                    a recovery beyond its bound fails the run
  --plan N                    prints the first N episodes of the seed, and runs nothing
  --list                      the kinds of faults
)";

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
      for (std::size_t at = 0; at <= value.size();) {
        const auto end = std::min(value.find(',', at), value.size());
        const auto kind = fault_kind_from(value.substr(at, end - at));
        if (!kind) return fail("there is no fault " + value.substr(at, end - at));
        o.kinds.push_back(*kind);
        at = end + 1;
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
    else if (name == "--plan")
      plan = number;
    else
      return fail("unknown option " + name);
  }
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
    std::cout << (r.violations.empty() ? "the bug was NOT found" : "the bug was found") << std::endl;
    return r.violations.empty() ? 1 : 0;
  } catch (const std::exception& e) {
    std::cerr << "chaos: " << e.what() << "\nSEED " << o.seed << std::endl;
    return 1;
  }
}
