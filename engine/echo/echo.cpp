#include "engine/echo/echo.hpp"

#include <stdexcept>

namespace rowcall::engine::echo {
namespace {

decision send(const command& c) {
  const auto to = json::string_at(c.data, "to");
  const auto type = json::string_at(c.data, "type");
  if (!to || !type) return decision::reject("send needs the strings \"to\" (a session id) and \"type\"");
  auto target = session_id::parse(*to);
  if (!target) return decision::reject("\"to\": " + target.error().message);
  std::string data = "{}";
  if (json::value member; c.data.at_key("data").get(member) == simdjson::SUCCESS) data = json::to_text(member);
  if (auto valid = validate({*target, std::string{*type}, data, std::nullopt}); !valid)
    return decision::reject(valid.error().message);
  json::writer sent;
  sent.begin_object().key("to").string(*to).key("type").string(*type).end_object();
  decision d;
  d.emit("sent", std::move(sent).str()).send(*std::move(target), *type, std::move(data));
  return d;
}

decision many(const command& c) {
  const auto count = json::int_at(c.data, "count");
  if (!count || *count < 1 || *count > echo::many_count_max)
    return decision::reject("many needs a \"count\" from 1 to " + std::to_string(echo::many_count_max));
  decision d;
  for (std::int64_t i = 0; i < *count; ++i) d.emit("echo", "{\"index\":" + std::to_string(i) + "}");
  return d;
}

}  // namespace

decision echo::decide(const state&, const command& c) {
  if (c.type == "fail" || c.type == "park") return decision::fail("told to fail");
  if (c.type == "throw") throw std::runtime_error("told to throw");
  if (c.type == "reject") return decision::reject("told to reject");
  if (c.type == "silent") return {};
  if (c.type == "send") return send(c);
  if (c.type == "many") return many(c);
  decision d;
  d.emit("echo", std::string{c.text});
  return d;
}

failure_policy echo::on_failure(std::string_view type) {
  return type == "park" ? failure_policy::park : failure_policy::hold;
}

}  // namespace rowcall::engine::echo
