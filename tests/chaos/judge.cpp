#include "tests/chaos/judge.hpp"

#include <map>

#include "engine/json.hpp"
#include "tests/chaos/workload.hpp"
#include "tests/support/database.hpp"

namespace rowcall::chaos {
namespace {

std::string member(const std::string& data, std::string_view key) {
  thread_local engine::json::parser parser;
  const auto object = parser.parse_object(data);
  if (!object) return {};
  return std::string{engine::json::string_at(*object, key).value_or("")};
}

/// What stands behind the separator in `table`'s rows and in the fold of the logs, as one text a row.
void compare(support::sql_connection& sql, checker::history& h, const std::string& table, const std::string& stored,
             const std::string& folded) {
  auto& t = h.tables.emplace_back();
  t.name = table;
  for (const auto& row : sql.query(stored)) t.stored.insert(row.at(0));
  for (const auto& row : sql.query(folded)) t.folded.insert(row.at(0));
}

/// Not of the load generator's sessions: what it has submitted only itself knows.
const std::string is_ours = std::string("session_id NOT LIKE 'echo-") + sessions::load_run + "-%'";

}  // namespace

void read_database(const std::string& url, checker::history& h) {
  support::sql_connection sql(url);
  std::map<std::pair<std::string, std::string>, std::string> sends;  // session, seq -> the whole data of a `send`
  // What the view tells of each row of the log: whether it is there at all, and once.
  std::map<std::string, std::string> status;
  for (const auto& row : sql.query("SELECT session_id || '/' || seq, status FROM rowcall.commands WHERE " + is_ours))
    if (const auto [told, is_first] = status.try_emplace(row.at(0), row.at(1)); !is_first) told->second = "told twice";
  for (const auto& row : sql.query("SELECT session_id, seq, type, data::text FROM rowcall.command_log WHERE " + is_ours +
                                   " ORDER BY 1, 2")) {
    const auto told = status.find(row.at(0) + "/" + row.at(1));
    h.logs[row.at(0)].commands.push_back(
        {std::stoll(row.at(1)), row.at(2), id_of(row.at(3)), told == status.end() ? "missing" : told->second});
    if (row.at(2) == "send") sends[{row.at(0), row.at(1)}] = row.at(3);
  }
  for (const auto& row : sql.query("SELECT session_id, seq, command_seq, type, data::text FROM rowcall.update_log WHERE " +
                                   is_ours + " ORDER BY 1, 2")) {
    const auto& session = row.at(0);
    const auto& type = row.at(3);
    h.logs[session].updates.push_back({std::stoll(row.at(1)), std::stoll(row.at(2)), type, canonical(row.at(4))});
    // What the command of this update has sent: known from the modules.
    if (type == "sent") {
      const auto& data = sends[{session, row.at(2)}];
      h.sends.push_back({session, member(data, "to"), member(data, "type"), sent_id(member(data, "id"))});
    } else if (type == "member_joined") {
      const auto name =
          sql.value("SELECT data ->> 'name' FROM rowcall.update_log WHERE session_id = '" + session + "' AND seq < " +
                    row.at(1) + " AND type IN ('chat_created', 'chat_renamed') ORDER BY seq DESC LIMIT 1");
      engine::json::writer told;
      told.begin_object().key("chat_id").string(session).key("name").string(name).end_object();
      h.sends.push_back({session, "user-" + member(row.at(4), "user_id"), "chat_joined", canonical(told.str())});
    }
  }
  for (const auto& row : sql.query("SELECT session_id, command_seq FROM rowcall.dead_letters WHERE resolution IS NULL"))
    h.logs[row.at(0)].dead.insert(std::stoll(row.at(1)));

  compare(sql, h, "messages", "SELECT concat_ws(' | ', chat_id, message_id, sender, text) FROM rowcall.messages",
          "SELECT concat_ws(' | ', session_id, seq, data ->> 'sender', data ->> 'text') FROM rowcall.update_log WHERE "
          "session_id "
          "LIKE 'chat-%' AND type = 'new_message'");
  compare(sql, h, "chats", "SELECT concat_ws(' | ', chat_id, name) FROM rowcall.chats",
          "SELECT DISTINCT ON (session_id) concat_ws(' | ', session_id, data ->> 'name') FROM rowcall.update_log WHERE "
          "session_id "
          "LIKE 'chat-%' AND type IN ('chat_created', 'chat_renamed') ORDER BY session_id, seq DESC");
  compare(sql, h, "members", "SELECT concat_ws(' | ', chat_id, user_id) FROM rowcall.members",
          "SELECT concat_ws(' | ', session_id, data ->> 'user_id') FROM (SELECT DISTINCT ON (session_id, data ->> "
          "'user_id') * FROM "
          "rowcall.update_log WHERE session_id LIKE 'chat-%' AND type IN ('member_joined', 'member_left') ORDER BY "
          "session_id, data "
          "->> 'user_id', seq DESC) last WHERE type = 'member_joined'");
}

std::vector<std::string> given_up(const std::string& url) {
  std::vector<std::string> found;
  for (const auto& row : support::query(url, "SELECT session_id, command_seq, type, attempts, failed_at, error FROM rowcall.dead_letters "
                                             "ORDER BY failed_at"))
    found.push_back(row.at(0) + "/" + row.at(1) + " " + row.at(2) + " after " + row.at(3) + " attempts at " + row.at(4) + ": " + row.at(5));
  return found;
}

}  // namespace rowcall::chaos
