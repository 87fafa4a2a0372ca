#include "tests/support/nats_stranger.hpp"

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <stdexcept>

namespace rowcall::support {

using namespace std::chrono_literals;

nats_stranger::nats_stranger(const std::string& url) {
  constexpr std::string_view scheme = "nats://";
  const auto colon = url.rfind(':');
  if (!url.starts_with(scheme) || colon <= scheme.size()) throw std::runtime_error("no NATS URL: " + url);
  const auto host = url.substr(scheme.size(), colon - scheme.size());
  addrinfo hints{}, *found = nullptr;
  hints.ai_socktype = SOCK_STREAM;
  if (::getaddrinfo(host.c_str(), url.c_str() + colon + 1, &hints, &found) != 0)
    throw std::runtime_error("no such host: " + url);
  socket_ = ::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const bool is_connected = ::connect(socket_, found->ai_addr, found->ai_addrlen) == 0;
  ::freeaddrinfo(found);
  std::string info;
  if (!is_connected || !read_line(info, std::chrono::steady_clock::now() + 5s)) {
    ::close(socket_);
    throw std::runtime_error("no NATS server at " + url);
  }
  constexpr std::string_view key = "\"max_payload\":";
  if (const auto at = info.find(key); at != std::string::npos)
    max_payload_ = std::strtoul(info.c_str() + at + key.size(), nullptr, 10);
  send_all("CONNECT {\"verbose\":false,\"pedantic\":false}\r\n");
}

nats_stranger::~nats_stranger() { ::close(socket_); }

void nats_stranger::publish(std::string_view subject, std::string_view payload) {
  std::string bytes = "PUB ";
  bytes += subject;
  bytes += ' ' + std::to_string(payload.size()) + "\r\n";
  bytes += payload;
  bytes += "\r\n";
  send_all(bytes);
}

std::string nats_stranger::flush(std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  std::string said, line;
  if (!send_all("PING\r\n")) is_closed_ = true;
  while (read_line(line, deadline)) {
    if (line == "PONG") return said;
    if (line == "PING")
      send_all("PONG\r\n");
    else if (line.starts_with("-ERR"))
      said += line + '\n';
  }
  return said + "closed";
}

bool nats_stranger::send_all(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

bool nats_stranger::read_line(std::string& line, std::chrono::steady_clock::time_point deadline) {
  while (true) {
    if (const auto end = received_.find("\r\n"); end != std::string::npos) {
      line = received_.substr(0, end);
      received_.erase(0, end + 2);
      return true;
    }
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    pollfd readable{socket_, POLLIN, 0};
    if (is_closed_ || left <= 0ms || ::poll(&readable, 1, static_cast<int>(left.count())) <= 0) return false;
    char buffer[4096];
    const auto count = ::recv(socket_, buffer, sizeof buffer, 0);
    if (count <= 0) {
      is_closed_ = true;
      return false;
    }
    received_.append(buffer, static_cast<std::size_t>(count));
  }
}

}  // namespace rowcall::support
