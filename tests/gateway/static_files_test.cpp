#include "gateway/internal/static_files.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/support/process.hpp"

namespace rowcall::gateway::internal {
namespace {

class static_files_test : public testing::Test {
 protected:
  void put(const std::string& name, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path{root_ + '/' + name}.parent_path());
    std::ofstream{root_ + '/' + name} << text;
  }
  static http_request get(const std::string& path, std::vector<name_value> headers = {}) {
    http_request r;
    r.method = "GET";
    r.path = path;
    r.headers = std::move(headers);
    return r;
  }
  static std::string header(const http_answer& a, std::string_view name) {
    for (const auto& [key, value] : a.headers)
      if (key == name) return value;
    return {};
  }
  const std::string root_ = support::make_directory();
};

TEST_F(static_files_test, serves_pages_by_their_paths) {
  put("chat/index.html", "<!doctype html>");
  put("rowcall.js", "export {}");
  static_files files{root_};
  EXPECT_EQ(files.find(get("/chat/"))->body, "<!doctype html>");
  EXPECT_EQ(files.find(get("/chat/"))->content_type, "text/html; charset=utf-8");
  EXPECT_EQ(files.find(get("/rowcall.js"))->content_type, "text/javascript; charset=utf-8");
  EXPECT_EQ(files.find(get("/chat"))->status, 308);
  EXPECT_EQ(header(*files.find(get("/")), "Location"), "/chat/");
  EXPECT_FALSE(files.find(get("/nothing.js")));
}

TEST_F(static_files_test, has_a_strict_policy_on_every_page) {
  put("a.html", "x");
  static_files files{root_};
  const auto policy = header(*files.find(get("/a.html")), "Content-Security-Policy");
  EXPECT_NE(policy.find("default-src 'none'"), std::string::npos);
  EXPECT_EQ(policy.find("unsafe"), std::string::npos);
  EXPECT_EQ(header(*files.find(get("/a.html")), "X-Content-Type-Options"), "nosniff");
}

TEST_F(static_files_test, answers_304_to_who_has_it_and_gzip_to_who_takes_it) {
  put("a.js", std::string(5'000, 'x'));
  static_files files{root_};
  const auto first = *files.find(get("/a.js"));
  EXPECT_EQ(files.find(get("/a.js", {{"if-none-match", header(first, "ETag")}}))->status, 304);
  EXPECT_EQ(files.find(get("/a.js", {{"if-none-match", "\"other\""}}))->status, 200);
  const auto packed = *files.find(get("/a.js", {{"accept-encoding", "gzip, br"}}));
  EXPECT_EQ(header(packed, "Content-Encoding"), "gzip");
  EXPECT_LT(packed.body.size(), 200u);
}

TEST_F(static_files_test, keeps_to_itself_what_is_no_page) {
  for (const auto* name : {".env", ".git/config.json", "a.test.js", "test/a.js", "node_modules/x/a.js", "README.md",
                           "key.pem", "package.json"})
    put(name, "x");
  const auto outside = support::make_directory() + "/secret.txt";
  std::ofstream{outside} << "secret";
  std::filesystem::create_symlink(outside, root_ + "/link.txt");
  static_files files{root_};
  EXPECT_EQ(files.size(), 0u);
}

}  // namespace
}  // namespace rowcall::gateway::internal
