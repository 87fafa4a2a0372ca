#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <string>

#include "client/follower.hpp"
#include "examples/bot/bot.hpp"
#include "tools/connect/connect.hpp"
#include "tools/rowcall/stop_signal.hpp"

/// A member of a room that is no person: follows the room, and submits its answers as commands.
///
///   rowcall_bot NAME ROOM FILE     rowcall_bot parrot chat-lunch parrot.position
///
/// Reads ROWCALL_DATABASE_URL, ROWCALL_NATS_URL and ROWCALL_SUBJECT_PREFIX, as `rowcall` itself does. Ends on SIGTERM.
namespace {

using namespace rowcall;

void set_from_environment(std::string& value, const char* name) {
  if (const char* text = std::getenv(name)) value = text;
}

void print_refusal(std::span<const engine::update_row> updates) {
  for (const auto& update : updates)
    if (update.type == "request_refused") std::fprintf(stderr, "bot: refused: %s\n", update.data.c_str());
}

int run(example::bot::identity who, const std::string& file) {
  tools::connection_options options;
  set_from_environment(options.database_url, "ROWCALL_DATABASE_URL");
  set_from_environment(options.nats_url, "ROWCALL_NATS_URL");
  set_from_environment(options.subject_prefix, "ROWCALL_SUBJECT_PREFIX");

  tools::stop_signal signal;
  if (const auto checked = tools::check_database(options); !checked) {
    std::fprintf(stderr, "bot: %s\n", checked.error().message.c_str());
    return 1;
  }
  auto bus = tools::open_bus(options, "bot").value();
  const auto config = tools::store_config_of(options, "bot");
  std::vector<std::unique_ptr<engine::command_store>> stores;
  stores.push_back(storage::postgres::make_command_store(config));
  client::submitter submitter{std::move(stores), *bus};
  const auto room = who.room;
  example::bot bot{std::move(who), submitter, example::position_file{file}};

  // Both handlers run on the follower's thread, so the bot has one caller.
  std::atomic<bool> stop = false;
  client::follow_handler handler;
  handler.on_updates = [&](const engine::session_id& session, std::span<const engine::update_row> updates) {
    if (session == bot.session())
      print_refusal(updates);
    else if (!stop)
      bot.answer(updates, stop);
  };
  handler.on_gone = [&](const engine::session_id& session, const std::optional<engine::snapshot_row>& snapshot) {
    if (session == room && snapshot) bot.skip_to(*snapshot);
  };
  auto updates = storage::postgres::make_update_store(config);
  const auto own = updates->last(bot.session());
  const auto joined = bot.join();
  if (!own || !joined) {
    std::fprintf(stderr, "bot: %s\n", (own ? joined.error() : own.error()).message.c_str());
    return 1;
  }
  client::follower follower{std::move(updates), *bus, std::move(handler)};
  follower.follow(bot.session(), own->update);  // what becomes of its requests from now on
  follower.follow(room, bot.position());
  signal.wait();
  stop = true;
  return 0;
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 4) {
    std::fprintf(stderr,
                 "usage: rowcall_bot NAME ROOM FILE     (ROOM: a chat's session id, FILE: keeps its position)\n");
    return 2;
  }
  const auto room = rowcall::engine::session_id::parse(argv[2]);
  if (!room || room->kind() != "chat") {
    std::fprintf(stderr, "bot: a room is called chat-<name>, not %s\n", argv[2]);
    return 2;
  }
  if (const auto user = rowcall::engine::session_id::parse(std::string{"user-"} + argv[1]); !user) {
    std::fprintf(stderr, "bot: the name '%s': %s\n", argv[1], user.error().message.c_str());
    return 2;
  }
  return run({argv[1], *room}, argv[3]);
} catch (const std::exception& e) {
  std::fprintf(stderr, "bot: %s\n", e.what());
  return 1;
}
