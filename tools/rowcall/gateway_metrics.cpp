#include "tools/rowcall/gateway_metrics.hpp"

namespace rowcall::tools {

void add_gateway_metrics(exposition& out, const gateway::gateway_metrics& m) {
  const auto number = [](auto n) { return static_cast<double>(n); };
  out.gauge("rowcall_gateway_ready", "1 when /readyz says so.", m.is_ready ? 1 : 0);
  out.gauge("rowcall_gateway_database_connected", "1 when PostgreSQL answered the last time it was asked.",
            m.is_database_there ? 1 : 0);
  out.gauge("rowcall_gateway_nats_connected", "1 while NATS is connected.", m.is_bus_connected ? 1 : 0);
  out.gauge("rowcall_gateway_connections", "Open connections.", number(m.connections));
  out.gauge("rowcall_gateway_streams", "Open event streams.", number(m.streams));
  out.gauge("rowcall_gateway_feeds", "Sessions that are followed.", number(m.feeds));
  out.gauge("rowcall_gateway_reads_waiting", "Reads that wait for a reader thread.", number(m.reads_waiting));
  out.counter("rowcall_gateway_connections_total", "Connections accepted.", number(m.http.connections_accepted));
  out.counter("rowcall_gateway_connections_refused_total", "Connections above the limit.",
              number(m.http.connections_refused));
  out.counter("rowcall_gateway_requests_total", "Requests read.", number(m.http.requests));
  const char* answers = "Answers, by the class of their status.";
  out.counter("rowcall_gateway_answers_total", answers, number(m.http.answers_1xx_2xx), {{"class", "2xx"}});
  out.counter("rowcall_gateway_answers_total", answers, number(m.http.answers_3xx), {{"class", "3xx"}});
  out.counter("rowcall_gateway_answers_total", answers, number(m.http.answers_4xx), {{"class", "4xx"}});
  out.counter("rowcall_gateway_answers_total", answers, number(m.http.answers_5xx), {{"class", "5xx"}});
  out.counter("rowcall_gateway_commands_total", "Commands stored.", number(m.api.commands));
  out.counter("rowcall_gateway_commands_refused_total", "Submissions that were not stored as a whole.",
              number(m.api.commands_refused));
  out.counter("rowcall_gateway_updates_streamed_total", "Updates written to streams.", number(m.api.updates_streamed));
  out.counter("rowcall_gateway_streams_opened_total", "Streams opened.", number(m.api.streams_opened));
  out.counter("rowcall_gateway_streams_slow_total", "Streams dropped because their reader took nothing.",
              number(m.http.slow_readers_dropped));
  out.counter("rowcall_gateway_streams_left_total",
              "Sessions that a stream lost because its user is no member any more.", number(m.api.streams_left));
  out.counter("rowcall_gateway_signals_total", "Signals sent.", number(m.api.signals));
  out.counter("rowcall_gateway_tokens_refused_total", "Tokens that were not accepted.", number(m.api.tokens_refused));
  out.counter("rowcall_gateway_rate_limited_total", "Requests above a rate.", number(m.api.rate_limited));
}

}  // namespace rowcall::tools
