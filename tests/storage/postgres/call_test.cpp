#include "storage/postgres/internal/call.hpp"

#include <stdexcept>
#include <vector>

#include <gtest/gtest.h>

namespace rowcall::storage::postgres::internal {
namespace {

const auto self = [](const auto& v) -> const auto& { return v; };

TEST(call, quotes_a_literal_by_doubling_its_quotes_only) {
  EXPECT_EQ(call("q").text("it's a \\ and \"").str(), "EXECUTE q('it''s a \\ and \"')");
}

TEST(call, escapes_array_elements_for_both_layers) {
  const std::vector<std::string> values{"a,b", "it's", "say \"x\"", "back\\slash", "{}", "NULL", ""};
  EXPECT_EQ(call("q").array(values, self).str(),
            R"(EXECUTE q('{"a,b","it''s","say \"x\"","back\\slash","{}","NULL",""}'))");
}

TEST(call, writes_an_absent_element_as_null_without_quotes) {
  const std::vector<std::optional<std::string>> values{"x", std::nullopt};
  EXPECT_EQ(call("q").array(values, self).str(), R"(EXECUTE q('{"x",NULL}'))");
}

TEST(call, writes_numbers_and_booleans) {
  EXPECT_EQ(call("q").number(-1).boolean(true).null().array(std::vector<int>{1, -2}, self).str(),
            "EXECUTE q('-1',true,NULL,'{1,-2}')");
}

TEST(call, refuses_a_nul_which_would_cut_the_statement) {
  const std::string nul{"a\0b", 3};
  EXPECT_THROW(call("q").text(nul), std::invalid_argument);
  EXPECT_THROW(call("q").array(std::vector{nul}, self), std::invalid_argument);
  std::string sql;
  EXPECT_THROW(append_name(sql, nul), std::invalid_argument);
}

TEST(call, quotes_names) {
  std::string sql;
  append_name(sql, "a\"b");
  EXPECT_EQ(sql, "\"a\"\"b\"");
}

}  // namespace
}  // namespace rowcall::storage::postgres::internal
