#include "tools/telemetry/listen_address.hpp"

#include <gtest/gtest.h>

namespace rowcall::tools {
namespace {

TEST(listen_address, is_a_host_and_a_port) {
  for (const auto& [text, written] : {std::pair{"127.0.0.1:9464", "127.0.0.1:9464"},
                                      {"localhost:0", "localhost:0"},
                                      {"[::1]:9464", "[::1]:9464"},
                                      {"0.0.0.0:65535", "0.0.0.0:65535"}}) {
    const auto parsed = parse_listen_address(text);
    ASSERT_TRUE(parsed) << text;
    EXPECT_EQ(to_string(*parsed), written);
  }
}

TEST(listen_address, without_a_host_is_the_loopback) {
  EXPECT_EQ(to_string(parse_listen_address(":9464").value()), "127.0.0.1:9464");
  EXPECT_EQ(to_string(parse_listen_address("9464").value()), "127.0.0.1:9464");
}

TEST(listen_address, of_another_form_is_refused_with_an_example) {
  for (const char* text : {"", "host", "host:", ":", "host:-1", "host:65536", "host:80x", "::1:80", "[::1]", "[]:80"}) {
    const auto parsed = parse_listen_address(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().code, engine::errc::invalid_argument);
    EXPECT_NE(parsed.error().message.find("127.0.0.1:9464"), std::string::npos);
  }
}

}  // namespace
}  // namespace rowcall::tools
