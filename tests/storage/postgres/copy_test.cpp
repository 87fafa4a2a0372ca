#include "storage/postgres/internal/copy.hpp"

#include <limits>

#include <gtest/gtest.h>

namespace rowcall::storage::postgres::internal {
namespace {

TEST(row_encoder, writes_fields_between_tabs_and_a_line_a_row) {
  row_encoder rows;
  rows.number(1).text("a").null().end_row();
  rows.text("").number(std::numeric_limits<std::int64_t>::min()).end_row();
  EXPECT_EQ(rows.bytes(), "1\ta\t\\N\n\t-9223372036854775808\n");
  rows.clear();
  rows.number(2).end_row();
  EXPECT_EQ(rows.bytes(), "2\n");
}

TEST(row_encoder, escapes_what_ends_a_field_a_row_or_an_escape_and_nothing_else) {
  row_encoder rows;
  rows.text("a\\b\tc\nd\re\x01 \"é\" \\N").end_row();
  EXPECT_EQ(rows.bytes(), "a\\\\b\\tc\\nd\\re\x01 \"é\" \\\\N\n");
}

}  // namespace
}  // namespace rowcall::storage::postgres::internal
