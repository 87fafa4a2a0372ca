#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "engine/result.hpp"
#include "gateway/access.hpp"

/// Signed tokens (JWT, RFC 7519): checked by the gateway, issued by `rowcall token issue` or by anybody who has a key.
///
///   header   {"alg":"HS256"|"RS256"|"ES256","kid":"2026-11"}
///   claims   {"sub":"ann","iat":…,"exp":…,"submit":["user-ann"],"follow":["user-ann"]}
///
/// `exp` and `kid` are required. Without `submit` and `follow`, a user's token names his own session.
namespace rowcall::gateway {

enum class algorithm { hs256, rs256, es256 };
std::string_view to_string(algorithm a);

struct signing_key {
  algorithm alg = algorithm::hs256;
  std::string verify;  ///< the secret, or the public key in PEM; empty: can not verify
  std::string sign;    ///< the secret, or the private key in PEM; empty: can not sign
};

/// The keys of a directory; a key's name (`kid`) is the file's name before the suffix:
///   NAME.hs256            a secret, at least 32 bytes (white space at the end does not count)
///   NAME.rs256.pub.pem    NAME.es256.pub.pem    public keys, to check tokens
///   NAME.rs256.key.pem    NAME.es256.key.pem    private keys, to issue them; the gateway needs none
/// Rotation: put the new key there, issue with it, remove the old one when its last token has expired.
class key_ring {
 public:
  static constexpr std::size_t secret_bytes_min = 32;
  static constexpr std::string_view development_key = "development";

  /// One key that everybody knows.
  static key_ring development();
  /// Errors: invalid_argument for a directory without a usable key, for a short secret, and for the development key.
  static engine::result<key_ring> load(const std::string& directory);

  /// Who bears the token. The key decides about the algorithm, not the token's header. Errors: invalid_argument, in
  /// words that may be told to the bearer.
  engine::result<identity> verify(const std::string& token, std::chrono::sys_seconds now) const;
  /// Signs claims (JSON object text) with a key; `kid` empty: the last by name that can sign.
  engine::result<std::string> sign(const std::string& claims, const std::string& kid) const;
  bool contains(const std::string& kid) const { return keys_.contains(kid); }
  const std::map<std::string, signing_key>& keys() const { return keys_; }

 private:
  std::map<std::string, signing_key> keys_;
};

struct token_request {
  std::string user;                         ///< may be empty for a service
  std::vector<std::string> submit, follow;  ///< empty: the user's own session
  bool is_operator = false;
  std::chrono::seconds lifetime{3600};
};
/// The claims of a new token as JSON. Errors: invalid_argument (user, patterns, lifetime).
engine::result<std::string> claims_of(const token_request& request, std::chrono::sys_seconds now);

/// The identity that claims amount to. Errors: invalid_argument.
engine::result<identity> identity_of(std::string_view claims, std::chrono::sys_seconds now);

/// A token taken apart without checking its signature, for people: header and claims as JSON.
struct token_parts {
  std::string header, claims;
};
engine::result<token_parts> take_apart(std::string_view token);

}  // namespace rowcall::gateway
