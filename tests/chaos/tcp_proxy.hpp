#pragma once

#include <chrono>
#include <cstddef>
#include <memory>

namespace rowcall::chaos {

/// A TCP way from a port of its own to a server of this machine, which can be disturbed. One thread. All calls are
/// thread-safe and take effect within a millisecond or so.
class tcp_proxy {
 public:
  enum class direction { to_server, to_client };

  /// Listens on 127.0.0.1. The server need not be there: a connection is refused as long as it is not.
  explicit tcp_proxy(int target_port);
  ~tcp_proxy();
  tcp_proxy(const tcp_proxy&) = delete;

  [[nodiscard]] int port() const;
  [[nodiscard]] std::size_t connections() const;
  [[nodiscard]] std::size_t accepted() const;  ///< since the beginning

  void target(int port);  ///< of connections made from now on

  void delay(std::chrono::milliseconds each_way);  ///< of all that is read from now on; 0 = none
  void stall(bool is_stalled);                     ///< nothing passes, connections stay open, new ones are accepted
  void refuse(bool is_refusing);                   ///< new connections are reset
  void cut();                                      ///< resets all open connections
  /// The receiver of this direction reads an end of the stream on all open connections; the other direction goes on.
  void half_close(direction d);
  void heal() { delay(std::chrono::milliseconds{0}), stall(false), refuse(false); }

 private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

}  // namespace rowcall::chaos
