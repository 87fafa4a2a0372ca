#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <thread>

#include "tests/chaos/fault.hpp"
#include "tests/chaos/journal.hpp"
#include "tests/chaos/recovery.hpp"
#include "tests/chaos/tcp_proxy.hpp"
#include "tests/chaos/workload.hpp"

namespace rowcall::chaos {
namespace {

using namespace std::chrono_literals;
using direction = tcp_proxy::direction;

std::vector<fault_kind> all() { return {all_fault_kinds().begin(), all_fault_kinds().end()}; }

// ------------------------------------------------------------ faults

TEST(schedule_test, a_seed_gives_the_same_faults_again_and_another_seed_others) {
  schedule first(7, all(), 1'500ms), second(7, all(), 1'500ms), other(8, all(), 1'500ms);
  bool differs = false;
  for (int i = 0; i < 200; ++i) {
    const auto e = first.next();
    EXPECT_EQ(e, second.next());
    differs = differs || !(e == other.next());
  }
  EXPECT_TRUE(differs);
}

TEST(schedule_test, every_kind_comes_once_in_each_pack) {
  schedule s(3, all(), 1'500ms);
  std::vector<fault_kind> dealt;
  while (dealt.size() < 10 * fault_kind_count)
    for (const auto& f : s.next().faults) dealt.push_back(f.kind);
  for (std::size_t pack = 0; pack < 10; ++pack) {
    const auto begin = dealt.begin() + static_cast<std::ptrdiff_t>(pack * fault_kind_count);
    EXPECT_EQ(std::set<fault_kind>(begin, begin + fault_kind_count).size(), fault_kind_count);
  }
}

TEST(schedule_test, a_long_stop_lasts_longer_than_the_transaction_timeout) {
  schedule s(1, {fault_kind::engine_stop_long, fault_kind::engine_stop}, 1'500ms);
  for (int i = 0; i < 50; ++i)
    for (const auto& f : s.next().faults)
      EXPECT_EQ(f.lasts > 1'500ms, f.kind == fault_kind::engine_stop_long) << describe(f);
}

TEST(schedule_test, names_can_be_read_back) {
  for (const auto kind : all_fault_kinds()) EXPECT_EQ(fault_kind_from(to_string(kind)), kind);
  EXPECT_FALSE(fault_kind_from("earthquake"));
}

// ------------------------------------------------------------ journal, workload

TEST(journal_test, what_was_begun_and_has_no_result_is_of_unknown_outcome) {
  const auto submits =
      read_journal("S 0 c.0 echo-a say x\nS 1 c.0 echo-b say y\nS 2 c.0 echo-b say z\nR 0 a 17\nR 2 r\nS 3 c.0 ech");
  ASSERT_EQ(submits.size(), 3u);
  EXPECT_EQ(submits[0].result, checker::outcome::acknowledged);
  EXPECT_EQ(submits[0].seq, 17);
  EXPECT_EQ(submits[1].result, checker::outcome::unknown);
  EXPECT_EQ(submits[1].data, "y");
  EXPECT_EQ(submits[2].result, checker::outcome::refused);
  EXPECT_TRUE(read_journal("S 0 c.0 echo-a say").empty());
  EXPECT_THROW(read_journal("S 1 c.0 echo-a say x\n"), std::runtime_error);
}

TEST(journal_test, is_read_as_it_was_written) {
  char path[] = "/tmp/rowcall-journal-XXXXXX";
  const int fd = ::mkstemp(path);
  {
    journal_writer w(path);
    std::vector<checker::submit> batch{{"c.0", "echo-a", "say", "x"}, {"c.0", "echo-b", "say", "y"}};
    w.submits(batch);
    batch[0].result = checker::outcome::acknowledged;
    batch[0].seq = 5;
    w.results(batch);
    w.submits({{"c.1", "echo-a", "say", "z"}});
  }
  std::string text(1'000, '\0');
  text.resize(static_cast<std::size_t>(::read(fd, text.data(), text.size())));
  ::close(fd);
  ::unlink(path);
  const auto submits = read_journal(text);
  ASSERT_EQ(submits.size(), 3u);
  EXPECT_EQ(submits[0].seq, 5);
  EXPECT_EQ(submits[1].result, checker::outcome::unknown);
  EXPECT_EQ(submits[2].client, "c.1");
}

TEST(journal_test, tells_whether_it_ends_in_the_middle_of_a_submit) {
  EXPECT_FALSE(is_in_the_middle(""));
  EXPECT_FALSE(is_in_the_middle("S 0 c.0 echo-a"));  // not announced yet
  EXPECT_TRUE(is_in_the_middle("S 0 c.0 echo-a say x\n"));
  EXPECT_TRUE(is_in_the_middle("S 0 c.0 echo-a say x\nR 0 r\nS 1 c.0 echo-a say y\n"));
  EXPECT_FALSE(is_in_the_middle("S 0 c.0 echo-a say x\nR 0 a 1\n"));
}

// ------------------------------------------------------------ recovery

TEST(recovery_test, a_kind_is_slow_when_its_median_is) {
  const recovery_row slow{"engine_kill", 4, 1'000ms, {100, 3'001, 4'000}};
  const recovery_row fast{"engine_stop", 4, 1'000ms, {100, 3'000, 90'000}};
  const recovery_row rare{"disk_full", 2, 1'000ms, {90'000, 90'000}};
  EXPECT_EQ(slow_kinds({slow}, 3).front(), "half of engine_kill took 3001 ms or more, promised are 1000");
  EXPECT_TRUE(slow_kinds({fast}, 3).empty());
  EXPECT_TRUE(slow_kinds({rare}, 3).empty()) << "two say nothing";
  EXPECT_TRUE(slow_kinds({}, 3).empty());
}

TEST(recovery_test, kinds_that_are_rare_are_slow_together) {
  const recovery_row one{"engine_kill", 2, 1'000ms, {4'000, 100}}, two{"disk_full", 1, 2'000ms, {8'000}};
  EXPECT_EQ(slow_kinds({one, two}, 3), std::vector<std::string>{"half of all recoveries took 4 times what is promised, or more"});
  EXPECT_TRUE(slow_kinds({one, two}, 4).empty());
}

TEST(workload_test, ids_are_read_back_from_what_is_stored_in_any_spelling) {
  tools::loadgen::random_source random(1);
  std::uint64_t count = 0;
  std::set<std::string> ids;
  for (int i = 0; i < 200; ++i)
    for (const auto& p : next_batch(random, "c0", count)) {
      EXPECT_TRUE(engine::validate(p.request));
      EXPECT_EQ(id_of(p.request.data), p.id);
      EXPECT_TRUE(ids.insert(p.id).second);
    }
  EXPECT_EQ(canonical(R"({"to": "a", "id": {"b":1}})"), canonical(R"({"id":{"b": 1},"to":"a"})"));
  EXPECT_NE(canonical(R"({"a":1})"), canonical(R"({"a":2})"));
  EXPECT_EQ(sessions::probes().size(), 64u);
}

// ------------------------------------------------------------ the proxy

sockaddr_in loopback(int port) {
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_port = htons(static_cast<std::uint16_t>(port));
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return a;
}

/// A server and a client of a proxy between them, as two sockets. Reads end after two seconds.
struct tcp_proxy_test : testing::Test {
  int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  std::unique_ptr<tcp_proxy> proxy;
  int client = -1, server = -1;

  void SetUp() override {
    auto a = loopback(0);
    socklen_t size = sizeof a;
    ASSERT_EQ(::bind(listener, reinterpret_cast<sockaddr*>(&a), sizeof a), 0);
    ASSERT_EQ(::listen(listener, 4), 0);
    ::getsockname(listener, reinterpret_cast<sockaddr*>(&a), &size);
    proxy = std::make_unique<tcp_proxy>(ntohs(a.sin_port));
    client = dial();
    server = ::accept(listener, nullptr, nullptr);
    bound(server, 2'000ms);
  }
  void TearDown() override {
    ::close(client);
    ::close(server);
    ::close(listener);
  }
  int dial() {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const auto a = loopback(proxy->port());
    EXPECT_EQ(::connect(fd, reinterpret_cast<const sockaddr*>(&a), sizeof a), 0);
    bound(fd, 2'000ms);
    return fd;
  }
  static void bound(int fd, std::chrono::milliseconds wait) {
    const timeval t{wait / 1s, (wait % 1s).count() * 1'000};
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
  }
  static void say(int fd, const std::string& text) {
    ASSERT_EQ(::send(fd, text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
  }
  /// Exactly this many bytes, or what came before the end ("EOF"), a reset ("RST") or the bound ("…").
  static std::string hear(int fd, std::size_t bytes) {
    std::string all;
    while (all.size() < bytes) {
      char buffer[4'096];
      const auto n = ::recv(fd, buffer, std::min(sizeof buffer, bytes - all.size()), 0);
      if (n == 0) return all + "EOF";
      if (n < 0) return all + (errno == ECONNRESET ? "RST" : "…");
      all.append(buffer, static_cast<std::size_t>(n));
    }
    return all;
  }
};

TEST_F(tcp_proxy_test, passes_bytes_both_ways_and_the_end_too) {
  say(client, "hello");
  EXPECT_EQ(hear(server, 5), "hello");
  const std::string much(3'000'000, 'x');
  std::thread sender{[&] { say(server, much); }};
  EXPECT_EQ(hear(client, much.size()), much);
  sender.join();
  ::shutdown(client, SHUT_WR);
  EXPECT_EQ(hear(server, 1), "EOF");
  say(server, "bye");
  EXPECT_EQ(hear(client, 3), "bye");
}

TEST_F(tcp_proxy_test, delays_and_keeps_the_order) {
  proxy->delay(80ms);
  const auto begin = std::chrono::steady_clock::now();
  say(client, "a");
  say(client, "b");
  EXPECT_EQ(hear(server, 2), "ab");
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 75ms);
}

TEST_F(tcp_proxy_test, stalls_without_losing_anything) {
  proxy->stall(true);
  say(client, "late");
  bound(server, 100ms);
  EXPECT_EQ(hear(server, 4), "…");
  proxy->stall(false);
  bound(server, 2'000ms);
  EXPECT_EQ(hear(server, 4), "late");
}

TEST_F(tcp_proxy_test, cuts_with_a_reset_and_serves_who_comes_again) {
  proxy->cut();
  EXPECT_EQ(hear(client, 1), "RST");
  EXPECT_EQ(hear(server, 1), "RST");
  ::close(client);
  ::close(server);
  client = dial();
  server = ::accept(listener, nullptr, nullptr);
  bound(server, 2'000ms);
  say(client, "again");
  EXPECT_EQ(hear(server, 5), "again");
}

TEST_F(tcp_proxy_test, half_closes_one_direction_and_the_other_goes_on) {
  proxy->half_close(direction::to_client);
  EXPECT_EQ(hear(client, 1), "EOF");
  say(client, "still");
  EXPECT_EQ(hear(server, 5), "still");
  say(server, "lost");
  ::shutdown(client, SHUT_WR);
  EXPECT_EQ(hear(server, 1), "EOF");
}

TEST_F(tcp_proxy_test, a_server_that_is_away_refuses) {
  ::close(listener);
  listener = -1;
  const int fd = dial();  // the proxy itself accepts
  const auto heard = hear(fd, 1);
  EXPECT_TRUE(heard == "RST" || heard == "EOF") << heard;
  ::close(fd);
}

}  // namespace
}  // namespace rowcall::chaos
