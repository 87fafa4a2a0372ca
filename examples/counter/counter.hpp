#pragma once

#include "engine/module.hpp"

namespace example {

using rowcall::engine::command, rowcall::engine::decision, rowcall::engine::update;
namespace json = rowcall::engine::json;

/// A module of your own: each session `counter-<name>` counts. The command `add {"by": 5}` adds, but never below zero.
struct counter {
  static constexpr std::string_view kind = "counter";

  struct state {
    std::int64_t total = 0;
  };

  /// Pure: looks at the state and the command, returns what is to happen.
  static decision decide(const state& s, const command& c) {
    if (c.type != "add") return decision::reject("a counter knows only the command add");
    const auto by = json::int_at(c.data, "by");
    if (!by || *by < -1000 || *by > 1000) return decision::reject("\"by\" must be an integer from -1000 to 1000");
    if (s.total + *by < 0) return decision::reject("the counter would fall below zero");
    return decision{}.emit("added", save({s.total + *by}));
  }

  /// The fold: the state is what the updates make of it, also after a restart.
  static void apply(state& s, const update& u) { s = load(u.data); }

  /// For snapshots, so that a restart need not read the whole log.
  static std::string save(const state& s) {
    return json::writer{}.begin_object().key("total").number(s.total).end_object().str();
  }
  static state load(const json::object& saved) { return {json::int_at(saved, "total").value()}; }
};

}  // namespace example
