#include "tools/telemetry/listen_address.hpp"

#include <charconv>

namespace rowcall::tools {

engine::result<listen_address> parse_listen_address(const std::string& text) {
  const auto wrong = [&](const char* why) {
    return engine::fail(engine::errc::invalid_argument, "'" + text + "' is no HOST:PORT (" + why +
                                                            "); for example 127.0.0.1:9464, or port 0 for a free one");
  };
  listen_address address;
  std::string port = text;
  if (text.starts_with('[')) {
    const auto end = text.find("]:");
    if (end == std::string::npos) return wrong("an IPv6 address stands in brackets, before the port");
    address.host = text.substr(1, end - 1);
    port = text.substr(end + 2);
  } else if (const auto colon = text.rfind(':'); colon != std::string::npos) {
    if (text.find(':') != colon) return wrong("an IPv6 address stands in brackets");
    if (colon > 0) address.host = text.substr(0, colon);
    port = text.substr(colon + 1);
  }
  const auto* end = port.data() + port.size();
  const auto read = std::from_chars(port.data(), end, address.port);
  if (port.empty() || read.ec != std::errc{} || read.ptr != end || address.port < 0 || address.port > 65'535)
    return wrong("the port is a number from 0 to 65535");
  if (address.host.empty()) return wrong("the host is empty");
  return address;
}

std::string to_string(const listen_address& address) {
  const bool is_v6 = address.host.find(':') != std::string::npos;
  return (is_v6 ? "[" + address.host + "]" : address.host) + ":" + std::to_string(address.port);
}

}  // namespace rowcall::tools
