#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace rowcall::support {

/// Speaks to a nats-server over a bare socket, so that it can say what no client library would: any bytes for a
/// subject. Throws std::runtime_error when the connection can not be made.
class nats_stranger {
 public:
  explicit nats_stranger(const std::string& url);  ///< nats://host:port
  nats_stranger(const nats_stranger&) = delete;
  nats_stranger& operator=(const nats_stranger&) = delete;
  ~nats_stranger();

  void publish(std::string_view subject, std::string_view payload);
  /// Waits until the server has read all of it. What it said meanwhile (`-ERR …`), or "closed" when it hung up.
  std::string flush(std::chrono::milliseconds timeout = std::chrono::seconds{5});
  /// As the server tells it in its first line.
  [[nodiscard]] std::size_t max_payload() const { return max_payload_; }

 private:
  bool send_all(std::string_view bytes);
  /// The next line without its CR LF; false when there is none any more.
  bool read_line(std::string& line, std::chrono::steady_clock::time_point deadline);

  int socket_ = -1;
  std::string received_;
  std::size_t max_payload_ = 0;
  bool is_closed_ = false;
};

}  // namespace rowcall::support
