#include "gateway/token.hpp"

#include <jwt.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "engine/json.hpp"

/// The only file that knows libjwt.
namespace rowcall::gateway {
namespace {

using engine::errc;
using engine::fail;
namespace json = engine::json;
using jwt_ptr = std::unique_ptr<jwt_t, void (*)(jwt_t*)>;
using text_ptr = std::unique_ptr<char, void (*)(void*)>;

constexpr std::size_t token_bytes_max = 8 * 1024;
constexpr std::size_t key_file_bytes_max = 64 * 1024;
constexpr std::chrono::seconds clock_skew_max{30};
constexpr std::string_view development_secret = "rowcall-development-key-everybody-knows-it";

jwt_alg_t alg_of(algorithm a) {
  switch (a) {
    case algorithm::hs256:
      return JWT_ALG_HS256;
    case algorithm::rs256:
      return JWT_ALG_RS256;
    case algorithm::es256:
      return JWT_ALG_ES256;
  }
  return JWT_ALG_INVAL;
}

/// Base64 for URLs, without padding (RFC 4648, 5).
std::optional<std::string> base64url_decode(std::string_view text) {
  std::string out;
  out.reserve(text.size() * 3 / 4);
  unsigned bits = 0;
  int count = 0;
  for (const char c : text) {
    unsigned v = 0;
    if (c >= 'A' && c <= 'Z')
      v = static_cast<unsigned>(c - 'A');
    else if (c >= 'a' && c <= 'z')
      v = static_cast<unsigned>(c - 'a' + 26);
    else if (c >= '0' && c <= '9')
      v = static_cast<unsigned>(c - '0' + 52);
    else if (c == '-')
      v = 62;
    else if (c == '_')
      v = 63;
    else
      return std::nullopt;
    bits = (bits << 6) | v;
    count += 6;
    if (count >= 8) {
      count -= 8;
      out += static_cast<char>((bits >> count) & 0xff);
    }
  }
  return out;
}

std::vector<std::string> patterns_at(const json::object& claims, std::string_view key, const std::string& user,
                                     bool& is_valid) {
  const auto found = claims.at_key(key);
  if (found.error() == simdjson::NO_SUCH_FIELD)
    return user.empty() ? std::vector<std::string>{} : std::vector<std::string>{"user-" + user};
  simdjson::dom::array items;
  std::vector<std::string> patterns;
  if (found.get(items) != simdjson::SUCCESS) {
    is_valid = false;
    return patterns;
  }
  for (const json::value item : items) {
    std::string_view text;
    if (item.get(text) != simdjson::SUCCESS || !is_valid_pattern(text)) {
      is_valid = false;
      return patterns;
    }
    patterns.emplace_back(text);
  }
  return patterns;
}

engine::result<std::string> read_file(const std::filesystem::path& path) {
  std::ifstream file{path, std::ios::binary};
  std::string text(key_file_bytes_max, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!file.is_open() || file.bad()) return fail(errc::invalid_argument, "cannot read the key " + path.string());
  text.resize(static_cast<std::size_t>(file.gcount()));
  return text;
}

std::string trimmed(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ' || text.back() == '\t'))
    text.pop_back();
  return text;
}

struct key_file {
  std::string_view suffix;
  algorithm alg;
  bool is_for_signing;
};
constexpr std::array<key_file, 4> pem_files{{{".rs256.pub.pem", algorithm::rs256, false},
                                             {".es256.pub.pem", algorithm::es256, false},
                                             {".rs256.key.pem", algorithm::rs256, true},
                                             {".es256.key.pem", algorithm::es256, true}}};

}  // namespace

std::string_view to_string(algorithm a) {
  switch (a) {
    case algorithm::hs256:
      return "HS256";
    case algorithm::rs256:
      return "RS256";
    case algorithm::es256:
      return "ES256";
  }
  return "";
}

key_ring key_ring::development() {
  key_ring ring;
  const std::string secret{development_secret};
  ring.keys_[std::string{development_key}] = {algorithm::hs256, secret, secret};
  return ring;
}

engine::result<key_ring> key_ring::load(const std::string& directory) {
  std::error_code error;
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator{directory, error})
    if (!entry.path().filename().string().starts_with('.')) files.push_back(entry.path());
  if (error) return fail(errc::invalid_argument, "cannot read the keys in " + directory + ": " + error.message());
  std::sort(files.begin(), files.end());
  key_ring ring;
  const auto add = [&](std::string name, algorithm alg, bool verify, bool sign,
                       const std::string& text) -> engine::result<void> {
    if (name.empty() || name == development_key)
      return fail(errc::invalid_argument, "a key may not be called '" + name + "'");
    auto& key = ring.keys_[name];
    if ((!key.verify.empty() || !key.sign.empty()) && key.alg != alg)
      return fail(errc::invalid_argument, "the key " + name + " is there with two algorithms");
    key.alg = alg;
    if (verify) key.verify = text;
    if (sign) key.sign = text;
    return {};
  };
  for (const auto& file : files) {
    const auto name = file.filename().string();
    const auto pem =
        std::find_if(pem_files.begin(), pem_files.end(), [&](const auto& p) { return name.ends_with(p.suffix); });
    if (!name.ends_with(".hs256") && pem == pem_files.end()) continue;
    auto text = read_file(file);
    if (!text) return tl::make_unexpected(text.error());
    engine::result<void> added;
    if (pem != pem_files.end()) {
      added = add(name.substr(0, name.size() - pem->suffix.size()), pem->alg, !pem->is_for_signing, pem->is_for_signing,
                  *text);
    } else {
      const auto secret = trimmed(*text);
      if (secret.size() < secret_bytes_min)
        return fail(errc::invalid_argument, "the secret " + file.string() + " has fewer than " +
                                                std::to_string(secret_bytes_min) +
                                                " bytes; make one with `openssl rand -base64 48`");
      if (secret == development_secret)
        return fail(errc::invalid_argument,
                    "the secret " + file.string() + " is the development key, which everybody knows");
      added = add(name.substr(0, name.size() - 6), algorithm::hs256, true, true, secret);
    }
    if (!added) return tl::make_unexpected(added.error());
  }
  if (ring.keys_.empty())
    return fail(errc::invalid_argument,
                "there is no key in " + directory + ": expected NAME.hs256, NAME.rs256.pub.pem or NAME.es256.pub.pem");
  return ring;
}

engine::result<token_parts> take_apart(std::string_view token) {
  const auto bad = [] { return fail(errc::invalid_argument, "the token is not a JWT"); };
  if (token.size() > token_bytes_max || std::count(token.begin(), token.end(), '.') != 2) return bad();
  const auto first = token.find('.'), second = token.rfind('.');
  auto header = base64url_decode(token.substr(0, first));
  auto claims = base64url_decode(token.substr(first + 1, second - first - 1));
  if (!header || !claims) return bad();
  json::parser parser;
  if (!parser.parse_object(*header) || !parser.parse_object(*claims)) return bad();
  return token_parts{*std::move(header), *std::move(claims)};
}

engine::result<identity> identity_of(std::string_view claims, std::chrono::sys_seconds now) {
  json::parser parser;
  const auto o = parser.parse_object(claims);
  if (!o) return fail(errc::invalid_argument, "the token's claims are no JSON object");
  identity who;
  if (const auto sub = o->at_key("sub"); sub.error() != simdjson::NO_SUCH_FIELD) {
    const auto user = json::string_at(*o, "sub");
    if (!user || !engine::session_id::parse("user-" + std::string{*user}))
      return fail(errc::invalid_argument, "the token's sub is no user's id");
    who.user = *user;
  }
  const auto expires = json::int_at(*o, "exp");
  if (!expires) return fail(errc::invalid_argument, "the token has no exp: it would never expire");
  who.expires_at = std::chrono::sys_seconds{std::chrono::seconds{*expires}};
  if (who.expires_at <= now) return fail(errc::invalid_argument, "the token has expired");
  for (const auto* key : {"nbf", "iat"}) {
    if (o->at_key(key).error() == simdjson::NO_SUCH_FIELD) continue;
    const auto from = json::int_at(*o, key);
    if (!from || std::chrono::sys_seconds{std::chrono::seconds{*from}} > now + clock_skew_max)
      return fail(errc::invalid_argument, "the token is not valid yet");
  }
  bool is_valid = true;
  who.submit = patterns_at(*o, "submit", who.user, is_valid);
  who.follow = patterns_at(*o, "follow", who.user, is_valid);
  bool is_operator = false;
  if (const auto claim = o->at_key("operator"); claim.error() != simdjson::NO_SUCH_FIELD)
    is_valid = is_valid && claim.get(is_operator) == simdjson::SUCCESS;
  who.is_operator = is_operator;
  if (!is_valid) return fail(errc::invalid_argument, "the token's submit, follow or operator can not be read");
  return who;
}

engine::result<identity> key_ring::verify(const std::string& token, std::chrono::sys_seconds now) const {
  const auto parts = take_apart(token);
  if (!parts) return tl::make_unexpected(parts.error());
  json::parser parser;
  const auto header = parser.parse_object(parts->header);
  const auto kid = json::string_at(*header, "kid");
  const auto alg = json::string_at(*header, "alg");
  if (!kid) return fail(errc::invalid_argument, "the token does not name its key (kid)");
  const auto found = keys_.find(std::string{*kid});
  if (found == keys_.end() || found->second.verify.empty())
    return fail(errc::invalid_argument, "the token's key is not known here");
  const auto& key = found->second;
  if (!alg || *alg != to_string(key.alg)) return fail(errc::invalid_argument, "the token's algorithm is not its key's");
  jwt_t* opened = nullptr;
  if (jwt_decode(&opened, token.c_str(), reinterpret_cast<const unsigned char*>(key.verify.data()),
                 static_cast<int>(key.verify.size())) != 0)
    return fail(errc::invalid_argument, "the token's signature is wrong");
  const jwt_ptr jwt{opened, jwt_free};
  if (jwt_get_alg(jwt.get()) != alg_of(key.alg))
    return fail(errc::invalid_argument, "the token's algorithm is not its key's");
  const text_ptr claims{jwt_get_grants_json(jwt.get(), nullptr), std::free};
  if (!claims) return fail(errc::invalid_argument, "the token has no claims");
  auto who = identity_of(claims.get(), now);
  if (who) who->key = found->first;
  return who;
}

engine::result<std::string> key_ring::sign(const std::string& claims, const std::string& kid) const {
  auto chosen = keys_.end();
  for (auto it = keys_.begin(); it != keys_.end(); ++it)
    if (!it->second.sign.empty() && (kid.empty() || it->first == kid)) chosen = it;
  if (chosen == keys_.end())
    return fail(errc::invalid_argument, kid.empty() ? "none of the keys can sign" : "the key " + kid + " can not sign");
  jwt_t* made = nullptr;
  if (jwt_new(&made) != 0) return fail(errc::internal, "out of memory");
  const jwt_ptr jwt{made, jwt_free};
  const auto& key = chosen->second;
  if (jwt_add_grants_json(jwt.get(), claims.c_str()) != 0 ||
      jwt_add_header(jwt.get(), "kid", chosen->first.c_str()) != 0 ||
      jwt_set_alg(jwt.get(), alg_of(key.alg), reinterpret_cast<const unsigned char*>(key.sign.data()),
                  static_cast<int>(key.sign.size())) != 0)
    return fail(errc::internal, "the token can not be built");
  const text_ptr text{jwt_encode_str(jwt.get()), std::free};
  if (!text) return fail(errc::invalid_argument, "the key " + chosen->first + " can not be used to sign");
  return std::string{text.get()};
}

engine::result<std::string> claims_of(const token_request& request, std::chrono::sys_seconds now) {
  if (request.lifetime.count() <= 0) return fail(errc::invalid_argument, "the lifetime of a token must be positive");
  json::writer w;
  w.begin_object();
  if (!request.user.empty()) w.key("sub").string(request.user);
  w.key("iat").number(static_cast<std::int64_t>(now.time_since_epoch().count()));
  w.key("exp").number(static_cast<std::int64_t>((now + request.lifetime).time_since_epoch().count()));
  const auto patterns = [&](const char* name, const std::vector<std::string>& list) {
    if (list.empty()) return;
    w.key(name).begin_array();
    for (const auto& pattern : list) w.string(pattern);
    w.end_array();
  };
  patterns("submit", request.submit);
  patterns("follow", request.follow);
  if (request.is_operator) w.key("operator").boolean(true);
  w.end_object();
  auto claims = std::move(w).str();
  if (auto valid = identity_of(claims, now); !valid) return tl::make_unexpected(valid.error());
  if (request.user.empty() && request.submit.empty() && request.follow.empty() && !request.is_operator)
    return fail(errc::invalid_argument, "a token must name a user, sessions, or the operator");
  return claims;
}

}  // namespace rowcall::gateway
