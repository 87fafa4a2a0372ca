#include "gateway/internal/http.hpp"

#include <gtest/gtest.h>

#include "gateway/internal/update_text.hpp"

namespace rowcall::gateway::internal {
namespace {

bool reads(std::string_view target) {
  std::string path;
  std::vector<name_value> query;
  return read_target(target, path, query);
}

TEST(target, a_path_and_its_parameters_are_decoded_once) {
  std::string path;
  std::vector<name_value> query;
  ASSERT_TRUE(read_target("/v1/%75ser?a=1+2&b=%26%3d&c&a=3", path, query));
  EXPECT_EQ(path, "/v1/user");
  EXPECT_EQ(query, (std::vector<name_value>{{"a", "1 2"}, {"b", "&="}, {"c", ""}, {"a", "3"}}));
  query.clear();
  ASSERT_TRUE(read_target("/%252e%252e", path, query));
  EXPECT_EQ(path, "/%2e%2e");
}

TEST(target, what_leaves_the_tree_or_can_be_read_in_two_ways_is_refused) {
  for (const auto* bad :
       {"",       "*",      "v1",    "http://x/", "/..", "/a/../b", "/%2e%2e/a", "/.%2e", "/./a",     "//a",   "/a//b",
        "/a%2fb", "/a%5cb", "/a\\b", "/a%00",     "/%",  "/%4",     "/%zz",      "/a#b",  "/a?b=%00", "/a?b=%"})
    EXPECT_FALSE(reads(bad)) << bad;
  for (const auto* good : {"/", "/a", "/a/", "/a.b/c..d", "/...", "/a?", "/a?b", "/a?/../x"})
    EXPECT_TRUE(reads(good)) << good;
}

TEST(accepts, a_list_names_an_item_unless_its_weight_is_0) {
  EXPECT_TRUE(accepts("gzip", "gzip"));
  EXPECT_TRUE(accepts("br, GZip;q=0.5", "gzip"));
  EXPECT_FALSE(accepts("gzip;q=0", "gzip"));
  EXPECT_FALSE(accepts("gzip;q=0.000", "gzip"));
  EXPECT_FALSE(accepts("gzipped", "gzip"));
  EXPECT_FALSE(accepts("", "gzip"));
  EXPECT_TRUE(accepts("application/json; charset=utf-8", "application/json"));
}

TEST(update_text, an_update_is_one_line) {
  const auto session = *engine::session_id::parse("chat-1");
  const engine::update_row row{{5},
                               {3},
                               "new_message",
                               "{\"text\":\"a\\nb\",\r\n\"n\":1}",
                               engine::db_time{std::chrono::microseconds{1'700'000'000'000'001}}};
  EXPECT_EQ(
      update_text(session, row),
      R"({"session":"chat-1","seq":5,"command_seq":3,"type":"new_message","data":{"text":"a\nb",  "n":1},"at":"2023-11-14T22:13:20.000001Z"})");
}

}  // namespace
}  // namespace rowcall::gateway::internal
