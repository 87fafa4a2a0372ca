#include "gateway/internal/operation_api.hpp"

#include <chrono>

#include "gateway/internal/apis.hpp"
#include "gateway/internal/openapi.hpp"
#include "gateway/internal/server.hpp"

namespace rowcall::gateway::internal {
namespace {

/// A process with 10,000 streams has as many descriptors to count.
constexpr std::chrono::milliseconds metrics_interval{1'000};

// Without NATS everything works, a little later: still ready.
bool is_ready(const context& c) { return c.is_database_there && !c.is_draining; }

gateway_metrics metrics_of(const context& c) {
  gateway_metrics m;
  m.http = c.http->counters();
  m.api = c.counters;
  m.connections = c.http->connection_count();
  m.streams = c.streams.size();
  m.feeds = c.feeds->size();
  m.reads_waiting = c.readers->waiting();
  m.is_ready = is_ready(c);
  m.is_database_there = c.is_database_there;
  m.is_bus_connected = c.ports.bus->is_connected();
  return m;
}

}  // namespace

void get_health(context&, const exchange_ptr& e) { e->answer(json_answer(200, "{\"alive\":true}")); }

void get_readiness(context& c, const exchange_ptr& e) {
  const bool has_bus = c.ports.bus->is_connected();
  const auto word = [](bool b) { return b ? "true" : "false"; };
  std::string body = "{\"ready\":";
  body.append(word(is_ready(c)))
      .append(",\"database\":")
      .append(word(c.is_database_there))
      .append(",\"nats\":")
      .append(word(has_bus));
  body.append(",\"draining\":").append(word(c.is_draining)).append("}");
  e->answer(json_answer(is_ready(c) ? 200 : 503, std::move(body)));
}

void get_metrics(context& c, const exchange_ptr& e) {
  const auto now = std::chrono::steady_clock::now();
  if (c.metrics.page.text.empty() || now - c.metrics.made_at >= metrics_interval)
    c.metrics = {c.ports.write_metrics(metrics_of(c)), now};
  http_answer a;
  a.content_type = c.metrics.page.content_type;
  a.body = c.metrics.page.text;
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
