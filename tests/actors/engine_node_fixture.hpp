#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "actors/engine_node.hpp"
#include "bus/local_bus.hpp"
#include "storage/memory/memory_stores.hpp"
#include "tests/support/eventually.hpp"

/// The whole engine (real actors, real threads) on the in-memory store and bus.
namespace rowcall::actors {

using namespace std::chrono_literals;
using engine::command_request;
using engine::session_id;
using support::eventually;

inline session_id id(const std::string& text) { return session_id::parse(text).value(); }

/// What a silent server does to a call, or a bad loop to a module: it waits until the gate is opened again.
struct gate {
  std::atomic<bool> is_shut = false, is_waited_at = false;
  void pass() {
    if (is_shut) is_waited_at = true;
    is_shut.wait(true);
  }
  void open() {
    is_shut = false;
    is_shut.notify_all();
  }
};

/// Sums what it is told; fails on request, in each way there is.
struct flaky {
  static constexpr std::string_view kind = "flaky";
  struct state {
    std::int64_t sum = 0;
  };
  static inline std::atomic<int> failures_left = 0;
  static inline std::atomic<int> unstorable = 0;
  static inline gate hanging;
  static engine::decision decide(const state& s, const engine::command& c) {
    engine::decision d;
    if (c.type == "add") {
      const auto n = engine::json::int_at(c.data, "n").value_or(0);
      d.emit("added", "{\"sum\":" + std::to_string(s.sum + n) + "}");
    } else if (c.type == "throw") {
      throw std::runtime_error("thrown on request");
    } else if (c.type == "fail_some") {
      if (failures_left.fetch_sub(1) > 0) return engine::decision::fail("not yet");
      d.emit("added", "{\"sum\":" + std::to_string(s.sum) + "}");
    } else if (c.type == "hang") {
      hanging.pass();
    } else if (c.type == "unstorable") {
      engine::domain_row row;
      row.table = "no_such_table";
      row.columns = {"a"};
      row.values = {"1"};
      d.write(row);
      ++unstorable;
    }
    return d;
  }
  static void apply(state& s, const engine::update& u) {
    if (u.type == "added") s.sum = engine::json::int_at(u.data, "sum").value_or(0);
  }
  static std::string save(const state& s) { return "{\"sum\":" + std::to_string(s.sum) + "}"; }
  static state load(const engine::json::value& v) {
    std::int64_t sum = 0;
    if (v["sum"].get(sum) != simdjson::SUCCESS) throw std::runtime_error("no sum");
    return {sum};
  }
  static engine::failure_policy on_failure(std::string_view type) {
    return type == "throw" || type == "unstorable" ? engine::failure_policy::park : engine::failure_policy::hold;
  }
};

struct engine_node_test : testing::Test {
  std::shared_ptr<engine::clock> clock = make_steady_clock();
  std::shared_ptr<storage::memory::database> db = storage::memory::make_database(clock);
  std::unique_ptr<engine::bus> bus = bus::make_local_bus();
  engine::module_registry modules = [] {
    auto m = engine::standard_modules();
    m.add<flaky>();
    return m;
  }();
  std::unique_ptr<engine::command_store> commands = storage::memory::make_command_store(db);
  std::unique_ptr<engine::update_store> updates = storage::memory::make_update_store(db);
  std::atomic<int> fatal = 0, hangs = 0;
  engine::log_sink log;

  node_config config() {
    node_config c;
    c.sweep_interval = 50ms;
    c.heartbeat_interval = 20ms;
    c.dead_after = 100ms;
    c.session.retry.base = 5ms;
    c.session.retry.wait_max = 20ms;
    return c;
  }
  using node_store_wrapper = std::function<std::unique_ptr<engine::node_store>(std::unique_ptr<engine::node_store>)>;
  std::unique_ptr<engine_node> make(node_config c, std::function<std::unique_ptr<engine::turn_store>()> store = {},
                                    const node_store_wrapper& wrapped = {}) {
    if (c.node.empty()) c.node = make_node_name();
    node_ports p;
    p.make_turn_store = store ? store : [this, name = c.node] { return storage::memory::make_turn_store(db, name); };
    p.nodes = storage::memory::make_node_store(db);
    p.upkeep = storage::memory::make_node_store(db);
    if (wrapped) {
      p.nodes = wrapped(std::move(p.nodes));
      p.upkeep = wrapped(std::move(p.upkeep));
    }
    p.bus = bus.get();
    p.modules = &modules;
    p.clock = clock;
    p.log = log;
    p.on_fatal = [this](std::string_view) { ++fatal; };
    p.on_hang = [this](std::string_view) { ++hangs; };
    return std::make_unique<engine_node>(c, std::move(p));
  }
  std::unique_ptr<engine_node> started(node_config c) {
    auto n = make(c);
    n->start();
    EXPECT_TRUE(eventually(5s, [&] { return n->is_ready(); }));
    return n;
  }
  void submit(const session_id& s, std::string type, std::string data = "{}", bool with_wake = true) {
    const std::vector<command_request> batch{{s, std::move(type), std::move(data), {}}};
    auto r = commands->submit(batch);
    ASSERT_TRUE(r);
    ASSERT_EQ(r->front().kind, engine::submit_receipt::outcome::stored);
    if (with_wake) {
      const std::vector<engine::wake> wakes{{s, r->front().seq}};
      bus->publish(wakes);
    }
  }
  std::vector<engine::update_row> log_of(const session_id& s) {
    auto page = updates->updates_after(s, {}, 100'000);
    return page ? page->updates : std::vector<engine::update_row>{};
  }
  bool answered(const session_id& s, std::int64_t command) {
    return eventually(10s, [&] { return updates->last(s)->command.value >= command; });
  }
  void expect_gapless(const session_id& s, std::size_t count) {
    const auto log = log_of(s);
    ASSERT_EQ(log.size(), count);
    for (std::size_t i = 0; i < log.size(); ++i) {
      EXPECT_EQ(log[i].seq.value, static_cast<std::int64_t>(i + 1));
      EXPECT_EQ(log[i].command.value, static_cast<std::int64_t>(i + 1));
    }
  }
};

}  // namespace rowcall::actors
