#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "bench/macro/figure_groups.hpp"
#include "bench/macro/machine.hpp"
#include "engine/json.hpp"

/// The macro benchmarks: the engine as a process of its own, and the yardsticks, in alternation. One JSON line a
/// figure.
namespace rowcall::bench {
namespace {

using group = void (*)(const settings&, figures&);
struct named_group {
  const char* name;
  group measure;
  bool needs_live_maximum;
};
constexpr named_group each_round[] = {
    {"drain", measure_drain, false}, {"live", measure_live, false}, {"zipf", measure_zipf, true},
    {"hot", measure_hot, true},      {"many", measure_many, true},  {"single", measure_single, false},
    {"open", measure_open, true},
};
constexpr named_group once[] = {
    {"curve", measure_load_curve, true}, {"idle", measure_idle, false}, {"memory", measure_memory, false},
    {"start", measure_start, false},     {"soak", measure_soak, true},
};

bool wants(const settings& s, const named_group& g) {
  if (s.only.empty()) return std::string_view(g.name) != "soak";
  return s.only.count(g.name) > 0;
}

figures run(const settings& s) {
  figures all;
  const auto measure = [&](const named_group& g) {
    std::fprintf(stderr, " %s\n", g.name);
    try {
      g.measure(s, all);
    } catch (const std::exception& e) {
      throw std::runtime_error(std::string(g.name) + ": " + e.what());
    }
  };
  const auto& live = each_round[1];
  for (int round = 1; round <= s.rounds; ++round) {
    std::fprintf(stderr, "round %d of %d\n", round, s.rounds);
    bool is_live_measured = false;
    for (const auto& g : each_round) {
      if (!wants(s, g)) continue;
      if (g.needs_live_maximum && !is_live_measured) {
        if (!wants(s, live)) measure(live);
        is_live_measured = true;
      }
      measure(g);
    }
  }
  for (const auto& g : once) {
    if (!wants(s, g)) continue;
    if (g.needs_live_maximum && !all.has("live_per_s")) measure(live);
    measure(g);
  }
  return all;
}

/// What stands in each figure's line besides its values.
std::string head_of(const settings& s) {
  engine::json::writer w;
  const auto n = [](std::size_t v) { return static_cast<std::int64_t>(v); };
  w.begin_object().key("commit").string(s.commit).key("machine").raw(describe_machine(s.database));
  w.key("configuration").begin_object();
  w.key("sessions").number(n(s.w.sessions)).key("commands").number(n(s.w.commands));
  w.key("many_sessions").number(n(s.many_sessions)).key("singles").number(n(s.singles));
  w.key("open_s").number(s.open_s).key("idle_s").number(s.idle_s).key("idle_sessions").number(n(s.idle_sessions));
  w.key("visited_sessions").number(n(s.visited_sessions)).key("active_sessions").number(n(s.active_sessions));
  w.key("start_commands").number(n(s.start_commands)).key("start_sessions").number(n(s.start_sessions));
  w.key("soak_s").number(s.soak_s).key("soak_share").number(s.soak_share).key("seed").number(n(s.seed)).end_object().end_object();
  const auto text = std::move(w).str();
  return text.substr(1, text.size() - 2);
}

constexpr const char* usage =
    "rowcall-bench --rowcall PROGRAM [--postgres-pid PID] [--nats-pid PID] [OPTION VALUE]...\n"
    "ROWCALL_DATABASE_URL and ROWCALL_NATS_URL name servers whose contents may be thrown away.\n"
    "  --only GROUPS        some of drain,live,zipf,hot,many,single,open,curve,idle,memory,start,soak (default: all "
    "but soak)\n"
    "  --rounds N           of the first seven; the others are measured once\n"
    "  --commands N --sessions N --many-sessions N --singles N --seed N\n"
    "  --open-seconds S --open-warm-up S --idle-seconds S --idle-sessions N --visited-sessions N --active-sessions N\n"
    "  --start-commands N --start-sessions N --soak-minutes M --soak-share S\n"
    "  --commit TEXT        what is measured\n"
    "  --output FILE        instead of stdout\n";

template <class T>
void read_number(std::string_view key, std::string_view text, T& into) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || !(value >= T{0}))
    throw std::invalid_argument(std::string(key) + ": a number is expected, not '" + std::string(text) + "'");
  into = value;
}

/// Throws invalid_argument.
settings read_command_line(int argc, char** argv) {
  settings s;
  const auto from_environment = [](const char* name) {
    return std::string(std::getenv(name) ? std::getenv(name) : "");
  };
  s.database = from_environment("ROWCALL_DATABASE_URL");
  s.nats = from_environment("ROWCALL_NATS_URL");
  s.subject_prefix = from_environment("ROWCALL_SUBJECT_PREFIX");  // the engine reads it as well
  double soak_minutes = s.soak_s / 60;
  for (int i = 1; i < argc; i += 2) {
    const std::string_view key = argv[i];
    if (i + 1 == argc) throw std::invalid_argument(std::string(key) + ": a value is expected");
    const std::string value = argv[i + 1];
    const auto number = [&](auto& into) { read_number(key, value, into); };
    if (key == "--rowcall")
      s.rowcall = value;
    else if (key == "--commit")
      s.commit = value;
    else if (key == "--output")
      s.output = value;
    else if (key == "--rounds")
      number(s.rounds);
    else if (key == "--commands")
      number(s.w.commands);
    else if (key == "--sessions")
      number(s.w.sessions);
    else if (key == "--many-sessions")
      number(s.many_sessions);
    else if (key == "--singles")
      number(s.singles);
    else if (key == "--seed")
      number(s.seed);
    else if (key == "--open-seconds")
      number(s.open_s);
    else if (key == "--open-warm-up")
      number(s.open_warm_up_s);
    else if (key == "--idle-seconds")
      number(s.idle_s);
    else if (key == "--idle-sessions")
      number(s.idle_sessions);
    else if (key == "--visited-sessions")
      number(s.visited_sessions);
    else if (key == "--active-sessions")
      number(s.active_sessions);
    else if (key == "--passivate-seconds")
      number(s.passivate_s);
    else if (key == "--start-commands")
      number(s.start_commands);
    else if (key == "--start-sessions")
      number(s.start_sessions);
    else if (key == "--soak-minutes")
      number(soak_minutes);
    else if (key == "--soak-share")
      number(s.soak_share);
    else if (key == "--postgres-pid")
      number(s.postgres);
    else if (key == "--nats-pid")
      number(s.nats_server);
    else if (key == "--only") {
      for (std::size_t at = 0; at <= value.size();) {
        const auto end = std::min(value.find(',', at), value.size());
        const auto name = value.substr(at, end - at);
        const auto is_it = [&](const named_group& g) { return name == g.name; };
        if (std::none_of(std::begin(each_round), std::end(each_round), is_it) &&
            std::none_of(std::begin(once), std::end(once), is_it))
          throw std::invalid_argument("--only: there is no group '" + name + "'");
        s.only.insert(name);
        at = end + 1;
      }
    } else
      throw std::invalid_argument("unknown option " + std::string(key));
  }
  s.soak_s = soak_minutes * 60;
  if (s.database.empty() || s.nats.empty() || s.rowcall.empty())
    throw std::invalid_argument("--rowcall, ROWCALL_DATABASE_URL and ROWCALL_NATS_URL are needed");
  if (s.w.sessions == 0 || s.w.commands < s.w.sessions || s.many_sessions == 0 || s.rounds == 0 ||
      s.start_sessions == 0)
    throw std::invalid_argument("a size is too small");
  return s;
}

int main(int argc, char** argv) {
  settings s;
  try {
    s = read_command_line(argc, argv);
  } catch (const std::invalid_argument& e) {
    std::fprintf(stderr, "rowcall-bench: %s\n%s", e.what(), usage);
    return 2;
  }
  try {
    std::FILE* out = s.output.empty() ? stdout : std::fopen(s.output.c_str(), "w");
    if (out == nullptr) throw std::runtime_error(s.output + " can not be written");
    const auto head = head_of(s);
    run(s).print(out, head);
    if (std::fflush(out) != 0) throw std::runtime_error("the output can not be written");
    return 0;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "rowcall-bench: %s\n", e.what());
    return 1;
  }
}

}  // namespace
}  // namespace rowcall::bench

int main(int argc, char** argv) { return rowcall::bench::main(argc, argv); }
