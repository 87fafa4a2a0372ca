#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

#include "engine/result.hpp"
#include "gateway/config.hpp"
#include "gateway/internal/http.hpp"
#include "gateway/metrics.hpp"

namespace rowcall::gateway::internal {

namespace asio = boost::asio;
using tcp = asio::ip::tcp;
using steady = std::chrono::steady_clock;

class connection;

/// Listens, keeps the connections, ends those that take too long. One thread: that of the io_context. Shared with its
/// connections, which may end later.
class server : public std::enable_shared_from_this<server> {
 public:
  /// `handle` is called for every request that could be read; it answers now or later.
  /// `on_tick` is called about every second, `on_failure` for every answer that has a cause.
  server(asio::io_context& io, const gateway_config& config, std::function<void(exchange_ptr)> handle,
         std::function<void()> on_tick, std::function<void(const http_request&, const engine::error&)> on_failure);
  ~server();

  engine::result<void> listen();
  /// Ends everything at once.
  void close_all();
  std::uint16_t port() const { return port_; }
  /// No more connections; those without a request are closed, the others after their answer.
  void drain();
  std::size_t connection_count() const { return connections_.size(); }

  // For connections:
  const gateway_config& config() const { return config_; }
  void handle(exchange_ptr e) { handle_(std::move(e)); }
  void tell_failure(const http_request& request, const engine::error& cause) { on_failure_(request, cause); }
  void forget(connection* c);
  bool is_draining() const { return is_draining_; }
  /// The text of a Date field, renewed every second.
  const std::string& date() const { return date_; }
  http_counters& counters() { return counters_; }

 private:
  void accept();
  void tick();
  void renew_date();

  asio::io_context& io_;
  const gateway_config& config_;
  std::function<void(exchange_ptr)> handle_;
  std::function<void()> on_tick_;
  std::function<void(const http_request&, const engine::error&)> on_failure_;
  tcp::acceptor acceptor_;
  asio::steady_timer timer_, accept_retry_;
  std::uint16_t port_ = 0;
  bool is_draining_ = false;
  std::string date_;
  http_counters counters_;
  std::unordered_set<connection*> connections_;
};

}  // namespace rowcall::gateway::internal
