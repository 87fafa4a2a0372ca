#include "engine/give_back.hpp"

#include <gtest/gtest.h>

#include <string>
#include <unordered_map>
#include <vector>

namespace rowcall::engine {
namespace {

TEST(give_back, a_container_keeps_neither_elements_nor_memory) {
  std::string text(10'000, 'x');
  std::vector<int> numbers(10'000);
  std::unordered_map<int, int> map;
  for (int i = 0; i < 10'000; ++i) map[i] = i;
  give_back(text);
  give_back(numbers);
  give_back(map);
  EXPECT_TRUE(text.empty());
  EXPECT_LT(text.capacity(), 100U);
  EXPECT_EQ(numbers.capacity(), 0U);
  EXPECT_TRUE(map.empty());
  EXPECT_LT(map.bucket_count(), 100U);
}

TEST(give_back, an_aggregate_is_what_a_new_one_is) {
  struct request {
    std::string body;
    int tries = 3;
  } r{std::string(10'000, 'x'), 7};
  give_back(r);
  EXPECT_LT(r.body.capacity(), 100U);
  EXPECT_EQ(r.tries, 3);
}

}  // namespace
}  // namespace rowcall::engine
