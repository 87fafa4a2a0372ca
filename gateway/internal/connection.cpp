#include "gateway/internal/connection.hpp"

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>
#include <cstdio>

#include "engine/give_back.hpp"
#include "gateway/internal/answers.hpp"

namespace rowcall::gateway::internal {
namespace {

namespace http = boost::beast::http;
using boost::system::error_code;

constexpr milliseconds linger_max{2'000};
constexpr int stream_send_buffer_bytes = 128 * 1024;
constexpr std::size_t kept_buffer_bytes_max = 16 * 1024;

std::string lower(std::string_view text) {
  std::string out{text};
  for (auto& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  return out;
}

std::string_view view(boost::beast::string_view text) { return {text.data(), text.size()}; }

void append_field(std::string& out, std::string_view name, std::string_view value) {
  out.append(name).append(": ");
  // A value can not begin another field, wherever it came from.
  for (const char c : value)
    if (c != '\r' && c != '\n' && c != '\0') out += c;
  out += "\r\n";
}

}  // namespace

connection::connection(std::shared_ptr<server> owner, tcp::socket socket)
    : keep_(std::move(owner)), owner_(*keep_), socket_(std::move(socket)) {}

connection::~connection() { owner_.forget(this); }

void connection::start(bool is_full) {
  error_code ignored;
  socket_.non_blocking(true, ignored);
  socket_.set_option(tcp::no_delay{true}, ignored);
  const auto remote = socket_.remote_endpoint(ignored);
  if (!ignored) request_.address = remote.address().to_string(ignored);
  if (is_full || owner_.is_draining()) {
    refuse(503, "connections-full", "this gateway has as many connections as it may have");
    return;
  }
  read_request();
}

// ---------------------------------------------------------------- reading

void connection::read_request() {
  if (owner_.is_draining()) return close();
  phase_ = phase::idle;
  set_deadline(owner_.config().idle_timeout);
  const auto& config = owner_.config();
  if (!input_) {
    input_ = std::make_unique<boost::beast::flat_buffer>(config.header_bytes_max + 16 * 1024);
  }
  auto address = std::move(request_.address);
  engine::give_back(request_);
  request_.address = std::move(address);
  extra_.clear();
  parser_ = std::make_unique<parser>();
  parser_->header_limit(static_cast<std::uint32_t>(config.header_bytes_max));
  parser_->body_limit(config.body_bytes_max);
  if (input_->size() > 0) return read_header();  // the client did not wait for our answer
  // The next request may be long in coming; its time counts from its first byte.
  socket_.async_wait(tcp::socket::wait_read, [self = shared_from_this()](const error_code& error) {
    if (error) return self->close();
    if (self->phase_ == phase::idle) self->read_header();
  });
}

void connection::read_header() {
  phase_ = phase::reading_header;
  set_deadline(owner_.config().header_timeout);
  http::async_read_header(socket_, *input_, *parser_,
                          [self = shared_from_this()](const error_code& error, std::size_t) {
                            if (self->phase_ != phase::reading_header) return;
                            if (error) return self->refuse(error);
                            self->take_header();
                          });
}

/// What could be read in two ways by us and by a proxy before us is refused: nothing can hide in it.
void connection::take_header() {
  const auto& message = parser_->get();
  is_http_1_0_ = message.version() == 10;
  is_head_ = message.method() == http::verb::head;
  if (message.version() != 10 && message.version() != 11)
    return refuse(505, "http-version", "only HTTP/1.0 and HTTP/1.1 are spoken here");
  if (message.target().size() > owner_.config().target_bytes_max)
    return refuse(414, "uri-too-long",
                  "path and query are longer than " + std::to_string(owner_.config().target_bytes_max) + " bytes");
  if (message.count(http::field::host) != 1 && !is_http_1_0_)
    return refuse(400, "bad-request", "a request has exactly one Host field");
  if (message.count(http::field::content_length) > 1)
    return refuse(400, "bad-request", "a request has at most one Content-Length field");
  const auto coding = message.find(http::field::transfer_encoding);
  if (coding != message.end()) {
    if (is_http_1_0_ || message.count(http::field::transfer_encoding) > 1 || lower(view(coding->value())) != "chunked")
      return refuse(501, "transfer-encoding", "the only transfer coding is chunked");
  }
  for (const auto& field : message) {
    const auto value = view(field.value());
    if (value.find_first_of(std::string_view{"\r\n\0", 3}) != value.npos)
      return refuse(400, "bad-request", "a field goes over several lines");
  }
  if (!read_target(view(message.target()), request_.path, request_.query))
    return refuse(400, "bad-request", "the target is not a plain path with a query");
  if (const auto expect = message.find(http::field::expect); expect != message.end()) {
    if (lower(view(expect->value())) != "100-continue")
      return refuse(417, "expectation-failed", "only 100-continue can be expected");
    if (const auto length = parser_->content_length(); length && *length > owner_.config().body_bytes_max)
      return refuse(error_code{http::error::body_limit});
    static constexpr std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";
    phase_ = phase::reading_body;
    set_deadline(owner_.config().body_timeout);
    asio::async_write(socket_, asio::buffer(go_on), [self = shared_from_this()](const error_code& error, std::size_t) {
      if (error) return self->close();
      if (self->phase_ == phase::reading_body) self->read_body();
    });
    return;
  }
  read_body();
}

void connection::read_body() {
  phase_ = phase::reading_body;
  set_deadline(owner_.config().body_timeout);
  if (parser_->is_done()) return take_request();
  http::async_read(socket_, *input_, *parser_, [self = shared_from_this()](const error_code& error, std::size_t) {
    if (self->phase_ != phase::reading_body) return;
    if (error) return self->refuse(error);
    self->take_request();
  });
}

void connection::take_request() {
  auto& message = parser_->get();
  is_keep_alive_ = message.keep_alive();
  request_.method = is_head_ ? "GET" : std::string{view(message.method_string())};
  for (const auto& field : message) {
    auto name = lower(view(field.name_string()));
    request_.headers.emplace_back(std::move(name), std::string{view(field.value())});
  }
  request_.body = std::move(message.body());
  parser_.reset();
  phase_ = phase::handling;
  deadline_ = steady::time_point::max();  // handlers have bounds of their own
  ++owner_.counters().requests;
  owner_.handle(shared_from_this());
}

void connection::refuse(const error_code& error) {
  if (error == http::error::header_limit || error == http::error::buffer_overflow)
    return refuse(431, "headers-too-large",
                  "the header is longer than " + std::to_string(owner_.config().header_bytes_max) + " bytes");
  if (error == http::error::body_limit)
    return refuse(413, "body-too-large",
                  "the body is longer than " + std::to_string(owner_.config().body_bytes_max) + " bytes");
  // Other categories: the connection ended.
  if (error.category() != error_code{http::error::bad_value}.category() || error == http::error::end_of_stream ||
      error == http::error::partial_message)
    return close();
  refuse(400, "bad-request", "the request can not be read: " + error.message());
}

void connection::refuse(int status, std::string_view name, std::string detail) {
  auto a = problem(status, name, std::move(detail));
  a.close = true;
  phase_ = phase::handling;
  answer(std::move(a));
}

// ---------------------------------------------------------------- answers

void connection::answer(http_answer a) {
  if (phase_ != phase::handling) return;  // the client left, or the gateway is at its end
  if (a.cause) owner_.tell_failure(request_, *a.cause);
  auto& counters = owner_.counters();
  ++(a.status < 300   ? counters.answers_1xx_2xx
     : a.status < 400 ? counters.answers_3xx
     : a.status < 500 ? counters.answers_4xx
                      : counters.answers_5xx);
  is_keep_alive_ = is_keep_alive_ && !a.close && !owner_.is_draining();
  out_.clear();
  out_ += "HTTP/1.1 ";
  out_ += std::to_string(a.status);
  out_ += ' ';
  out_ += reason_of(a.status);
  out_ += "\r\n";
  append_field(out_, "Date", owner_.date());
  if (!a.content_type.empty()) append_field(out_, "Content-Type", a.content_type);
  if (a.status != 204 && a.status != 304) append_field(out_, "Content-Length", std::to_string(a.body.size()));
  for (const auto& [name, value] : a.headers) append_field(out_, name, value);
  for (const auto& [name, value] : extra_) append_field(out_, name, value);
  if (!is_keep_alive_)
    append_field(out_, "Connection", "close");
  else if (is_http_1_0_)
    append_field(out_, "Connection", "keep-alive");
  out_ += "\r\n";
  if (!is_head_) {
    if (a.body.size() < 4'096)
      out_ += a.body;
    else
      body_out_ = std::move(a.body);
  }
  phase_ = phase::writing;
  write_answer();
}

void connection::write_answer() {
  set_deadline(owner_.config().write_timeout);
  const std::array<asio::const_buffer, 2> pieces{asio::buffer(out_), asio::buffer(body_out_)};
  // An answer that waits for its reader may be large: its progress counts, not its whole time.
  asio::async_write(
      socket_, pieces,
      [self = shared_from_this()](const error_code& error, std::size_t) -> std::size_t {
        if (error) return 0;
        self->set_deadline(self->owner_.config().write_timeout);
        return 64 * 1024;
      },
      [self = shared_from_this()](const error_code& error, std::size_t) {
        if (error || self->phase_ == phase::closed) return self->close();
        self->answered();
      });
}

void connection::answered() {
  engine::give_back(body_out_);
  if (out_.capacity() > kept_buffer_bytes_max) engine::give_back(out_);
  if (is_keep_alive_) return read_request();
  linger();
}

/// A close with unread input would reset the connection, and the answer might not arrive: read to the end first.
void connection::linger() {
  phase_ = phase::lingering;
  set_deadline(linger_max);
  error_code ignored;
  socket_.shutdown(tcp::socket::shutdown_send, ignored);
  out_.resize(4'096);
  discard();
}

void connection::discard() {
  socket_.async_read_some(asio::buffer(out_), [self = shared_from_this()](const error_code& error, std::size_t) {
    if (error || self->phase_ != phase::lingering) return self->close();
    self->discard();
  });
}

// ---------------------------------------------------------------- streams

std::shared_ptr<event_sink> connection::begin_stream(std::vector<name_value> headers, sink_events events) {
  if (phase_ != phase::handling) return nullptr;
  ++owner_.counters().answers_1xx_2xx;
  phase_ = phase::streaming;
  deadline_ = steady::time_point::max();
  input_.reset();
  // What a slow reader does not take is in the log; the kernel need not hold much of it.
  error_code ignored;
  socket_.set_option(asio::socket_base::send_buffer_size{stream_send_buffer_bytes}, ignored);
  std::string head = "HTTP/1.1 200 OK\r\n";
  append_field(head, "Date", owner_.date());
  append_field(head, "Content-Type", "text/event-stream");
  append_field(head, "Cache-Control", "no-store");
  append_field(head, "X-Accel-Buffering", "no");
  for (const auto& [name, value] : headers) append_field(head, name, value);
  for (const auto& [name, value] : extra_) append_field(head, name, value);
  append_field(head, "Connection", "close");
  if (!is_http_1_0_) append_field(head, "Transfer-Encoding", "chunked");
  head += "\r\n";
  engine::give_back(request_);
  engine::give_back(extra_);
  events_ = std::move(events);
  out_ = std::move(head);
  if (is_head_) is_ending_ = true;
  watch();
  write_rest();
  return std::static_pointer_cast<event_sink>(shared_from_this());
}

void connection::watch() {
  socket_.async_read_some(asio::buffer(&watched_, 1),
                          [self = shared_from_this()](const error_code& error, std::size_t) {
                            if (error) return self->close();
                            if (self->phase_ == phase::streaming) self->watch();
                          });
}

void connection::write(std::string_view piece) {
  if (phase_ != phase::streaming || is_writing_ || is_ending_ || piece.empty()) return;
  if (is_http_1_0_) {
    out_ = piece;
  } else {
    char size[24];
    const int length = std::snprintf(size, sizeof size, "%zx\r\n", piece.size());
    out_.assign(size, static_cast<std::size_t>(length));
    out_.append(piece).append("\r\n");
  }
  write_rest();
}

void connection::end() {
  if (phase_ != phase::streaming || is_ending_) return;
  is_ending_ = true;
  if (!is_writing_) wrote();
}

/// Most readers take all at once: no operation is queued for them, and no memory kept.
void connection::write_rest() {
  error_code error;
  const auto count = socket_.write_some(asio::buffer(out_), error);
  if (error && error != asio::error::would_block && error != asio::error::try_again) {
    is_writing_ = true;  // nothing more goes out; close, but not from within the caller
    asio::post(socket_.get_executor(), [self = shared_from_this()] { self->close(); });
    return;
  }
  out_.erase(0, error ? 0 : count);
  if (out_.empty()) {
    if (out_.capacity() > 512) engine::give_back(out_);
    if (is_ending_) wrote();
    return;
  }
  is_writing_ = true;
  set_deadline(owner_.config().write_timeout);
  asio::async_write(socket_, asio::buffer(out_), [self = shared_from_this()](const error_code& failed, std::size_t) {
    if (failed) return self->close();
    self->is_writing_ = false;
    engine::give_back(self->out_);
    self->wrote();
  });
}

void connection::wrote() {
  if (phase_ != phase::streaming) return;
  deadline_ = steady::time_point::max();
  if (!is_ending_) {
    if (events_.on_writable) events_.on_writable();
    return;
  }
  if (!is_http_1_0_ && !is_head_ && !is_writing_) {
    static constexpr std::string_view last = "0\r\n\r\n";
    is_http_1_0_ = true;  // once
    out_ = last;
    return write_rest();
  }
  if (is_writing_) return;
  const auto events = std::exchange(events_, {});
  linger();
  if (events.on_closed) events.on_closed();
}

// ---------------------------------------------------------------- ends

void connection::time_out() {
  deadline_ = steady::time_point::max();
  error_code ignored;
  socket_.cancel(ignored);  // the read that took too long; its handler finds another phase
  switch (phase_) {
    case phase::reading_header:
      return refuse(408, "request-timeout", "the header took too long");
    case phase::reading_body:
      return refuse(408, "request-timeout", "the body took too long");
    case phase::streaming:
      ++owner_.counters().slow_readers_dropped;
      return close();
    default:
      return close();
  }
}

void connection::drain() {
  if (phase_ == phase::idle) close();
}

void connection::close() {
  if (phase_ == phase::closed) return;
  phase_ = phase::closed;
  deadline_ = steady::time_point::max();
  error_code ignored;
  socket_.close(ignored);
  const auto events = std::exchange(events_, {});
  if (events.on_closed) events.on_closed();
}

}  // namespace rowcall::gateway::internal
