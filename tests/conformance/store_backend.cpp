#include "tests/conformance/store_backend.hpp"

#include <algorithm>
#include <map>
#include <set>

#include <simdjson.h>

#include "engine/json.hpp"

namespace rowcall::conformance {

using namespace engine;

session_id id(std::string_view text) { return must(session_id::parse(text)); }

command_request request(const session_id& session, std::string data, std::string type, std::optional<std::string> key) {
  return {session, std::move(type), std::move(data), std::move(key)};
}

std::string numbered(std::int64_t n) { return "{\"n\":" + std::to_string(n) + "}"; }

session_request ask(const session_id& session, std::optional<session_cursor> cursor) {
  return {session, shard_of(session, shard_count_default), cursor, session.kind() != "echo"};
}

turn_request ask_all(std::vector<session_request> sessions, turn_limits limits) { return {std::move(sessions), limits}; }

turn_request ask_all(const std::vector<session_id>& sessions, turn_limits limits) {
  turn_request request{{}, limits};
  for (const auto& session : sessions) request.sessions.push_back(ask(session));
  return request;
}

session_writes echo(const session_id& session, session_cursor before, const std::vector<command_row>& commands,
                    int updates_each) {
  session_writes writes{session, before, before};
  for (const auto& c : commands)
    for (int i = 0; i < updates_each; ++i) {
      writes.after = {writes.after.update.next(), c.seq};
      writes.updates.push_back({writes.after.update, c.seq, "said", c.data});
    }
  return writes;
}

std::vector<session_id> sessions_on_distinct_shards(std::string_view kind, std::size_t count) {
  std::vector<session_id> sessions;
  std::set<shard_index> used;
  for (int i = 0; sessions.size() < count; ++i) {
    auto session = id(std::string{kind} + "-" + std::to_string(i));
    if (used.insert(shard_of(session, shard_count_default)).second) sessions.push_back(std::move(session));
  }
  return sessions;
}

namespace {

using simdjson::dom::element;
using simdjson::dom::element_type;

bool is_integer(const element& v) { return v.type() == element_type::INT64 || v.type() == element_type::UINT64; }

bool same(const element& a, const element& b) {
  if (a.type() != b.type()) return false;
  switch (a.type()) {
    case element_type::OBJECT: {
      std::map<std::string_view, element> in_a, in_b;
      for (auto [key, value] : simdjson::dom::object(a)) in_a.insert_or_assign(key, value);
      for (auto [key, value] : simdjson::dom::object(b)) in_b.insert_or_assign(key, value);
      return std::equal(in_a.begin(), in_a.end(), in_b.begin(), in_b.end(), [](const auto& x, const auto& y) {
        return x.first == y.first && same(x.second, y.second);
      });
    }
    case element_type::ARRAY: {
      const simdjson::dom::array x(a), y(b);
      return x.size() == y.size() && std::equal(x.begin(), x.end(), y.begin(), same);
    }
    case element_type::STRING: return std::string_view(a) == std::string_view(b);
    case element_type::DOUBLE: return double(a) == double(b);
    case element_type::BOOL: return bool(a) == bool(b);
    case element_type::NULL_VALUE: return true;
    default: return is_integer(a) && simdjson::minify(a) == simdjson::minify(b);
  }
}

}  // namespace

bool means_the_same(std::string_view json_a, std::string_view json_b) {
  simdjson::dom::parser parser_a, parser_b;
  const simdjson::padded_string a(json_a), b(json_b);
  element x, y;
  if (parser_a.parse(a).get(x) != simdjson::SUCCESS || parser_b.parse(b).get(y) != simdjson::SUCCESS) return false;
  return same(x, y);
}

::testing::AssertionResult same_json(const char* text_a, const char* text_b, const std::string& a, const std::string& b) {
  if (means_the_same(a, b)) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << text_a << " and " << text_b << " are not the same JSON:\n  " << a.substr(0, 500)
                                       << "\n  " << b.substr(0, 500);
}

const std::vector<std::string>& hostile_texts() {
  static const std::vector<std::string> texts = [] {
    std::vector<std::string> t{
        "",
        " ",
        "\t",
        "\n",
        "\r\n",
        "a\tb\nc",
        "\\",
        "\\\\",
        "\\.",
        "\\.\n",
        "\n\\.\n",
        "\\N",
        "\\n\\t\\x41\\101",
        "'",
        "''; DROP TABLE rowcall.command_log; --",
        "$$",
        "$1 $2 :name ?",
        "$rowcall$ $rowcall$",
        "\"",
        "\\\"",
        "{",
        "}",
        "{}",
        "{\"a\",NULL}",
        ",",
        "NULL",
        "null",
        "a,b",
        "*.>",
        "rowcall.wake.echo-1",
        "%s %n %",
        "\x01\x02\x07\x08\x0b\x0c\x0e\x1b\x1f\x7f",
        "\xc2\x80\xc2\x9f",
        "\xe2\x80\xa8\xe2\x80\xa9",
        "\xef\xbb\xbf" "bom",
        "\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf",
        "gr\xc3\xbc\xc3\x9f e\xcc\x81 \xe6\xbc\xa2\xe5\xad\x97",
        "\xf0\x9f\x98\x80\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x92\xbb\xf4\x8f\xbf\xbf",
        "\x01update",
    };
    // As large as object_with() can make them within the limit of 64 KiB: each stands there twice, with its escapes.
    t.push_back(std::string(16 * 1024 - 64, '\\'));
    t.push_back(std::string(32 * 1024 - 64, 'x'));
    return t;
  }();
  return texts;
}

std::string object_with(std::string_view text) {
  std::string json = "{";
  json::append_quoted(json, text);
  json += ":[";
  json::append_quoted(json, text);
  json += ",{\"\":null}]}";
  return json;
}

void store_conformance::SetUp() {
  backend_ = GetParam()();
  nodes_ = backend_->nodes();
  commands_ = backend_->commands();
  updates_ = backend_->updates();
  admin_ = backend_->admin();
  must(nodes_->join("registrar", {"echo", "chat", "user"}));
  must(nodes_->leave("registrar"));
}

std::unique_ptr<turn_store> claim_conformance::turns(const std::string& node) {
  auto store = store_conformance::turns(node);
  if (node == "n1") {
    must(store->claim(ask_all(sessions_on_distinct_shards("echo", shard_count_default))));
    must(store->commit({}));
  }
  return store;
}

command_seq store_conformance::submit(const session_id& session, int count, int first) {
  std::vector<command_request> batch;
  for (int i = 0; i < count; ++i) batch.push_back(request(session, numbered(first + i)));
  command_seq last;
  for (const auto& r : must(commands_->submit(batch))) {
    EXPECT_EQ(r.kind, submit_receipt::outcome::stored);
    last = r.seq;
  }
  return last;
}

submit_receipt store_conformance::submit(command_request request) {
  const auto receipts = must(commands_->submit({&request, 1}));
  EXPECT_EQ(receipts.size(), 1u);
  return receipts.at(0);
}

session_cursor store_conformance::serve(turn_store& store, const session_id& session, int updates_each) {
  const auto claim = must(store.claim(ask_all({ask(session)})));
  const auto& c = claim.sessions.at(0);
  if (c.status != claim_status::claimed || !c.image) throw std::runtime_error("the session was not claimed cold");
  const auto writes = echo(session, c.image->cursor, c.commands, updates_each);
  must(store.commit({&writes, 1}));
  return writes.after;
}

std::vector<update_row> store_conformance::log_of(const session_id& session) {
  return must(updates_->updates_after(session, {}, 1'000'000)).updates;
}

void store_conformance::expect_each_answered_once(const session_id& session, std::int64_t count) {
  const auto log = log_of(session);
  ASSERT_EQ(std::ssize(log), count) << session.str();
  for (std::int64_t i = 0; i < count; ++i) {
    ASSERT_EQ(log[i].seq.value, i + 1) << session.str();
    ASSERT_EQ(log[i].command.value, i + 1) << session.str();
  }
}

std::vector<command_row> store_conformance::pending_of(const session_id& session, const std::string& node) {
  const auto store = turns(node);
  auto claim = must(store->claim(ask_all({ask(session)}, {.commands_per_session_max = 100'000, .commands_max = 100'000})));
  if (claim.sessions.at(0).status != claim_status::claimed) throw std::runtime_error("the shard is held");
  store->abandon();
  return std::move(claim.sessions[0].commands);
}

}  // namespace rowcall::conformance
