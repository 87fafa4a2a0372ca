#include "tests/chaos/workload.hpp"

#include <map>

#include "engine/json.hpp"

namespace rowcall::chaos {
namespace {

using engine::json::writer;

engine::session_id id(const std::string& text) { return engine::session_id::parse(text).value(); }

constexpr std::size_t members = 4;  ///< of each room

planned make(const std::string& session, std::string type, std::string data, std::string command_id, bool has_key) {
  planned p;
  p.request = {id(session), std::move(type), std::move(data), {}};
  if (has_key) p.request.idempotency_key = "chaos:" + command_id;
  p.id = std::move(command_id);
  return p;
}

std::string with_id(const std::string& command_id) {
  return writer{}.begin_object().key("id").string(command_id).end_object().str();
}

}  // namespace

namespace sessions {
std::string echo(std::size_t i) { return "echo-s" + std::to_string(i); }
std::string target(std::size_t i) { return "echo-t" + std::to_string(i); }
std::string chat(std::size_t i) { return "chat-r" + std::to_string(i); }
std::string user_name(std::size_t i) { return "u" + std::to_string(i); }

const std::vector<std::string>& probes() {
  static const auto found = [] {
    std::map<engine::shard_index, std::string> by_shard;
    for (int i = 0; by_shard.size() < engine::shard_count_default; ++i) {
      const auto name = "echo-p" + std::to_string(i);
      by_shard.try_emplace(engine::shard_of(id(name), engine::shard_count_default), name);
    }
    std::vector<std::string> names;
    for (auto& [shard, name] : by_shard) names.push_back(name);
    return names;
  }();
  return found;
}

std::vector<std::string> all() {
  auto names = probes();
  for (std::size_t i = 0; i < echo_count; ++i) names.push_back(echo(i));
  for (std::size_t i = 0; i < target_count; ++i) names.push_back(target(i));
  for (std::size_t i = 0; i < chat_count; ++i) names.push_back(chat(i));
  for (std::size_t i = 0; i < user_count; ++i) names.push_back("user-" + user_name(i));
  return names;
}
}  // namespace sessions

std::vector<planned> setup() {
  std::vector<planned> all;
  for (std::size_t room = 0; room < sessions::chat_count; ++room)
    for (std::size_t m = 0; m < members; ++m) {
      const auto user = sessions::user_name((room + m) % sessions::user_count);
      const auto command_id = "setup-" + std::to_string(room) + "-" + std::to_string(m);
      auto data = writer{};
      data.begin_object().key("id").string(command_id).key("sender").string(user);
      if (m == 0) data.key("name").string("room " + std::to_string(room));
      all.push_back(make(sessions::chat(room), m == 0 ? "create_chat" : "join_chat", std::move(data.end_object()).str(),
                         command_id, true));
    }
  return all;
}

std::vector<planned> next_batch(tools::loadgen::random_source& random, const std::string& client,
                                std::uint64_t& count) {
  // A third are single ones, half of them without a key: a submit of another form, and of an unknown end when it is cut
  // off.
  const bool is_single = random.below(3) == 0;
  const bool has_key = !is_single || random.below(2) == 0;
  const std::size_t size = is_single ? 1 : 2 + random.below(7);
  std::vector<planned> batch;
  for (std::size_t i = 0; i < size; ++i) {
    const auto command_id = client + "-" + std::to_string(++count);
    const auto what = random.below(100);
    const auto echo = sessions::echo(random.below(sessions::echo_count));
    if (what < 50) {
      batch.push_back(make(echo, "say", with_id(command_id), command_id, has_key));
    } else if (what < 56) {
      batch.push_back(make(echo, "many",
                           writer{}
                               .begin_object()
                               .key("id")
                               .string(command_id)
                               .key("count")
                               .number(1 + static_cast<std::int64_t>(random.below(9)))
                               .end_object()
                               .str(),
                           command_id, has_key));
    } else if (what < 60) {
      batch.push_back(make(echo, random.below(2) == 0 ? "silent" : "reject", with_id(command_id), command_id, has_key));
    } else if (what < 78) {
      const auto to = sessions::target(random.below(sessions::target_count));
      auto data = writer{};
      data.begin_object().key("id").string(command_id).key("to").string(to).key("type").string("say");
      data.key("data").begin_object().key("id").string(sent_id(command_id)).end_object();
      batch.push_back(make(echo, "send", std::move(data.end_object()).str(), command_id, has_key));
    } else {
      const auto room = random.below(sessions::chat_count);
      const auto sender = sessions::user_name((room + random.below(members)) % sessions::user_count);
      const bool renames = what >= 98;
      auto data = writer{};
      data.begin_object().key("id").string(command_id).key("sender").string(sender);
      data.key(renames ? "name" : "text").string((renames ? "room " : "text ") + command_id);
      batch.push_back(make(sessions::chat(room), renames ? "rename_chat" : "post_message",
                           std::move(data.end_object()).str(), command_id, has_key));
    }
  }
  return batch;
}

planned probe(std::size_t session, std::uint64_t number) {
  const auto command_id = "probe-" + std::to_string(number) + "-" + std::to_string(session);
  return make(sessions::probes().at(session), "say", with_id(command_id), command_id, true);
}

std::string id_of(const std::string& data) {
  thread_local engine::json::parser parser;
  const auto object = parser.parse_object(data);
  if (!object) return data;
  if (const auto found = engine::json::string_at(*object, "id")) return std::string{*found};
  return canonical(data);
}

std::string sent_id(const std::string& id) { return id + ">"; }

std::string canonical(const std::string& json_object) {
  thread_local engine::json::parser parser;
  const auto object = parser.parse_object(json_object);
  if (!object) return json_object;
  std::map<std::string, std::string> members;
  for (const auto member : *object) {
    auto text = engine::json::to_text(member.value);
    members[std::string{member.key}] = std::move(text);
  }
  std::string out;
  for (const auto& [key, text] : members) out += (out.empty() ? "{" : ",") + key + ":" + text;
  return out + (members.empty() ? "{}" : "}");
}

}  // namespace rowcall::chaos
