#include "gateway/token.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/process.hpp"

namespace rowcall::gateway {
namespace {

constexpr std::chrono::sys_seconds now{std::chrono::seconds{1'700'000'000}};

std::string token_of(const key_ring& keys, const token_request& request, const std::string& kid = "") {
  return *keys.sign(*claims_of(request, now), kid);
}

class token_test : public testing::Test {
 protected:
  std::string path(const std::string& name) const { return directory_ + '/' + name; }
  void put(const std::string& name, const std::string& text) { std::ofstream{path(name)} << text; }
  void make_pair(const std::string& name, const char* suffix, std::vector<std::string> generate) {
    const auto key = path(name + suffix + ".key.pem");
    generate.insert(generate.end(), {"-out", key});
    support::run_to_end(std::move(generate), {});
    support::run_to_end({"openssl", "pkey", "-in", key, "-pubout", "-out", path(name + suffix + ".pub.pem")}, {});
  }
  const std::string directory_ = support::make_directory();
};

TEST_F(token_test, a_signed_token_says_who_bears_it) {
  const auto keys = key_ring::development();
  const auto who = keys.verify(token_of(keys, {"ann", {}, {}, false, std::chrono::hours{1}}), now);
  ASSERT_TRUE(who) << who.error().message;
  EXPECT_EQ(who->user, "ann");
  EXPECT_EQ(who->submit, std::vector<std::string>{"user-ann"});
  EXPECT_EQ(who->follow, std::vector<std::string>{"user-ann"});
  EXPECT_FALSE(who->is_operator);
  EXPECT_EQ(who->expires_at, now + std::chrono::hours{1});
  EXPECT_EQ(who->key, "development");
}

TEST_F(token_test, it_ends_when_it_says) {
  const auto keys = key_ring::development();
  const auto token = token_of(keys, {"ann", {}, {}, false, std::chrono::seconds{10}});
  EXPECT_TRUE(keys.verify(token, now + std::chrono::seconds{9}));
  EXPECT_FALSE(keys.verify(token, now + std::chrono::seconds{10}));
  EXPECT_FALSE(claims_of({"ann", {}, {}, false, std::chrono::seconds{0}}, now));
}

TEST_F(token_test, asymmetric_keys_check_without_being_able_to_sign) {
  make_pair("a", ".rs256", {"openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"});
  make_pair("b", ".es256", {"openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"});
  const auto all = key_ring::load(directory_);
  ASSERT_TRUE(all) << all.error().message;
  const auto rsa = token_of(*all, {"ann"}, "a"), ec = token_of(*all, {"bob"}, "b");
  std::remove(path("a.rs256.key.pem").c_str());
  std::remove(path("b.es256.key.pem").c_str());
  const auto checking = *key_ring::load(directory_);
  EXPECT_EQ(checking.verify(rsa, now).value().user, "ann");
  EXPECT_EQ(checking.verify(ec, now).value().user, "bob");
  EXPECT_FALSE(checking.sign("{}", ""));
}

TEST_F(token_test, one_changed_character_is_enough_to_refuse) {
  const auto keys = key_ring::development();
  const auto token = token_of(keys, {"ann"});
  for (std::size_t i = 0; i + 1 < token.size(); i += 7) {
    auto changed = token;
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    // The last character of a part may hold bits that decode to nothing.
    if (i + 1 < token.size() && token[i + 1] == '.') continue;
    EXPECT_FALSE(keys.verify(changed, now)) << i;
  }
}

TEST_F(token_test, the_last_key_by_name_signs_and_any_checks) {
  put("2026-01.hs256", std::string(40, '1') + "\n");
  const auto old_keys = *key_ring::load(directory_);
  const auto old_token = token_of(old_keys, {"ann"});
  put("2026-02.hs256", std::string(40, '2'));
  const auto both = *key_ring::load(directory_);
  EXPECT_EQ(both.verify(old_token, now)->key, "2026-01");
  EXPECT_EQ(both.verify(token_of(both, {"ann"}), now)->key, "2026-02");
  std::remove(path("2026-01.hs256").c_str());
  EXPECT_FALSE(key_ring::load(directory_)->verify(old_token, now));
}

TEST_F(token_test, weak_missing_and_known_keys_are_no_keys) {
  EXPECT_FALSE(key_ring::load(directory_));
  EXPECT_FALSE(key_ring::load(directory_ + "/nothing"));
  put("a.hs256", "short");
  EXPECT_FALSE(key_ring::load(directory_));
  put("a.hs256", key_ring::development().keys().begin()->second.sign);
  EXPECT_FALSE(key_ring::load(directory_));
  std::remove(path("a.hs256").c_str());
  put("development.hs256", std::string(40, 'x'));
  EXPECT_FALSE(key_ring::load(directory_));
}

TEST_F(token_test, claims_that_mean_nothing_are_refused) {
  for (const auto* claims :
       {"{}", R"({"exp":"soon"})", R"({"sub":"a b","exp":1800000000})", R"({"sub":"ann","exp":1})",
        R"({"sub":"ann","exp":1800000000,"nbf":1800000000})", R"({"sub":"ann","exp":1800000000,"follow":"user-ann"})",
        R"({"sub":"ann","exp":1800000000,"follow":["*"]})", R"({"sub":"ann","exp":1800000000,"operator":"yes"})", "[]",
        "x"})
    EXPECT_FALSE(identity_of(claims, now)) << claims;
  EXPECT_TRUE(identity_of(R"({"sub":"ann","exp":1800000000,"follow":[]})", now)->follow.empty());
}

}  // namespace
}  // namespace rowcall::gateway
