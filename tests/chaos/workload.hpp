#pragma once

#include <string>
#include <vector>

#include "engine/types.hpp"
#include "tools/loadgen/random_source.hpp"

/// What is submitted, and to whom. Every command carries an id that no other one has.
namespace rowcall::chaos {

namespace sessions {
std::string echo(std::size_t i);    ///< i below echo_count: all clients share them
std::string target(std::size_t i);  ///< only sent to, by other sessions
std::string chat(std::size_t i);
std::string user_name(std::size_t i);
constexpr std::size_t echo_count = 40, target_count = 8, chat_count = 4, user_count = 6;
/// Of the load generator's sessions, which it verifies itself: "echo-<load_run>-0", "echo-<load_run>-1", …
constexpr const char* load_run = "load";
/// One session of each shard, for probes.
const std::vector<std::string>& probes();
/// All of them, those of the users included.
std::vector<std::string> all();
}  // namespace sessions

/// A command and the id by which its row is told from all others.
struct planned {
  engine::command_request request;
  std::string id;
};

/// The rooms and their members; every client's posts need them.
std::vector<planned> setup();
/// The next batch of one client.
std::vector<planned> next_batch(tools::loadgen::random_source& random, const std::string& client, std::uint64_t& count);
planned probe(std::size_t session, std::uint64_t number);

/// The id of a stored command: its data's member "id", or all of its data when there is none.
std::string id_of(const std::string& data);
/// The id of what the command `id`, a `send`, sends.
std::string sent_id(const std::string& id);

/// The same text for every spelling of a JSON object: as a module wrote it, or as jsonb prints it.
std::string canonical(const std::string& json_object);

}  // namespace rowcall::chaos
