// Another project's own module, run in memory, with every library linked.
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "actors/engine_node.hpp"
#include "bus/local_bus.hpp"
#include "bus/nats_bus.hpp"
#include "client/submitter.hpp"
#include "engine/module.hpp"
#include "engine/session.hpp"
#include "storage/postgres/migrator.hpp"

using namespace rowcall::engine;

namespace {

struct tally {
  static constexpr std::string_view kind = "tally";
  struct state {
    std::int64_t votes = 0;
  };
  static decision decide(const state& s, const command& c) {
    if (c.type != "vote") return decision::reject("a tally knows only votes");
    return decision{}.emit("voted", save({s.votes + 1}));
  }
  static void apply(state& s, const update& u) { s = load(u.data); }
  static std::string save(const state& s) {
    return json::writer{}.begin_object().key("votes").number(s.votes).end_object().str();
  }
  static state load(const json::object& saved) { return {json::int_at(saved, "votes").value()}; }
};

}  // namespace

int main() {
  auto modules = standard_modules();
  modules.add<tally>();

  // What can be linked is there; none of it connects before it is used.
  rowcall::storage::postgres::store_config nowhere;
  nowhere.url = "postgresql://nobody@127.0.0.1:1/none";
  auto bus = rowcall::bus::make_local_bus();
  std::vector<std::unique_ptr<command_store>> stores;
  stores.push_back(rowcall::storage::postgres::make_command_store(nowhere));
  const rowcall::client::submitter submitter(std::move(stores), *bus);
  if (rowcall::storage::postgres::migrator::newest() < 1 || rowcall::actors::make_node_name().empty()) return 1;
  if (!rowcall::storage::postgres::make_turn_store(nowhere, "node")) return 1;
  rowcall::bus::nats_config no_server;
  no_server.url = "not a url";
  if (rowcall::bus::connect_nats(no_server)) return 1;

  json::parser parser;
  session votes(*session_id::parse("tally-1"), *modules.find("tally"), std::make_shared<session_config>());
  if (!votes.load({}, parser)) return 1;
  std::string last;
  for (int i = 0; i < 3; ++i) {
    const command_row row{votes.cursor().command.next(), "vote", "{}", {}};
    last = votes.decide(votes.cursor(), {&row, 1}, parser).writes.updates.at(0).data;
  }
  std::printf("%s votes\n", last == R"({"votes":3})" ? "3" : last.c_str());
}
