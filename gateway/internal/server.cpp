#include "gateway/internal/server.hpp"

#include <cstdio>
#include <ctime>

#include "gateway/internal/connection.hpp"

namespace rowcall::gateway::internal {
namespace {

constexpr std::chrono::milliseconds tick_interval{500};
constexpr std::chrono::milliseconds accept_retry_wait{50};

}  // namespace

server::server(asio::io_context& io, const gateway_config& config, std::function<void(exchange_ptr)> handle,
               std::function<void()> on_tick, std::function<void(const http_request&, const engine::error&)> on_failure)
    : io_(io),
      config_(config),
      handle_(std::move(handle)),
      on_tick_(std::move(on_tick)),
      on_failure_(std::move(on_failure)),
      acceptor_(io),
      timer_(io),
      accept_retry_(io) {
  renew_date();
}

server::~server() = default;

engine::result<void> server::listen() {
  boost::system::error_code error;
  const auto address = asio::ip::make_address(config_.host, error);
  if (error)
    return engine::fail(engine::errc::invalid_argument, "'" + config_.host + "' is no IP address to listen on");
  const tcp::endpoint endpoint{address, config_.port};
  acceptor_.open(endpoint.protocol(), error);
  if (!error) acceptor_.set_option(tcp::acceptor::reuse_address{true}, error);
  if (!error) acceptor_.bind(endpoint, error);
  if (!error) acceptor_.listen(4'096, error);
  if (error)
    return engine::fail(engine::errc::unavailable, "cannot listen on " + config_.host + ":" +
                                                       std::to_string(config_.port) + ": " + error.message());
  port_ = acceptor_.local_endpoint(error).port();
  accept();
  tick();
  return {};
}

void server::accept() {
  acceptor_.async_accept([this](const boost::system::error_code& error, tcp::socket socket) {
    if (is_draining_ || error == asio::error::operation_aborted) return;
    if (error) {
      // Out of descriptors, most likely: some will be closed.
      accept_retry_.expires_after(accept_retry_wait);
      accept_retry_.async_wait([this](const auto& waited) {
        if (!waited && !is_draining_) accept();
      });
      return;
    }
    ++counters_.connections_accepted;
    const auto c = std::make_shared<connection>(shared_from_this(), std::move(socket));
    connections_.insert(c.get());
    const bool is_full = connections_.size() > config_.connections_max;
    if (is_full) ++counters_.connections_refused;
    c->start(is_full);
    accept();
  });
}

void server::tick() {
  renew_date();
  const auto now = steady::now();
  std::vector<std::shared_ptr<connection>> late;
  for (auto* c : connections_)
    if (c->deadline() <= now) late.push_back(c->shared_from_this());
  for (const auto& c : late) c->time_out();
  if (on_tick_) on_tick_();
  timer_.expires_after(tick_interval);
  timer_.async_wait([this](const auto& error) {
    if (!error) tick();
  });
}

void server::renew_date() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  char text[64];
  // In the C locale's words, whatever the process's locale is.
  static constexpr const char* days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr const char* months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                           "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  std::snprintf(text, sizeof text, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[utc.tm_wday], utc.tm_mday,
                months[utc.tm_mon], utc.tm_year + 1900, utc.tm_hour, utc.tm_min, utc.tm_sec);
  date_ = text;
}

void server::close_all() {
  drain();
  timer_.cancel();
  accept_retry_.cancel();
  std::vector<std::shared_ptr<connection>> all;
  for (auto* c : connections_) all.push_back(c->shared_from_this());
  for (const auto& c : all) c->close();
}

void server::forget(connection* c) { connections_.erase(c); }

void server::drain() {
  is_draining_ = true;
  boost::system::error_code ignored;
  acceptor_.close(ignored);
  std::vector<std::shared_ptr<connection>> all;
  for (auto* c : connections_) all.push_back(c->shared_from_this());
  for (const auto& c : all) c->drain();
}

}  // namespace rowcall::gateway::internal
