#pragma once

#include <functional>
#include <memory>
#include <string>

#include "engine/result.hpp"
#include "tools/telemetry/exposition.hpp"

/// Metrics and health over HTTP, for whoever watches the process.
///
///   GET /metrics   200, the text format of Prometheus
///   GET /healthz   200 "ok", or 503 with why the process should be ended
///   GET /readyz    200 "ready", or 503 with why it can not do its work at the moment
///
/// No authentication, no TLS: it belongs on the loopback or on a network of one's own. It takes four requests at a time
/// and lets 32 more wait; a request that is not there after 2 s is given up.
namespace rowcall::tools {

/// All are called on the endpoint's threads, several at a time, and must be thread-safe and quick.
struct telemetry_handlers {
  std::function<void(exposition&)> collect;
  std::function<std::string()> why_not_alive;  ///< empty = alive
  std::function<std::string()> why_not_ready;  ///< empty = ready
};

class telemetry_endpoint {
 public:
  /// `address` is HOST:PORT; port 0 takes a free one. Listens until the object ends: no handler runs after that.
  /// Errors: invalid_argument (no address), unavailable (can not listen there; says why).
  static engine::result<std::unique_ptr<telemetry_endpoint>> listen(const std::string& address,
                                                                    telemetry_handlers handlers);
  ~telemetry_endpoint();
  telemetry_endpoint(const telemetry_endpoint&) = delete;

  /// Where it listens, with the port that was taken: "127.0.0.1:41234".
  const std::string& address() const;

 private:
  struct impl;
  explicit telemetry_endpoint(std::unique_ptr<impl> impl);
  std::unique_ptr<impl> impl_;
};

}  // namespace rowcall::tools
