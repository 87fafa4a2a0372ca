#pragma once

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <optional>

#include "gateway/internal/server.hpp"

namespace rowcall::gateway::internal {

/// One TCP connection: reads a request, has it answered, reads the next one; or becomes a stream until its end.
///
///   idle ──first byte──► reading ──► handling ──answer──► writing ──► idle, or lingering ──► closed
///                                        └──begin_stream──► streaming ──end──► lingering
///
/// Owned by its pending operations. Of the io thread.
class connection final : public exchange, public event_sink, public std::enable_shared_from_this<connection> {
 public:
  connection(std::shared_ptr<server> owner, tcp::socket socket);
  ~connection() override;

  /// `is_full`: there are too many; says so and closes.
  void start(bool is_full);
  steady::time_point deadline() const { return deadline_; }
  void time_out();
  void drain();
  void close();

  // exchange
  const http_request& request() const override { return request_; }
  void answer(http_answer a) override;
  std::shared_ptr<event_sink> begin_stream(std::vector<name_value> headers, sink_events events) override;
  void add_header(std::string name, std::string value) override {
    extra_.emplace_back(std::move(name), std::move(value));
  }

  // event_sink
  bool is_writing() const override { return is_writing_; }
  void write(std::string_view piece) override;
  void end() override;

 private:
  enum class phase { idle, reading_header, reading_body, handling, writing, streaming, lingering, closed };
  using parser = boost::beast::http::request_parser<boost::beast::http::string_body>;
  using error_code = boost::system::error_code;

  void set_deadline(milliseconds from_now) { deadline_ = steady::now() + from_now; }
  void read_request();
  void read_header();
  void take_header();
  void read_body();
  void take_request();
  void refuse(int status, std::string_view name, std::string detail);
  void refuse(const error_code& error);
  void write_answer();
  void answered();
  void linger();
  void discard();
  void watch();
  void write_rest();
  void wrote();

  const std::shared_ptr<server> keep_;  ///< it may be the last one to know it
  server& owner_;
  tcp::socket socket_;
  phase phase_ = phase::idle;
  steady::time_point deadline_{};
  std::unique_ptr<boost::beast::flat_buffer> input_;
  std::unique_ptr<parser> parser_;
  http_request request_;
  std::vector<name_value> extra_;
  bool is_head_ = false, is_keep_alive_ = false, is_http_1_0_ = false;
  std::string out_;  ///< what is being written
  std::string body_out_;
  bool is_writing_ = false, is_ending_ = false;
  sink_events events_;
  char watched_ = 0;  ///< a stream's client says nothing more; a read tells when it leaves
};

}  // namespace rowcall::gateway::internal
