#pragma once

#include <string>

#include "engine/result.hpp"

namespace rowcall::tools {

struct listen_address {
  std::string host = "127.0.0.1";
  int port = 0;  ///< 0 = a free one
};

/// "127.0.0.1:9464", "[::1]:9464"; without a host (":9464", "9464") it is the loopback. Errors: invalid_argument.
engine::result<listen_address> parse_listen_address(const std::string& text);

/// As it is written: "127.0.0.1:9464", "[::1]:9464".
std::string to_string(const listen_address& address);

}  // namespace rowcall::tools
