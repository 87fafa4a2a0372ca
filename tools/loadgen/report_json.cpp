#include <algorithm>

#include "engine/json.hpp"
#include "tools/loadgen/report.hpp"

namespace rowcall::tools::loadgen {

namespace {

using engine::errc;
using engine::fail;
namespace json = engine::json;

constexpr std::string_view format_name = "rowcall-loadgen/1";
/// Beyond these no run has been: what is read can be added up.
constexpr double unix_s_max = 1e12;
constexpr std::int64_t second_max = 1'000'000'000, processes_max = 1'000'000;

void write_latency(json::writer& w, std::string_view key, const histogram& h) {
  w.key(key).begin_object();
  w.key("p50").number(to_ms(h.percentile(50))).key("p90").number(to_ms(h.percentile(90)));
  w.key("p99").number(to_ms(h.percentile(99))).key("p999").number(to_ms(h.percentile(99.9)));
  w.key("p9999").number(to_ms(h.percentile(99.99))).key("max").number(to_ms(h.max()));
  w.key("mean").number(to_ms(h.mean())).key("min").number(to_ms(h.min()));
  w.key("count").number(static_cast<std::int64_t>(h.count())).end_object();
}

void write_histogram(json::writer& w, std::string_view key, const histogram& h) {
  w.key(key).begin_object();
  w.key("min_ns").number(std::int64_t{h.min().count()}).key("max_ns").number(std::int64_t{h.max().count()});
  w.key("sum_ns").number(h.sum_ns()).key("steps").begin_array();
  for (const auto& [index, count] : h.steps()) w.number(std::int64_t{index}).number(static_cast<std::int64_t>(count));
  w.end_array().end_object();
}

void write_counts(json::writer& w, const counts& c) {
  const auto n = [](std::uint64_t x) { return static_cast<std::int64_t>(x); };
  w.key("submitted").number(n(c.submitted)).key("acknowledged").number(n(c.acknowledged));
  w.key("followed").number(n(c.followed)).key("rejected").number(n(c.rejected)).key("errors").number(n(c.errors));
}

// Reading: a missing member is what an older report does not have, so it reads as 0.

double real(const json::object& o, std::string_view key) {
  double x = 0;
  return o[key].get_double().get(x) == simdjson::SUCCESS ? x : 0;
}
std::int64_t whole(const json::object& o, std::string_view key) { return json::int_at(o, key).value_or(0); }
std::uint64_t natural(const json::object& o, std::string_view key) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(0, whole(o, key)));
}
std::string text(const json::object& o, std::string_view key) { return std::string(json::string_at(o, key).value_or("")); }
bool flag(const json::object& o, std::string_view key) {
  bool b = false;
  return o[key].get_bool().get(b) == simdjson::SUCCESS && b;
}
counts read_counts(const json::object& o) {
  return {natural(o, "submitted"), natural(o, "acknowledged"), natural(o, "followed"), natural(o, "rejected"),
          natural(o, "errors")};
}
engine::result<histogram> read_histogram(const json::object& o, std::string_view key) {
  json::object h;
  simdjson::dom::array steps;
  if (o[key].get_object().get(h) != simdjson::SUCCESS || h["steps"].get_array().get(steps) != simdjson::SUCCESS)
    return fail(errc::invalid_argument, "report: '" + std::string(key) + "' is missing");
  std::vector<std::pair<std::uint32_t, std::uint64_t>> pairs;
  bool is_index = true;
  for (const json::value x : steps) {
    std::uint64_t number = 0;
    if (x.get_uint64().get(number) != simdjson::SUCCESS)
      return fail(errc::invalid_argument, "report: a histogram holds something else than counts");
    if (is_index) {
      if (number > UINT32_MAX) return fail(errc::invalid_argument, "report: a histogram step is out of range");
      pairs.emplace_back(static_cast<std::uint32_t>(number), 0);
    } else {
      pairs.back().second = number;
    }
    is_index = !is_index;
  }
  using duration = histogram::duration;
  return histogram::from_steps(pairs, duration{whole(h, "min_ns")}, duration{whole(h, "max_ns")}, real(h, "sum_ns"));
}

template <class F>
void each_object(const json::object& o, std::string_view key, F f) {
  simdjson::dom::array all;
  if (o[key].get_array().get(all) != simdjson::SUCCESS) return;
  for (const json::value v : all) {
    json::object x;
    if (v.get_object().get(x) == simdjson::SUCCESS) f(x);
  }
}

}  // namespace

std::string to_json(const report& r) {
  const auto n = [](std::uint64_t x) { return static_cast<std::int64_t>(x); };
  json::writer w;
  w.begin_object().key("format").string(format_name);
  w.key("throughput_per_s").number(r.throughput_per_s());
  write_counts(w, r.count);
  w.key("lost").number(n(r.found.lost)).key("duplicated").number(n(r.found.duplicated));
  w.key("reordered").number(n(r.found.reordered)).key("gaps").number(n(r.found.gaps));
  write_latency(w, "latency_ms", r.latency);
  write_latency(w, "ack_latency_ms", r.ack_latency);
  write_latency(w, "read_latency_ms", r.read_latency);
  write_latency(w, "send_lag_ms", r.send_lag);
  w.key("duration_s").number(r.duration_s);
  w.key("passed").boolean(r.passed()).key("interrupted").boolean(r.interrupted).key("processes").number(std::int64_t{r.processes});
  w.key("config").begin_object();
  for (const auto& [key, value] : r.config) w.key(key).string(value);
  w.end_object();
  // Cores on average over the run; null for a process that is not on this machine.
  const double elapsed_s = r.cpu.cores > 0 ? r.cpu.elapsed_core_seconds / r.cpu.cores : 0;
  w.key("cpu").begin_object().key("cores").number(std::int64_t{r.cpu.cores});
  w.key("elapsed_s").number(elapsed_s).key("busy_share").number(r.cpu.machine_busy_share);
  for (const role x : {role::engine, role::postgresql, role::nats, role::generator, role::other}) {
    w.key(to_string(x));
    if (r.cpu.has(x) && elapsed_s > 0) w.number(r.cpu.of(x) / elapsed_s);
    else w.null();
  }
  w.end_object();
  w.key("bottleneck").begin_object().key("who").string(r.limit.who).key("why").string(r.limit.why).end_object();
  w.key("errors_by_code").begin_object();
  for (const auto& [code, number] : r.errors_by_code) w.key(code).number(n(number));
  w.end_object();
  w.key("examples").begin_array();
  for (const std::string& e : r.found.examples) w.string(e);
  w.end_array();
  w.key("pending_at_end").number(n(r.pending_at_end)).key("warm_up_commands").number(n(r.warm_up_commands));
  w.key("commands_digest").string(std::to_string(r.commands_digest));
  w.key("started_unix_s").number(r.started_unix_s);
  w.key("measure_from_unix_s").number(r.measure_from_unix_s).key("measure_to_unix_s").number(r.measure_to_unix_s);
  w.key("max_rate_per_s");
  if (r.max_rate_per_s) w.number(*r.max_rate_per_s);
  else w.null();
  w.key("search").begin_array();
  for (const search_step& s : r.search) {
    w.begin_object().key("rate").number(s.rate).key("throughput_per_s").number(s.throughput_per_s);
    w.key("p99_ms").number(s.p99_ms).key("held").boolean(s.held).key("why").string(s.why).end_object();
  }
  w.end_array();
  w.key("thresholds").begin_array();
  for (const threshold_result& t : r.thresholds)
    w.begin_object().key("text").string(t.text).key("value").number(t.value).key("failed").boolean(t.failed).end_object();
  w.end_array();
  w.key("stages").begin_array();
  for (const stage_report& s : r.stages) {
    w.begin_object().key("from_s").number(s.from_s).key("to_s").number(s.to_s).key("measured_s").number(s.measured_s);
    w.key("rate_from").number(s.rate_from).key("rate_to").number(s.rate_to);
    w.key("throughput_per_s").number(s.throughput_per_s());
    write_counts(w, s.count);
    write_latency(w, "latency_ms", s.latency);
    write_histogram(w, "latency_histogram", s.latency);
    w.end_object();
  }
  w.end_array();
  w.key("seconds").begin_array();
  for (const second_row& s : r.seconds) {
    w.begin_object().key("second").number(s.second).key("warm_up").boolean(s.warm_up).key("offered_per_s").number(s.offered_per_s);
    write_counts(w, s.count);
    w.key("in_flight").number(n(s.in_flight)).key("pending").number(n(s.pending));
    w.key("p50_ms").number(s.p50_ms).key("p90_ms").number(s.p90_ms).key("p99_ms").number(s.p99_ms).key("max_ms").number(s.max_ms);
    w.key("cpu_engine").number(s.cpu_engine).key("cpu_postgresql").number(s.cpu_postgresql);
    w.key("cpu_nats").number(s.cpu_nats).key("cpu_generator").number(s.cpu_generator).end_object();
  }
  w.end_array();
  w.key("histograms").begin_object();
  write_histogram(w, "latency", r.latency);
  write_histogram(w, "ack_latency", r.ack_latency);
  write_histogram(w, "read_latency", r.read_latency);
  write_histogram(w, "send_lag", r.send_lag);
  w.end_object().end_object();
  return std::move(w).str();
}

engine::result<report> from_json(std::string_view input) {
  json::parser parser;
  const auto parsed = parser.parse_object(input);
  if (!parsed) return tl::make_unexpected(parsed.error());
  const json::object& o = *parsed;
  if (json::string_at(o, "format").value_or("") != format_name)
    return fail(errc::invalid_argument, "this is no report of rowcall-loadgen (format " + std::string(format_name) + ")");
  report r;
  json::object part;
  if (o["config"].get_object().get(part) == simdjson::SUCCESS)
    for (const auto field : part) {
      std::string_view value;
      if (field.value.get_string().get(value) == simdjson::SUCCESS) r.config.emplace_back(field.key, value);
    }
  r.started_unix_s = real(o, "started_unix_s");
  r.measure_from_unix_s = real(o, "measure_from_unix_s");
  r.measure_to_unix_s = real(o, "measure_to_unix_s");
  for (const double s : {r.started_unix_s, r.measure_from_unix_s, r.measure_to_unix_s})
    if (s < 0 || s > unix_s_max) return fail(errc::invalid_argument, "report: a time is out of range");
  r.duration_s = real(o, "duration_s");
  r.count = read_counts(o);
  r.warm_up_commands = natural(o, "warm_up_commands");
  r.found.lost = natural(o, "lost");
  r.found.duplicated = natural(o, "duplicated");
  r.found.reordered = natural(o, "reordered");
  r.found.gaps = natural(o, "gaps");
  r.pending_at_end = natural(o, "pending_at_end");
  r.interrupted = flag(o, "interrupted");
  r.processes = static_cast<int>(std::clamp<std::int64_t>(whole(o, "processes"), 1, processes_max));
  r.commands_digest = std::strtoull(text(o, "commands_digest").c_str(), nullptr, 10);
  if (o["errors_by_code"].get_object().get(part) == simdjson::SUCCESS)
    for (const auto field : part) {
      std::uint64_t number = 0;
      if (field.value.get_uint64().get(number) == simdjson::SUCCESS) r.errors_by_code.emplace(field.key, number);
    }
  simdjson::dom::array array;
  if (o["examples"].get_array().get(array) == simdjson::SUCCESS)
    for (const json::value v : array) {
      std::string_view example;
      if (v.get_string().get(example) == simdjson::SUCCESS) r.found.examples.emplace_back(example);
    }
  if (o["cpu"].get_object().get(part) == simdjson::SUCCESS) {
    r.cpu.cores = static_cast<int>(std::max<std::int64_t>(1, whole(part, "cores")));
    r.cpu.elapsed_core_seconds = real(part, "elapsed_s") * r.cpu.cores;
    r.cpu.machine_busy_share = real(part, "busy_share");
    for (std::size_t i = 0; i < role_count; ++i) {
      double cores = 0;
      if (part[to_string(static_cast<role>(i))].get_double().get(cores) != simdjson::SUCCESS) continue;
      r.cpu.present[i] = true;
      r.cpu.seconds[i] = cores * real(part, "elapsed_s");
    }
  }
  if (o["bottleneck"].get_object().get(part) == simdjson::SUCCESS) r.limit = {text(part, "who"), text(part, "why")};
  if (double rate = 0; o["max_rate_per_s"].get_double().get(rate) == simdjson::SUCCESS) r.max_rate_per_s = rate;
  each_object(o, "search", [&](const json::object& s) {
    r.search.push_back({real(s, "rate"), real(s, "throughput_per_s"), real(s, "p99_ms"), flag(s, "held"), text(s, "why")});
  });
  each_object(o, "thresholds", [&](const json::object& t) {
    r.thresholds.push_back({text(t, "text"), real(t, "value"), flag(t, "failed")});
  });
  std::optional<engine::error> broken;
  each_object(o, "seconds", [&](const json::object& s) {
    second_row row;
    row.second = whole(s, "second");
    if (row.second < 0 || row.second > second_max) broken = {errc::invalid_argument, "report: a second is out of range"};
    row.warm_up = flag(s, "warm_up");
    row.offered_per_s = real(s, "offered_per_s");
    row.count = read_counts(s);
    row.in_flight = natural(s, "in_flight");
    row.pending = natural(s, "pending");
    row.p50_ms = real(s, "p50_ms");
    row.p90_ms = real(s, "p90_ms");
    row.p99_ms = real(s, "p99_ms");
    row.max_ms = real(s, "max_ms");
    row.cpu_engine = real(s, "cpu_engine");
    row.cpu_postgresql = real(s, "cpu_postgresql");
    row.cpu_nats = real(s, "cpu_nats");
    row.cpu_generator = real(s, "cpu_generator");
    r.seconds.push_back(row);
  });
  each_object(o, "stages", [&](const json::object& s) {
    stage_report stage;
    stage.from_s = real(s, "from_s");
    stage.to_s = real(s, "to_s");
    stage.measured_s = real(s, "measured_s");
    stage.rate_from = real(s, "rate_from");
    stage.rate_to = real(s, "rate_to");
    stage.count = read_counts(s);
    auto h = read_histogram(s, "latency_histogram");
    if (h) stage.latency = std::move(*h);
    else broken = h.error();
    r.stages.push_back(std::move(stage));
  });
  if (broken) return tl::make_unexpected(*broken);
  if (o["histograms"].get_object().get(part) != simdjson::SUCCESS)
    return fail(errc::invalid_argument, "report: 'histograms' is missing");
  for (auto [key, target] : {std::pair{"latency", &r.latency}, {"ack_latency", &r.ack_latency},
                             {"read_latency", &r.read_latency}, {"send_lag", &r.send_lag}}) {
    auto h = read_histogram(part, key);
    if (!h) return tl::make_unexpected(h.error());
    *target = std::move(*h);
  }
  return r;
}

}  // namespace rowcall::tools::loadgen
