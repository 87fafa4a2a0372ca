#include "actors/metrics.hpp"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace rowcall::actors {
namespace {

using namespace std::chrono_literals;
using small = histogram<2, 4>;  // up to 4, up to 8, up to 16, more

TEST(histogram, counts_a_value_in_the_first_bucket_whose_bound_is_not_below_it) {
  EXPECT_EQ(small::bucket_count, 4u);
  for (const auto& [value, bucket] : {std::pair{0u, 0u},
                                      {1u, 0u},
                                      {4u, 0u},
                                      {5u, 1u},
                                      {8u, 1u},
                                      {9u, 2u},
                                      {16u, 2u},
                                      {17u, 3u},
                                      {4'000'000'000u, 3u}})
    EXPECT_EQ(small::bucket_of(value), bucket) << value;
  EXPECT_EQ(small::bound(0), 4u);
  EXPECT_EQ(small::bound(2), 16u);
  EXPECT_EQ(small::bucket_of(~std::uint64_t{0}), 3u);
}

TEST(histogram, of_sizes_has_a_bucket_for_one) {
  EXPECT_EQ(size_histogram::bucket_of(1), 0u);
  EXPECT_EQ(size_histogram::bucket_of(2), 1u);
  EXPECT_EQ(size_histogram::bucket_of(3), 2u);
}

TEST(histogram, adds_a_tally_as_if_each_value_had_been_observed) {
  small one, many;
  small::tally tally;
  for (std::uint64_t v : {1u, 7u, 7u, 100u}) {
    one.observe(v);
    tally.observe(v);
  }
  many.add(tally);
  many.add({});
  for (std::size_t i = 0; i < small::bucket_count; ++i) EXPECT_EQ(many.count_of(i), one.count_of(i)) << i;
  EXPECT_EQ(many.count_of(1), 2u);
  EXPECT_EQ(many.sum(), 115u);
}

TEST(histogram, loses_nothing_when_threads_write_at_once) {
  duration_histogram h;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (std::uint64_t i = 0; i < 10'000; ++i) h.observe(i);
    });
  for (auto& t : threads) t.join();
  std::uint64_t count = 0;
  for (std::size_t i = 0; i < duration_histogram::bucket_count; ++i) count += h.count_of(i);
  EXPECT_EQ(count, 40'000u);
  EXPECT_EQ(h.sum(), 4u * (10'000u * 9'999u / 2));
}

TEST(histogram, takes_a_negative_duration_for_none) {
  EXPECT_EQ(microseconds_of(-1ms), 0u);
  EXPECT_EQ(microseconds_of(1'999ns), 1u);
}

}  // namespace
}  // namespace rowcall::actors
