#pragma once

#include <memory>
#include <shared_mutex>
#include <string>
#include <string_view>

#include "actors/engine_node.hpp"
#include "engine/ports.hpp"
#include "tools/rowcall/options.hpp"
#include "tools/rowcall/status_watch.hpp"
#include "tools/telemetry/telemetry_endpoint.hpp"

namespace rowcall::tools {

/// Metrics and health of one engine over HTTP, from before it has found its database until it has ended.
class engine_telemetry {
 public:
  /// Listens where the options say; null when they say nowhere. Errors: those of telemetry_endpoint::listen.
  static engine::result<std::unique_ptr<engine_telemetry>> start(const global_options& global,
                                                                 const serve_options& options);
  ~engine_telemetry();
  engine_telemetry(const engine_telemetry&) = delete;

  const std::string& address() const { return endpoint_->address(); }

  /// From now on it tells of these; both must live until detach().
  void attach(const actors::engine_node& node, const engine::bus& bus);
  /// The engine is ending: not ready, whatever else. Its metrics are still there.
  void stopping();
  /// An actor died: the process should be ended.
  void died(std::string_view what);
  void detach();

 private:
  engine_telemetry(const global_options& global, const serve_options& options);
  void collect(exposition& out) const;
  std::string why_not_alive() const;
  std::string why_not_ready() const;
  std::string not_ready_reason() const;  ///< the caller has the lock

  const global_options global_;
  const serve_options options_;
  mutable std::shared_mutex mutex_;
  const actors::engine_node* node_ = nullptr;
  const engine::bus* bus_ = nullptr;
  std::unique_ptr<status_watch> status_;
  bool is_stopping_ = false;
  std::string dead_;
  std::unique_ptr<telemetry_endpoint> endpoint_;  // last: its threads look at the rest
};

}  // namespace rowcall::tools
