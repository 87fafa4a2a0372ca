#include "gateway/internal/operator_api.hpp"

#include <algorithm>

#include "gateway/internal/apis.hpp"
#include "gateway/internal/positions.hpp"
#include "gateway/internal/update_text.hpp"

namespace rowcall::gateway::internal {
namespace {

namespace json = engine::json;
using std::chrono::milliseconds;

constexpr milliseconds sample_interval_watched{1'900}, sample_interval_idle{9'900};
constexpr std::chrono::minutes watched_for{1};
constexpr std::int64_t hottest_commands_max = 10'000;
constexpr milliseconds hottest_window_max{60'000};
constexpr std::size_t ranks_default = 20, ranks_max = 100;

double per_second(std::int64_t count, std::chrono::microseconds span) {
  return span.count() <= 0 ? 0 : static_cast<double>(count) * 1e6 / static_cast<double>(span.count());
}

void append_quantiles(json::writer& w, std::string_view name, const std::optional<console_sample::quantiles>& q) {
  w.key(name);
  if (!q) {
    w.null();
    return;
  }
  w.begin_object().key("p50_us").number(q->p50_us).key("p99_us").number(q->p99_us).end_object();
}

void append_sample(json::writer& w, const console_sample& s) {
  w.begin_object().key("number").number(s.number).key("at").string(time_text(s.at));
  w.key("span_ms").number(static_cast<std::int64_t>(s.span.count() / 1'000));
  w.key("turns_per_s").number(per_second(s.turns, s.span)).key("commands_per_s").number(per_second(s.commands, s.span));
  w.key("updates_per_s").number(per_second(s.updates, s.span));
  append_quantiles(w, "wait", s.wait);
  append_quantiles(w, "turn", s.turn);
  w.key("pending").number(s.pending).key("oldest_pending_ms").number(s.oldest_pending_ms);
  w.key("retrying").number(s.retrying).key("dead").number(s.dead).key("failures").number(s.retries);
  w.key("parked").number(s.dead_letters).key("lost_wakes").number(s.lost_wakes).end_object();
}

void append_node(json::writer& w, const engine::console_node& n) {
  const auto& t = n.totals;
  w.begin_object().key("node").string(n.info.node).key("version").string(n.info.version).key("kinds").begin_array();
  for (const auto& kind : n.info.kinds) w.string(kind);
  w.end_array().key("alive").boolean(n.is_alive);
  w.key("uptime_s").number(static_cast<std::int64_t>(n.info.uptime.count()));
  w.key("heartbeat_age_ms").number(static_cast<std::int64_t>(n.info.heartbeat_age.count()));
  w.key("turns_per_s").number(n.turns_per_s).key("commands_per_s").number(n.commands_per_s);
  w.key("commands").number(t.commands).key("updates").number(t.updates).key("failures").number(t.retries);
  w.key("parked").number(t.dead_letters).key("lost_wakes").number(t.lost_wakes).key("shards").begin_array();
  for (const auto shard : n.shards) w.number(static_cast<std::int64_t>(shard));
  w.end_array().end_object();
}

std::string overview_text(const context& c, std::int64_t after) {
  const auto& o = *c.console.history.last();
  json::writer w;
  w.begin_object().key("sampler").string(c.gateway_id).key("at").string(time_text(o.at));
  w.key("pending_commands").number(o.pending_commands).key("pending_sessions").number(o.pending_sessions);
  w.key("pending_is_exact").boolean(o.pending_is_exact);
  w.key("oldest_pending_ms").number(static_cast<std::int64_t>(o.oldest_pending_age.count()));
  w.key("retrying").number(o.retrying).key("dead").number(o.dead).key("nodes").begin_array();
  for (const auto& node : o.nodes) append_node(w, node);
  w.end_array().key("samples").begin_array();
  for (const auto& sample : c.console.history.samples())
    if (sample.number > after) append_sample(w, sample);
  w.end_array().end_object();
  return std::move(w).str();
}

std::string ranks_text(const engine::session_ranks& ranks, std::string_view order, milliseconds window) {
  json::writer w;
  w.begin_object().key("order").string(order).key("window_ms").number(static_cast<std::int64_t>(window.count()));
  w.key("complete").boolean(ranks.is_complete).key("sessions").begin_array();
  for (const auto& s : ranks.sessions) {
    w.begin_object().key("session").string(s.session.str()).key("recent_commands").number(s.recent_commands);
    w.key("pending_commands").number(s.pending_commands);
    w.key("oldest_pending_ms").number(static_cast<std::int64_t>(s.oldest_pending_age.count()));
    w.key("last_seq").number(s.last.value).key("attempts").number(static_cast<std::int64_t>(s.attempts));
    w.key("error").string(s.error).end_object();
  }
  w.end_array().end_object();
  return std::move(w).str();
}

}  // namespace

std::optional<identity> identify_operator(context& c, exchange& e) {
  auto who = identify(c, e);
  if (!who) return std::nullopt;
  if (who->is_operator) return who;
  e.answer(problem(403, "forbidden", "this needs an operator's token"));
  return std::nullopt;
}

void work_for_operator(context& c, const exchange_ptr& e, std::function<http_answer(reader_stores&)> work) {
  if (!c.read_on(*c.operators, std::move(work), [e](http_answer a) { e->answer(std::move(a)); })) e->answer(too_busy());
}

void read_for_operator(context& c, const exchange_ptr& e, std::function<http_answer(reader_stores&)> work) {
  const auto who = identify_operator(c, *e);
  if (!who || !take_rate(c, c.read_rate, *who, *e)) return;
  work_for_operator(c, e, std::move(work));
}

http_answer operator_problem(const engine::error& error) {
  if (error.code == engine::errc::internal || error.code == engine::errc::not_permitted ||
      error.code == engine::errc::schema_mismatch)
    return problem(500, "internal", error.message);
  if (error.code == engine::errc::timed_out)
    return problem_later(503, "unavailable", "the database took too long, and was told to stop: " + error.message, 1);
  return problem_of(error);
}

bool read_number(const exchange_ptr& e, std::string_view name, std::int64_t min, std::optional<std::int64_t>& out) {
  const auto given = e->request().parameter(name);
  if (!given) return true;
  const auto n = read_position(*given);
  if (n && *n >= min) {
    out = *n;
    return true;
  }
  e->answer(problem(400, "bad-request", std::string{name} + " must be a number from " + std::to_string(min) + " on"));
  return false;
}

bool read_limit(const exchange_ptr& e, std::size_t max, std::size_t& limit) {
  std::optional<std::int64_t> given;
  if (!read_number(e, "limit", 1, given)) return false;
  if (given) limit = static_cast<std::size_t>(std::min<std::int64_t>(*given, static_cast<std::int64_t>(max)));
  return true;
}

bool is_prefix(std::string_view text) {
  return text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
         });
}

void sample_console(context& c, std::chrono::steady_clock::time_point now) {
  auto& console = c.console;
  const bool is_watched = now - console.watched_at < watched_for;
  if (console.is_sampling || now - console.sampled_at < (is_watched ? sample_interval_watched : sample_interval_idle))
    return;
  console.sampled_at = now;
  console.is_sampling = c.read_on(
      *c.operators, [](reader_stores& stores) { return stores.console->overview(); },
      [&console](engine::result<engine::console_overview> look) {
        console.is_sampling = false;
        console.failure = look ? std::nullopt : std::optional{look.error()};
        if (look) console.history.add(*std::move(look));
      });
}

void get_status(context& c, const exchange_ptr& e) {
  read_for_operator(c, e, [](reader_stores& stores) {
    const auto report = stores.admin->status();
    if (!report) return operator_problem(report.error());
    const auto& s = *report;
    json::writer w;
    w.begin_object().key("sessions").number(s.sessions).key("pending_commands").number(s.pending_commands);
    w.key("pending_sessions").number(s.pending_sessions).key("pending_is_exact").boolean(s.pending_is_exact);
    w.key("oldest_pending_ms").number(static_cast<std::int64_t>(s.oldest_pending_age.count()));
    w.key("unserved_commands")
        .number(s.unserved_commands)
        .key("retrying")
        .number(s.retrying)
        .key("dead")
        .number(s.dead);
    w.key("turns_per_s").number(s.turns_per_s).key("commands_per_s").number(s.commands_per_s);
    w.key("schema_version").number(static_cast<std::int64_t>(s.schema_version)).key("nodes").begin_array();
    for (const auto& node : s.nodes) {
      w.begin_object().key("node").string(node.node).key("version").string(node.version).key("kinds").begin_array();
      for (const auto& kind : node.kinds) w.string(kind);
      w.end_array().key("uptime_s").number(static_cast<std::int64_t>(node.uptime.count()));
      w.key("heartbeat_age_ms").number(static_cast<std::int64_t>(node.heartbeat_age.count())).end_object();
    }
    w.end_array().end_object();
    return json_answer(200, std::move(w).str());
  });
}

void get_overview(context& c, const exchange_ptr& e) {
  const auto who = identify_operator(c, *e);
  if (!who || !take_rate(c, c.read_rate, *who, *e)) return;
  std::optional<std::int64_t> after;
  if (!read_number(e, "after", 0, after)) return;
  c.console.watched_at = std::chrono::steady_clock::now();
  if (c.console.history.last() == nullptr)
    return e->answer(c.console.failure
                         ? operator_problem(*c.console.failure)
                         : problem_later(503, "unavailable", "the gateway has not seen the database yet", 1));
  auto text = overview_text(c, after.value_or(0));
  const bool gzip = wants_gzip(e->request(), text.size());
  e->answer(packed_json(std::move(text), gzip));
}

void get_ranks(context& c, const exchange_ptr& e) {
  std::size_t limit = ranks_default;
  const auto who = identify_operator(c, *e);
  if (!who || !take_rate(c, c.read_rate, *who, *e) || !read_limit(e, ranks_max, limit)) return;
  const auto order = e->request().parameter("order").value_or("hottest");
  if (order == "stuck")
    return work_for_operator(c, e, [limit](reader_stores& stores) {
      const auto ranks = stores.console->stuck(limit);
      return ranks ? json_answer(200, ranks_text(*ranks, "stuck", {})) : operator_problem(ranks.error());
    });
  if (order != "hottest") return e->answer(problem(400, "bad-request", "order is hottest or stuck"));
  const auto window = c.console.history.recent(hottest_commands_max, hottest_window_max);
  if (window.length.count() == 0)  // the gateway has looked once at most
    return e->answer(json_answer(200, ranks_text({}, "hottest", {})));
  work_for_operator(c, e, [limit, window](reader_stores& stores) {
    const auto ranks = stores.console->hottest(window.since_xid, limit);
    return ranks ? json_answer(200, ranks_text(*ranks, "hottest", window.length)) : operator_problem(ranks.error());
  });
}

}  // namespace rowcall::gateway::internal
