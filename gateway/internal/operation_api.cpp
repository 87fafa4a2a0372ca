#include "gateway/internal/operation_api.hpp"

#include "gateway/internal/apis.hpp"
#include "gateway/internal/openapi.hpp"
#include "gateway/internal/server.hpp"

namespace rowcall::gateway::internal {
namespace {

namespace json = engine::json;

void append_metric(std::string& out, std::string_view name, std::string_view type, std::string_view help,
                   double value) {
  out.append("# HELP ").append(name).append(" ").append(help).append("\n# TYPE ").append(name).append(" ").append(type);
  out.append("\n").append(name).append(" ");
  json::writer w;
  w.number(value);
  out.append(w.str()).append("\n");
}

}  // namespace

void get_health(context&, const exchange_ptr& e) { e->answer(json_answer(200, "{\"alive\":true}")); }

void get_readiness(context& c, const exchange_ptr& e) {
  const bool has_bus = c.ports.bus->is_connected();
  // Without NATS everything works, a little later: still ready.
  const bool is_ready = c.is_database_there && !c.is_draining;
  const auto word = [](bool b) { return b ? "true" : "false"; };
  std::string body = "{\"ready\":";
  body.append(word(is_ready))
      .append(",\"database\":")
      .append(word(c.is_database_there))
      .append(",\"nats\":")
      .append(word(has_bus));
  body.append(",\"draining\":").append(word(c.is_draining)).append("}");
  e->answer(json_answer(is_ready ? 200 : 503, std::move(body)));
}

void get_metrics(context& c, const exchange_ptr& e) {
  const auto& h = c.http->counters();
  const auto& n = c.counters;
  const auto number = [](auto v) { return static_cast<double>(v); };
  std::string out;
  const auto gauge = [&](std::string_view name, std::string_view help, double v) {
    append_metric(out, name, "gauge", help, v);
  };
  const auto counter = [&](std::string_view name, std::string_view help, double v) {
    append_metric(out, name, "counter", help, v);
  };
  gauge("rowcall_gateway_connections", "Open connections.", number(c.http->connection_count()));
  gauge("rowcall_gateway_streams", "Open event streams.", number(c.streams.size()));
  gauge("rowcall_gateway_feeds", "Sessions that are followed.", number(c.feeds->size()));
  gauge("rowcall_gateway_reads_waiting", "Reads that wait for a reader thread.", number(c.readers->waiting()));
  gauge("rowcall_gateway_database_up", "1 when the database answers.", c.is_database_there ? 1 : 0);
  gauge("rowcall_gateway_nats_up", "1 when NATS is connected.", c.ports.bus->is_connected() ? 1 : 0);
  counter("rowcall_gateway_connections_total", "Connections accepted.", number(h.connections_accepted));
  counter("rowcall_gateway_connections_refused_total", "Connections above the limit.", number(h.connections_refused));
  counter("rowcall_gateway_requests_total", "Requests read.", number(h.requests));
  counter("rowcall_gateway_answers_2xx_total", "Answers of success.", number(h.answers_1xx_2xx));
  counter("rowcall_gateway_answers_3xx_total", "Redirections and 304.", number(h.answers_3xx));
  counter("rowcall_gateway_answers_4xx_total", "Refused requests.", number(h.answers_4xx));
  counter("rowcall_gateway_answers_5xx_total", "Failed requests.", number(h.answers_5xx));
  counter("rowcall_gateway_commands_total", "Commands stored.", number(n.commands));
  counter("rowcall_gateway_commands_refused_total", "Submissions that were not stored as a whole.",
          number(n.commands_refused));
  counter("rowcall_gateway_updates_streamed_total", "Updates written to streams.", number(n.updates_streamed));
  counter("rowcall_gateway_streams_opened_total", "Streams opened.", number(n.streams_opened));
  counter("rowcall_gateway_streams_slow_total", "Streams dropped because their reader took nothing.",
          number(h.slow_readers_dropped));
  counter("rowcall_gateway_streams_left_total", "Sessions that a stream lost because its user is no member any more.",
          number(n.streams_left));
  counter("rowcall_gateway_signals_total", "Signals sent.", number(n.signals));
  counter("rowcall_gateway_tokens_refused_total", "Tokens that were not accepted.", number(n.tokens_refused));
  counter("rowcall_gateway_rate_limited_total", "Requests above a rate.", number(n.rate_limited));
  http_answer a;
  a.content_type = "text/plain; version=0.0.4; charset=utf-8";
  a.body = std::move(out);
  a.headers.emplace_back("Cache-Control", "no-store");
  e->answer(std::move(a));
}

void get_openapi(context&, const exchange_ptr& e) {
  const auto text = openapi_document();
  auto a = packed_json(std::string{text}, wants_gzip(e->request(), text.size()));
  a.headers.front() = {"Cache-Control", "no-cache"};
  e->answer(std::move(a));
}

}  // namespace rowcall::gateway::internal
