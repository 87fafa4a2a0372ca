#pragma once

#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "engine/module.hpp"
#include "storage/memory/inspect.hpp"

namespace rowcall::simulation {

/// Of every node's retry policy.
constexpr int attempts_max = 10;

/// A module whose every update tells the whole fold: whoever decides on a stale state is seen in the log.
///
///   add {"n"}           added {"n","count","sum"}
///   pair {"n"}          added, noted, and a row of the table `notes`: n, the seq of the update `noted`
///   forward {"n","to"}  sent {"n"}, and an add of n + 1,000,000 to the session `to`
///   refuse {"n"}        command_rejected
///   spoil {"n"}         throws, always
///   die {"n"}           ends the process that decides on it, always
struct ledger {
  static constexpr std::string_view kind = "ledger";
  static constexpr const char* notes = "notes";  ///< the table; its key is n
  static constexpr std::int64_t forwarded = 1'000'000;
  struct state {
    std::int64_t count = 0, sum = 0;
  };
  /// Whether the module has a bad moment: the simulation's choice.
  static inline thread_local std::function<bool()> stumbles;
  static inline thread_local std::function<void()> dies;

  static std::string added(std::int64_t n, std::int64_t count, std::int64_t sum) {
    return "{\"n\":" + std::to_string(n) + ",\"count\":" + std::to_string(count) + ",\"sum\":" + std::to_string(sum) + "}";
  }
  static std::string number(std::int64_t n) { return "{\"n\":" + std::to_string(n) + "}"; }

  static engine::decision decide(const state& s, const engine::command& c) {
    const auto n = engine::json::int_at(c.data, "n").value_or(0);
    if (c.type == "spoil") throw std::runtime_error("spoiled");
    if (c.type == "die" && dies) dies();  // whatever is decided behind it, nobody hears of it
    if (stumbles && stumbles()) throw std::runtime_error("stumbled");
    if (c.type == "refuse") return engine::decision::reject("told to");
    engine::decision d;
    if (c.type == "forward") {
      const auto to = engine::session_id::parse(*engine::json::string_at(c.data, "to")).value();
      d.emit("sent", number(n)).send(to, "add", number(n + forwarded));
      return d;
    }
    d.emit("added", added(n, s.count + 1, s.sum + n));
    if (c.type == "pair")
      d.emit("noted", number(n))
          .write({notes, {"n", "seq"}, {std::to_string(n), std::string(engine::domain_row::update_seq_value)},
                  engine::domain_row::write_mode::upsert});
    return d;
  }
  static void apply(state& s, const engine::update& u) {
    if (u.type != "added") return;
    s.count = engine::json::int_at(u.data, "count").value();
    s.sum = engine::json::int_at(u.data, "sum").value();
  }
  static std::string save(const state& s) { return added(0, s.count, s.sum); }
  static state load(const engine::json::value& v) {
    state s;
    if (v["count"].get(s.count) != simdjson::SUCCESS || v["sum"].get(s.sum) != simdjson::SUCCESS)
      throw std::runtime_error("not a ledger");
    return s;
  }
};

/// The number in a command's or an update's data.
std::int64_t n_of(const std::string& data);

/// The log a session must have: each command's updates by the module's own definition, folded from the beginning.
/// A command that failed for good is taken as it stands. `attempts_cut_short`: how often a shard changed its owner, the most
/// attempts that may have begun and not ended. Returns what is wrong.
std::vector<std::string> compare_with_model(const storage::memory::session_dump& session, std::uint64_t attempts_cut_short);

}  // namespace rowcall::simulation
