#include "actors/crowd.hpp"

#include <gtest/gtest.h>

namespace rowcall::actors {
namespace {

using namespace std::chrono_literals;

struct ticks {
  crowd visitors;
  engine::clock::time_point now{};
  std::size_t known = 0;

  void come(std::size_t count) { known += count; }
  bool tick(std::size_t gone = 0) {
    now += 1s;
    known -= gone;
    return visitors.is_time_to_trim(known, gone, now);
  }
  int trims_in(std::chrono::seconds time) {
    int trims = 0;
    for (; time > 0s; time -= 1s) trims += tick() ? 1 : 0;
    return trims;
  }
};

TEST(crowd, few_that_go_are_no_crowd) {
  ticks t;
  t.come(crowd::sessions_min - 1);
  EXPECT_FALSE(t.tick());
  EXPECT_FALSE(t.tick(crowd::sessions_min - 1));
  EXPECT_EQ(t.trims_in(60s), 0);
}

TEST(crowd, memory_is_given_back_some_times_after_most_have_gone) {
  ticks t;
  t.come(40'000);
  EXPECT_FALSE(t.tick());
  EXPECT_FALSE(t.tick(29'999));
  EXPECT_TRUE(t.tick(1));
  EXPECT_EQ(t.trims_in(60s), crowd::times - 1);
}

TEST(crowd, not_oftener_than_its_pause) {
  ticks t;
  t.come(40'000);
  ASSERT_TRUE(t.tick(40'000));
  EXPECT_EQ(t.trims_in(crowd::again_after - 1s), 0);
  EXPECT_TRUE(t.tick());
}

TEST(crowd, those_who_stay_longer_are_waited_for) {
  ticks t;
  t.come(40'000);
  ASSERT_TRUE(t.tick(30'000));
  int trims = 0;
  for (int i = 0; i < 100; ++i) trims += t.tick(100) ? 1 : 0;
  EXPECT_EQ(trims, 100s / crowd::again_after);
  EXPECT_EQ(t.trims_in(60s), crowd::times - 1) << "the first of them was in the last tick";
}

TEST(crowd, one_that_only_changes_is_left_alone) {
  ticks t;
  t.come(40'000);
  for (int i = 0; i < 100; ++i) {
    EXPECT_FALSE(t.tick(20'000));
    t.come(20'000);
  }
}

TEST(crowd, what_goes_on_after_it_is_left_alone) {
  ticks t;
  t.come(40'000);
  int trims = t.tick(30'000) ? 1 : 0;
  for (int i = 0; i < 100; ++i) {
    t.come(100);
    trims += t.tick(100) ? 1 : 0;
  }
  EXPECT_EQ(trims, crowd::times);
}

TEST(crowd, the_next_one_is_seen_as_well) {
  ticks t;
  for (int i = 0; i < 3; ++i) {
    t.come(20'000);
    EXPECT_TRUE(t.tick(20'000));
    t.trims_in(60s);
  }
}

}  // namespace
}  // namespace rowcall::actors
