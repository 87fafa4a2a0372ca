#include "gateway/token.hpp"

#include <cstdio>
#include <iostream>

#include "tools/connect/duration.hpp"
#include "tools/rowcall/actions.hpp"
#include "tools/rowcall/format.hpp"

namespace rowcall::tools {
namespace {

std::chrono::sys_seconds now() {
  return std::chrono::time_point_cast<std::chrono::seconds>(std::chrono::system_clock::now());
}

engine::result<gateway::key_ring> keys_of(const token_options& o) {
  if (o.development && !o.keys.empty())
    return engine::fail(engine::errc::invalid_argument, "give --development or --token-keys, not both");
  if (o.development) return gateway::key_ring::development();
  if (o.keys.empty())
    return engine::fail(engine::errc::invalid_argument,
                        "give --token-keys DIR, or --development for the key that everybody knows");
  return gateway::key_ring::load(o.keys);
}

exit_code issue(const global_options& global, const token_options& o) {
  const auto keys = keys_of(o);
  if (!keys) return fail_with(keys.error());
  gateway::token_request request;
  request.user = o.user;
  request.submit = o.submit;
  request.follow = o.follow;
  request.is_operator = o.is_operator;
  request.lifetime = std::chrono::duration_cast<std::chrono::seconds>(o.lifetime);
  const auto claims = gateway::claims_of(request, now());
  if (!claims) return fail_with(claims.error());
  const auto token = keys->sign(*claims, o.kid);
  if (!token) return fail_with(token.error());
  if (global.json) {
    engine::json::writer w;
    w.begin_object().key("token").string(*token).key("claims").raw(*claims).end_object();
    std::printf("%s\n", w.str().c_str());
  } else {
    std::printf("%s\n", token->c_str());
  }
  return exit_code::ok;
}

/// What stands in a token; and, when there are keys, whether it would be accepted.
exit_code inspect(const global_options& global, const token_options& o) {
  std::string token = o.token;
  if (token == "-") std::getline(std::cin, token);
  const auto parts = gateway::take_apart(token);
  if (!parts) return fail_with(parts.error());
  std::string verdict = "not checked: give --token-keys DIR or --development";
  bool is_refused = false;
  if (o.development || !o.keys.empty()) {
    const auto keys = keys_of(o);
    if (!keys) return fail_with(keys.error());
    const auto who = keys->verify(token, now());
    is_refused = !who;
    verdict = who ? "accepted" : "refused: " + who.error().message;
  }
  if (global.json) {
    engine::json::writer w;
    w.begin_object()
        .key("header")
        .raw(parts->header)
        .key("claims")
        .raw(parts->claims)
        .key("verdict")
        .string(verdict)
        .end_object();
    std::printf("%s\n", w.str().c_str());
  } else {
    std::printf("header   %s\nclaims   %s\nverdict  %s\n", sanitised(parts->header).c_str(),
                sanitised(parts->claims).c_str(), sanitised(verdict).c_str());
  }
  return is_refused ? exit_code::refused : exit_code::ok;
}

}  // namespace

exit_code run(const global_options& global, const token_options& options) {
  return options.what == token_options::verb::issue ? issue(global, options) : inspect(global, options);
}

}  // namespace rowcall::tools
