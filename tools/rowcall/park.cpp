#include "tools/rowcall/park.hpp"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <limits>

#include "actors/engine_node.hpp"
#include "storage/postgres/incarnation.hpp"
#include "tools/connect/duration.hpp"
#include "tools/rowcall/actions.hpp"
#include "tools/rowcall/format.hpp"
#include "tools/rowcall/logging.hpp"
#include "tools/rowcall/stop_bound.hpp"
#include "tools/rowcall/stop_signal.hpp"

/// An engine for a moment, whose only module gives every command up: locks, fence, receipts and dead letters are the
/// engine's.
namespace rowcall::tools {
namespace {

constexpr std::string_view reason = "no engine serves this kind any more: parked by `rowcall dead park`";
constexpr milliseconds look_interval{400}, sweep_interval{200}, stop_timeout{10'000};
/// Without anything parked, and nothing held by a retry: what waits then is not for this to solve (a session whose log
/// can not be read).
constexpr milliseconds patience{60'000};

/// It has no state, so that it reads none and, above all, makes no snapshot of one (see node_config_of).
class tombstone final : public engine::module {
 public:
  explicit tombstone(std::string kind) : kind_(std::move(kind)) {}
  std::string_view kind() const override { return kind_; }
  std::unique_ptr<engine::module_state> new_state() const override { return std::make_unique<engine::module_state>(); }
  engine::decision decide(const engine::module_state&, const engine::command&) const override {
    return engine::decision::fail(reason);
  }
  void apply(engine::module_state&, const engine::update&) const override {}
  std::string save(const engine::module_state&) const override { return "{}"; }
  std::unique_ptr<engine::module_state> load(const engine::json::value&) const override { return new_state(); }
  engine::failure_policy on_failure(std::string_view) const override { return engine::failure_policy::park; }
  bool has_state() const override { return false; }

 private:
  const std::string kind_;
};

/// A node that serves nothing as far as others can see (the kind stays one that nobody serves, and that gets no new
/// sessions when it was taken out of rowcall.kinds), and that leaves the limits of admission as the engines have set
/// them.
class quiet_nodes final : public engine::node_store {
 public:
  /// `is_swept` becomes true when a sweep has found nothing, and false when it has.
  quiet_nodes(std::unique_ptr<engine::node_store> store, std::atomic<bool>& is_swept)
      : store_(std::move(store)), is_swept_(is_swept) {}

  engine::result<void> join(const std::string& node, const std::vector<std::string>&) override {
    return store_->join(node, {});
  }
  engine::result<std::vector<engine::node_info>> heartbeat(const std::string& node, const engine::node_rates& rates,
                                                           milliseconds dead_after) override {
    return store_->heartbeat(node, rates, dead_after);
  }
  engine::result<void> leave(const std::string& node) override { return store_->leave(node); }
  engine::result<void> sweep(const std::vector<std::string>& kinds,
                             const std::function<bool(std::span<const engine::pending_session>)>& found) override {
    bool is_empty = true;
    auto swept = store_->sweep(kinds, [&](std::span<const engine::pending_session> sessions) {
      is_empty = is_empty && sessions.empty();
      return found(sessions);
    });
    is_swept_ = swept && is_empty;
    return swept;
  }
  engine::result<void> set_admission(const engine::admission_limits&) override { return {}; }
  engine::result<engine::cleanup_report> cleanup(const engine::cleanup_request& request) override {
    return store_->cleanup(request);
  }

 private:
  std::unique_ptr<engine::node_store> store_;
  std::atomic<bool>& is_swept_;
};

actors::node_config node_config_of() {
  actors::node_config c;
  c.node = actors::make_node_name();
  c.sweep_interval = sweep_interval;
  // A snapshot of the tombstone's state would take the place of the session's.
  c.session.snapshot_interval_updates = std::numeric_limits<int>::max();
  return c;
}

/// What the operator sees is the sum.
engine::log_sink log_without_each_command() {
  return [log = make_log_sink()](engine::log_level level, std::string_view text, const engine::log_fields& about) {
    if (level != engine::log_level::info && about.event != "command_parked" && about.event != "command_failed")
      log(level, text, about);
  };
}

bool is_served(const engine::status_report& status, const std::string& kind) {
  return std::any_of(status.nodes.begin(), status.nodes.end(), [&](const engine::node_info& n) {
    return std::find(n.kinds.begin(), n.kinds.end(), kind) != n.kinds.end();
  });
}

bool is_at_rest(const actors::metrics& counters) {
  return counters.sessions_ready == 0 && counters.sessions_held == 0 && counters.turns_open == 0;
}

/// Errors: busy while somebody serves the kind, or may again.
engine::result<void> check_gone(engine::admin_store& store, const std::string& kind) {
  auto status = store.status();
  if (!status) return tl::make_unexpected(status.error());
  if (is_served(*status, kind))
    return engine::fail(engine::errc::busy, "a running engine serves the kind " + kind + ": what waits is its work");
  auto kinds = store.kinds();
  if (!kinds) return tl::make_unexpected(kinds.error());
  if (std::find(kinds->begin(), kinds->end(), kind) != kinds->end())
    return engine::fail(engine::errc::busy,
                        "the kind " + kind +
                            " is still registered: its engines may only be away. When it is gone for good: "
                            "DELETE FROM rowcall.kinds WHERE kind = '" +
                            kind + "', and then again");
  return {};
}

void print_parked(const std::string& kind, std::int64_t count, bool has_more, bool json) {
  if (json)
    std::printf("{\"kind\":\"%s\",\"parked\":%lld,\"more\":%s}\n", kind.c_str(), static_cast<long long>(count),
                has_more ? "true" : "false");
  else
    std::printf("parked %s of the kind %s%s%s\n", format_count(count, "command").c_str(), kind.c_str(),
                has_more ? "; stopped early, commands still wait" : "", count > 0 ? ": see `rowcall dead list`" : "");
}

/// How many of the kind a retry holds, of the first hundred, and the longest of their waits.
struct held_work {
  std::size_t sessions = 0;
  milliseconds wait{0};
};
engine::result<held_work> find_held(engine::console_store& console, const std::string& kind) {
  auto held = console.held("", kind + "-", 100);
  if (!held) return tl::make_unexpected(held.error());
  held_work out{held->size()};
  for (const auto& h : *held) out.wait = std::max(out.wait, std::chrono::duration_cast<milliseconds>(h.retry.wait));
  return out;
}

/// Until nothing waits any more: true; false: it was stopped before. Errors: busy when somebody serves the kind, or
/// when it is registered again; timed_out when it does not go on.
engine::result<bool> await_parked(engine::admin_store& store, engine::console_store& console, const std::string& kind,
                                  const actors::metrics& counters, const std::atomic<bool>& is_swept,
                                  const std::atomic<bool>& has_died, stop_signal& stop) {
  using std::chrono::steady_clock;
  auto went_on_at = steady_clock::now();
  std::int64_t parked = 0;
  bool has_told = false;
  while (!stop.wait_for(look_interval)) {
    if (has_died) return engine::fail(engine::errc::internal, "an actor has ended; see above");
    const bool has_swept = is_swept;
    if (auto gone = check_gone(store, kind); !gone) return tl::make_unexpected(gone.error());
    const auto held = find_held(console, kind);
    if (!held) return tl::make_unexpected(held.error());
    // A sweep does not tell of what a retry holds.
    if (has_swept && is_swept && held->sessions == 0 && is_at_rest(counters)) return true;
    const auto now = steady_clock::now();
    if (const std::int64_t count = counters.dead_letters; count != std::exchange(parked, count)) went_on_at = now;
    if (held->wait > milliseconds{0}) {
      went_on_at = now;
      if (!std::exchange(has_told, true))
        std::fprintf(stderr, "rowcall: commands are held by a retry, for another %s at most: waiting for that\n",
                     format_duration(std::chrono::ceil<std::chrono::seconds>(held->wait)).c_str());
    }
    if (now - went_on_at > patience)
      return engine::fail(
          engine::errc::timed_out,
          "commands of the kind " + kind + " still wait, and nothing goes on; see above and `rowcall status`");
  }
  return false;
}

}  // namespace

exit_code park(const global_options& global, const std::string& kind) {
  if (!engine::is_valid_kind(kind))
    return fail_with({engine::errc::invalid_argument, "--kind: a kind is 1 to 32 of A-Z a-z 0-9 _"});
  stop_signal stop;  // before there are other threads
  if (auto checked = check_database(global.connection); !checked) return fail_with(checked.error());
  const auto config = store_config_of(global.connection, "dead");
  const auto store = storage::postgres::make_admin_store(config);
  if (auto gone = check_gone(*store, kind); !gone) return fail_with(gone.error());
  const auto console = storage::postgres::make_console_store(config);
  auto incarnation = storage::postgres::read_incarnation(config);
  if (!incarnation) return fail_with(incarnation.error());
  auto bus = open_bus(global.connection, "dead");
  if (!bus) return fail_with(bus.error());

  const stop_bound bound{stop, stop_timeout + interrupt_bound};
  engine::module_registry modules;
  modules.add(std::make_unique<tombstone>(kind));
  auto node_store_config = config;
  node_store_config.incarnation = *incarnation;
  const auto node_config = node_config_of();
  std::atomic<bool> is_swept{false}, of_heartbeat{false}, has_died{false};
  const auto make_nodes = [&](std::atomic<bool>& swept) {
    return std::make_unique<quiet_nodes>(storage::postgres::make_node_store(node_store_config), swept);
  };
  actors::node_ports ports;
  ports.make_turn_store = [&] { return storage::postgres::make_turn_store(node_store_config, node_config.node); };
  ports.nodes = make_nodes(of_heartbeat);
  ports.upkeep = make_nodes(is_swept);
  ports.bus = bus->get();
  ports.modules = &modules;
  ports.clock = actors::make_steady_clock();
  ports.log = log_without_each_command();
  ports.on_fatal = [&](std::string_view what) {
    std::fprintf(stderr, "rowcall: %s\n", std::string{what}.c_str());
    has_died = true;
  };
  actors::engine_node node{node_config, std::move(ports)};
  node.start();
  const auto parked = await_parked(*store, *console, kind, node.counters(), is_swept, has_died, stop);
  const stop_bound at_end{stop_timeout + milliseconds{1'000}};
  const bool in_time = node.stop(stop_timeout);
  const std::int64_t count = node.counters().dead_letters;
  print_parked(kind, count, !parked || !*parked, global.json);
  if (!in_time) std::fprintf(stderr, "rowcall: a turn had not ended in time: it may have parked more\n");
  if (parked) return *parked && in_time ? exit_code::ok : exit_code::failed;
  const auto code = fail_with(parked.error());
  return count == 0 ? code : exit_code::failed;  // the others say that nothing was stored
}

}  // namespace rowcall::tools
