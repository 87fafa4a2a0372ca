#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/result.hpp"

/// Requests and answers as the handlers see them: no Beast, no sockets.
namespace rowcall::gateway::internal {

using name_value = std::pair<std::string, std::string>;

struct http_request {
  std::string method;               ///< HEAD is told as GET
  std::string path;                 ///< decoded; starts with '/'; no empty, '.' or '..' segment
  std::vector<name_value> query;    ///< decoded, in order
  std::vector<name_value> headers;  ///< names in lower case
  std::string body;
  std::string address;  ///< of the other end

  std::string_view header(std::string_view name) const;
  std::optional<std::string_view> parameter(std::string_view name) const;
};

/// Percent-decoding; '+' is a space when `is_query`. Nothing when malformed or when the result holds a NUL.
std::optional<std::string> percent_decode(std::string_view text, bool is_query);
/// Path and query of an origin-form target. False when it can not be read or its path leaves the tree.
bool read_target(std::string_view target, std::string& path, std::vector<name_value>& query);

/// True when a comma-separated list of media types or codings holds `item` with a weight above 0; `*/*` is not looked
/// at.
bool accepts(std::string_view list, std::string_view item);

struct http_answer {
  int status = 200;
  std::string content_type;  ///< empty: no body
  std::string body;
  std::vector<name_value> headers;
  bool close = false;                  ///< no more requests on this connection
  std::optional<engine::error> cause;  ///< what the client is not told, for the log
};

std::string_view reason_of(int status);

/// A stream of bytes to one client, written piece by piece. Of the io thread.
class event_sink {
 public:
  virtual ~event_sink() = default;
  /// True while an earlier piece is still under way: wait for on_writable.
  virtual bool is_writing() const = 0;
  virtual void write(std::string_view piece) = 0;
  /// Ends the body after what was written, and closes.
  virtual void end() = 0;
};

/// What a sink tells. After on_closed nothing is called any more.
struct sink_events {
  std::function<void()> on_writable;
  std::function<void()> on_closed;
};

/// One request and the one answer to it. Of the io thread.
class exchange {
 public:
  virtual ~exchange() = default;
  virtual const http_request& request() const = 0;
  virtual void answer(http_answer a) = 0;
  /// Answers 200 with these fields and goes on as a stream. Null when the client is gone.
  virtual std::shared_ptr<event_sink> begin_stream(std::vector<name_value> headers, sink_events events) = 0;
  /// Fields that every answer to this request carries (CORS).
  virtual void add_header(std::string name, std::string value) = 0;
};
using exchange_ptr = std::shared_ptr<exchange>;

}  // namespace rowcall::gateway::internal
