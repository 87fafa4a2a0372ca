#include "tools/rowcall/engine_telemetry.hpp"

#include <algorithm>
#include <mutex>

#include "tools/rowcall/engine_metrics.hpp"
#include "tools/rowcall/version.hpp"
#include "tools/telemetry/process_metrics.hpp"

namespace rowcall::tools {
namespace {

/// A large backlog takes a while to count; whoever stops the engine waits for an answer that is under way.
storage::postgres::store_config status_config_of(const connection_options& connection, milliseconds stop_timeout) {
  const auto answer_max = std::clamp(stop_timeout / 2, milliseconds{500}, milliseconds{5'000});
  auto c = store_config_of(connection, "metrics");
  c.connect_timeout = std::min(c.connect_timeout, answer_max);
  c.statement_timeout = answer_max;
  return c;
}

}  // namespace

engine_telemetry::engine_telemetry(const global_options& global, const serve_options& options)
    : global_(global), options_(options) {}
engine_telemetry::~engine_telemetry() { endpoint_.reset(); }

engine::result<std::unique_ptr<engine_telemetry>> engine_telemetry::start(const global_options& global,
                                                                          const serve_options& options) {
  if (options.metrics_listen.empty()) return std::unique_ptr<engine_telemetry>{};
  std::unique_ptr<engine_telemetry> made{new engine_telemetry{global, options}};
  telemetry_handlers handlers;
  handlers.collect = [self = made.get()](exposition& out) { self->collect(out); };
  handlers.why_not_alive = [self = made.get()] { return self->why_not_alive(); };
  handlers.why_not_ready = [self = made.get()] { return self->why_not_ready(); };
  auto endpoint = telemetry_endpoint::listen(options.metrics_listen, std::move(handlers));
  if (!endpoint) return tl::make_unexpected(endpoint.error());
  made->endpoint_ = std::move(*endpoint);
  return made;
}

void engine_telemetry::attach(const actors::engine_node& node, const engine::bus& bus) {
  auto status = std::make_unique<status_watch>(
      storage::postgres::make_admin_store(status_config_of(global_.connection, options_.stop_timeout)),
      options_.metrics_status_interval);
  const std::unique_lock lock{mutex_};
  node_ = &node;
  bus_ = &bus;
  status_ = std::move(status);
}

void engine_telemetry::stopping() {
  const std::unique_lock lock{mutex_};
  is_stopping_ = true;
}

void engine_telemetry::died(std::string_view what) {
  const std::unique_lock lock{mutex_};
  dead_ = what;
}

void engine_telemetry::detach() {
  std::unique_ptr<status_watch> status;  // ends after the lock is given back
  const std::unique_lock lock{mutex_};
  node_ = nullptr;
  bus_ = nullptr;
  status = std::move(status_);
}

void engine_telemetry::collect(exposition& out) const {
  const std::shared_lock lock{mutex_};
  out.gauge("rowcall_info", "Always 1; its labels tell which engine this is.", 1,
            {{"version", version}, {"node", node_ != nullptr ? node_->name() : ""}});
  out.gauge("rowcall_ready", "1 when /readyz says so.", not_ready_reason().empty() ? 1 : 0);
  out.gauge("rowcall_works", "1 when work is done, ready or not: without NATS at the sweep's pace.",
            node_ != nullptr && node_->why_not_ready().empty() ? 1 : 0);
  if (node_ != nullptr) add_node_metrics(out, node_->counters(), options_.workers + options_.backlog_workers);
  if (bus_ != nullptr) add_bus_metrics(out, bus::counters_of(*bus_), bus_->is_connected());
  if (status_) add_status_metrics(out, status_->reading());
  add_process_metrics(out);
}

std::string engine_telemetry::why_not_alive() const {
  const std::shared_lock lock{mutex_};
  return dead_;
}

std::string engine_telemetry::why_not_ready() const {
  const std::shared_lock lock{mutex_};
  return not_ready_reason();
}

std::string engine_telemetry::not_ready_reason() const {
  if (!dead_.empty()) return dead_;
  if (is_stopping_) return "stopping";
  if (node_ == nullptr) return "starting: the database has not been reached yet";
  if (auto why = node_->why_not_ready(); !why.empty()) return why;
  if (!bus_->is_connected()) return "NATS is not connected: work is found by the sweep only";
  return {};
}

}  // namespace rowcall::tools
