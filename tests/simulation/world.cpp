#include "tests/simulation/world.hpp"

#include <algorithm>

#include "tests/simulation/broken_lines.hpp"

namespace rowcall::simulation {

using namespace std::chrono_literals;
using engine::errc;

namespace {
constexpr std::size_t nodes_max = 3, clients_count = 3;
constexpr auto quiet_max = 60s;  ///< virtual
constexpr std::size_t quiet_steps_max = 60'000;
constexpr int jobs_at_end_max = 10'000;
constexpr int deadly_max = 2;  ///< of a run
constexpr auto sweep_interval = 200ms;
constexpr int server_jump_max_ms = 2'000;
}  // namespace

void node_bus::publish(std::span<const engine::wake> wakes) {
  if (!is_cut_) world_.publish(node_, wakes);
}
void node_bus::publish(std::span<const engine::update_notice> notices) {
  if (!is_cut_) world_.publish(node_, notices);
}

world::world(const options& o) : options_(o), random_(o.seed), jumps_(~o.seed), is_calm_(o.seed % 4 == 0), is_slow_(o.seed % 5 < 2) {
  db_ = storage::memory::make_database(server_clock_);
  storage::memory::declare_table(*db_, ledger::notes, {"n"});
  commands_ = storage::memory::make_command_store(db_);
  updates_ = storage::memory::make_update_store(db_);
  admin_ = storage::memory::make_admin_store(db_);
  modules_.add<ledger>();
  config_.set("scheduler.policy", caf::atom("testing"));
  system_ = std::make_unique<caf::actor_system>(config_);
  jobs_ = &dynamic_cast<caf::scheduler::test_coordinator&>(system_->scheduler());
  clock_->set(engine::clock::time_point{jobs_->clock().now().time_since_epoch()});
  for (std::size_t i = 0; i < sessions_count; ++i)
    sessions_.push_back(engine::session_id::parse("ledger-" + std::to_string(i)).value());
  for (std::size_t i = 0; i < clients_count; ++i) clients_.push_back({"client-" + std::to_string(i), {}, {}});
  for (std::size_t i = 0; i < followers_count; ++i) {
    followers_.push_back({"follower-" + std::to_string(i), {}, {}});
    followers_[i].positions.resize(sessions_count);
    followers_[i].records.resize(sessions_count);
    for (std::size_t s = 0; s < sessions_count; ++s) rejoin(followers_[i], s, {});
  }
  if (options_.bug == deliberate_bug::no_fence) storage::memory::set_fence(*db_, false);
  if (!is_calm_ && options_.seed % 3 == 2) deadly_left_ = deadly_max;
  ledger::stumbles = [this] { return strikes(0.03, "module throws", ""); };
  ledger::dies = [this] { die(); };
  broken_lines = options_.broken;
}

world::~world() {
  ledger::stumbles = nullptr;
  ledger::dies = nullptr;
  broken_lines.clear();
}

// ---------------------------------------------------------------- trace and chance

void world::note(std::string line) {
  line = std::to_string(clock_->now().time_since_epoch().count() / 1000) + "us " +
         std::string(static_cast<std::size_t>(2 * depth_), ' ') + line + '\n';
  for (const unsigned char c : line) hash_ = (hash_ ^ c) * 1099511628211ull;
  if (options_.keeps_trace) trace_ += line;
}

bool world::strikes(double probability, std::string_view fault, const std::string& whom) {
  if (!faults_on_ || !happens(probability)) return false;
  ++faults_;
  count(fault);
  note("FAULT " + std::string(fault) + ' ' + whom);
  return true;
}

/// A node that is stopped while it waits goes on only when it has been resumed.
bool world::pause(const std::string& name) {
  if (is_over_ || depth_ >= pause_depth_max || !happens(0.3)) return false;
  auto& self = **std::find_if(boots_.begin(), boots_.end(), [&](const auto& b) { return b->name == name; });
  ++depth_;
  for (auto left = below(25); left > 0; --left) step();
  for (int left = 60; self.is_stopped && left > 0; --left) step();
  if (self.is_stopped) resume(self);
  --depth_;
  return true;
}

// ---------------------------------------------------------------- nodes

template <class Handle>
void world::adopt(const Handle& handle, node_boot& n, const std::string& what) {
  auto* actor = caf::actor_cast<caf::abstract_actor*>(handle);
  owners_[dynamic_cast<caf::resumable*>(actor)] = {&n, n.name + ' ' + what};
  alive_.insert(n.name + ' ' + what);
  actor->attach_functor([this, who = n.name + ' ' + what](const caf::error& reason) {
    alive_.erase(who);
    if (reason && reason != caf::exit_reason::kill) violations_.push_back("an actor died by itself: " + who);
  });
}

void world::boot(std::size_t index) {
  auto& n = *boots_.emplace_back(std::make_unique<node_boot>());
  if (nodes_.size() <= index) nodes_.resize(index + 1);
  n.boot = nodes_[index] ? nodes_[index]->boot + 1 : 1;
  if (n.boot > 1) count("node started again");
  n.name = std::string(1, static_cast<char>('a' + index)) + '.' + std::to_string(n.boot);
  nodes_[index] = &n;
  n.bus = std::make_unique<node_bus>(*this, n.name);
  const auto log = [this, name = n.name](engine::log_level, std::string_view text) { note(name + ": " + std::string(text)); };

  auto session = std::make_shared<engine::session_config>();
  session->node = n.name;
  session->retry = {attempts_max, 5ms, 50ms};
  session->snapshot_interval_updates = 5;

  actors::directory_actor_config d;
  d.directory.shard_count = 4;  // some hold two of the sessions, some one
  d.directory.workers = 2;
  d.directory.workers_for_backlog = 1;
  d.directory.limits = {4, 3, 8, 4096};
  d.directory.passivate_after = 300ms;
  d.session = session;
  d.modules = &modules_;
  d.inbox = n.inbox;
  d.clock = clock_;
  d.bus = n.bus.get();
  d.counters = &n.counters;
  d.tick_interval = 200ms;
  n.directory = system_->spawn(actors::session_directory, d);
  adopt(n.directory, n, "directory");

  for (std::size_t i = 0; i < d.directory.workers + d.directory.workers_for_backlog; ++i) {
    actors::turn_worker_config w;
    w.number = i;
    w.limits = d.directory.limits;
    w.modules = &modules_;
    w.reconnect_wait = 10ms;
    w.reconnect_wait_max = 100ms;
    w.bus = n.bus.get();
    w.clock = clock_;
    w.counters = &n.counters;
    w.log = log;
    auto store = std::make_shared<faulty_turn_store>(
        [this, name = n.name] { return storage::memory::make_turn_store(db_, name); }, *this, n.name, [&n](std::span<const engine::session_writes> writes) {
          std::vector<engine::update_notice> notices;
          for (const auto& x : writes)
            if (!x.updates.empty()) notices.push_back({x.session, x.updates.front().seq, x.updates.back().seq, x.updates});
          n.bus->publish(notices);
        });
    n.turn_stores.push_back(store);
    n.workers.push_back(system_->spawn(actors::turn_worker, w, store, caf::actor_cast<actors::turn_listener>(n.directory)));
    adopt(n.workers.back(), n, "worker " + std::to_string(i));
  }
  caf::anon_send(n.directory, actors::workers_ready{n.workers});

  actors::upkeep_actor_config u;
  u.kinds = modules_.kinds();
  u.sweep_interval = is_calm_ ? std::chrono::milliseconds{1h} : sweep_interval;
  u.reconnect_wait_max = 100ms;
  u.clock = clock_;
  u.counters = &n.counters;
  u.is_joined = &n.is_joined;
  u.log = log;
  n.upkeep_store = std::make_shared<faulty_node_store>(storage::memory::make_node_store(db_), *this, n.name);
  n.upkeep = system_->spawn(actors::upkeep, u, n.upkeep_store, n.directory);
  adopt(n.upkeep, n, "upkeep");

  actors::node_actor_config c;
  c.node = n.name;
  c.kinds = modules_.kinds();
  c.shard_count = d.directory.shard_count;
  c.heartbeat_interval = 100ms;
  c.dead_after = 300ms;
  c.reconnect_wait_max = 100ms;
  // So low that clients are refused now and then.
  c.admission = options_.seed % 3 == 1 ? engine::admission_limits{2, 12} : engine::admission_limits{};
  c.clock = clock_;
  c.counters = &n.counters;
  c.is_joined = &n.is_joined;
  c.log = log;
  n.node_store = std::make_shared<faulty_node_store>(storage::memory::make_node_store(db_), *this, n.name);
  n.node = system_->spawn(actors::node, c, n.node_store, n.directory, n.upkeep);
  adopt(n.node, n, "node");
  caf::anon_send(n.upkeep, actors::upkeep_tick{});
  caf::anon_send(n.node, actors::node_tick{});
  note("boot " + n.name);
}

void world::kill(std::size_t index, bool may_vanish) {
  auto& n = *nodes_[index];
  note("kill " + n.name);
  n.is_dead = true;
  n.is_stopped = false;
  n.bus->cut();
  // A killed process's connections end at once; a vanished machine's stay until the server gives them up.
  const bool vanishes = may_vanish && faults_on_ && happens(0.3);
  for (auto& s : n.turn_stores) {
    auto connection = s->cut();
    if (vanishes) orphans_.push_back(std::move(connection));
  }
  for (auto& s : {n.node_store, n.upkeep_store})
    if (auto connection = s->cut(); vanishes) node_orphans_.push_back(std::move(connection));
  n.turn_stores.clear();
  n.node_store.reset();
  n.upkeep_store.reset();
  std::erase_if(owners_, [&](const auto& o) { return o.second.first == &n; });
  for (auto& w : n.workers) caf::anon_send_exit(w, caf::exit_reason::kill);
  caf::anon_send_exit(n.node, caf::exit_reason::kill);
  caf::anon_send_exit(n.upkeep, caf::exit_reason::kill);
  caf::anon_send_exit(n.directory, caf::exit_reason::kill);
  n.workers.clear();
  n.node = actors::node_actor{};
  n.upkeep = actors::upkeep_actor{};
  n.directory = actors::directory_actor{};
}

void world::stop(std::size_t index) {
  auto& n = *nodes_[index];
  n.is_stopped = true;
  note("stop " + n.name);
  if (!happens(0.6)) return;
  const auto dropped = storage::memory::drop_open_turns(*db_, n.name);
  if (dropped > 0) count("node stopped past its transaction's death");
  note("its open turns are dropped: " + std::to_string(dropped));
}

void world::resume(node_boot& n) {
  note("resume " + n.name);
  n.is_stopped = false;
}

/// A supervisor starts what has ended.
void world::revive() {
  const auto index = below(nodes_.size());
  if (nodes_[index]->is_dead) boot(index);
}

/// A command ends the process that tries it.
void world::die() {
  if (!running_ || running_->is_dead) return;
  ++deaths_by_command_;
  count("a command kills");
  note("FAULT a command kills " + running_->name);
  for (std::size_t i = 0; i < nodes_.size(); ++i)
    if (nodes_[i] == running_) return kill(i, false);
}

void world::hit(const std::string& fault) {
  ++faults_;
  count(fault);
}

/// By a chance of its own, so that what else a seed does is the same with and without it.
void world::jump_server_clock() {
  if (jumps_() % 4 != 0) return;
  const auto by = static_cast<int>(jumps_() % (2 * server_jump_max_ms + 1)) - server_jump_max_ms;
  hit(by < 0 ? "the server's clock jumps back" : "the server's clock jumps forward");
  note("FAULT the server's clock jumps by " + std::to_string(by) + " ms");
  server_clock_->jump(std::chrono::milliseconds{by});
}

/// What happens to whole processes and servers.
void world::strike() {
  jump_server_clock();
  const auto index = below(nodes_.size());
  auto& n = *nodes_[index];
  switch (below(8)) {
    case 0:
    case 1:
      if (n.is_dead) return boot(index);
      hit("node killed");
      return kill(index, true);
    case 2:
      if (n.is_dead) return boot(index);
      return;
    case 3:
      if (n.is_dead) return;
      if (n.is_stopped) return resume(n);
      hit("node stopped");
      return stop(index);
    case 4:
      if (n.is_stopped) resume(n);
      return;
    case 5:
      is_bus_down_ = !is_bus_down_;
      hit("bus down or up");
      note(is_bus_down_ ? "FAULT bus down" : "bus up");
      if (!is_bus_down_)
        for (auto* b : nodes_)
          if (!b->is_dead) caf::anon_send(b->upkeep, actors::sweep_request{});
      return;
    case 6:
      hit("all open turns dropped");
      note("FAULT all open turns dropped: " + std::to_string(storage::memory::drop_open_turns(*db_)));
      return;
    default: {
      hit("clock jumps");
      const auto jump = std::chrono::milliseconds{below(2'000)};
      note("FAULT clock jumps by " + std::to_string(jump.count()) + " ms");
      jobs_->advance_time(jump);
      clock_->set(engine::clock::time_point{jobs_->clock().now().time_since_epoch()});
      return;
    }
  }
}

// ---------------------------------------------------------------- steps

bool world::run_job() {
  std::vector<std::size_t> runnable;
  for (std::size_t i = 0; i < jobs_->jobs.size(); ++i) {
    const auto owner = owners_.find(jobs_->jobs[i]);
    if (owner == owners_.end() || !owner->second.first->is_stopped) runnable.push_back(i);
  }
  if (runnable.empty()) return false;
  const auto chosen = jobs_->jobs.begin() + static_cast<std::ptrdiff_t>(runnable[below(runnable.size())]);
  const auto owner = owners_.find(*chosen);
  note("run " + (owner == owners_.end() ? std::string("a session") : owner->second.second));
  const auto outer = std::exchange(running_, owner == owners_.end() ? nullptr : owner->second.first);
  std::rotate(jobs_->jobs.begin(), chosen, chosen + 1);
  jobs_->run_once();
  running_ = outer;
  return true;
}

void world::pass_time() {
  if (!jobs_->has_pending_timeout()) return;
  jobs_->trigger_timeout();
  clock_->set(engine::clock::time_point{jobs_->clock().now().time_since_epoch()});
}

void world::commit_later(std::unique_ptr<engine::turn_store> connection, std::vector<engine::session_writes> writes) {
  late_commits_.push_back({std::move(connection), std::move(writes)});
}

void world::finish_commit() {
  const auto at = late_commits_.begin() + static_cast<std::ptrdiff_t>(below(late_commits_.size()));
  const auto late = std::move(*at);
  late_commits_.erase(at);
  const auto done = late.connection->commit(late.writes);
  note(std::string("the server finishes a COMMIT: ") + (done ? "done" : std::string(to_string(done.error().code))));
}

void world::step() {
  ++steps_;
  if (faults_on_ && happens(0.01)) return strike();
  if (!late_commits_.empty() && happens(0.01)) return finish_commit();
  if (happens(faults_on_ ? 0.003 : 0.02)) return revive();
  const auto choice = below(100);
  if (choice < 60 && run_job()) return;
  if (choice < 80 && !bag_.empty()) return deliver();
  if (choice < 88 && (clients_on_ || !faults_on_) && (!is_slow_ || happens(0.12))) return act(clients_[below(clients_.size())]);
  if (choice < 91) return catch_up(followers_[below(followers_.size())], below(sessions_.size()));
  if (choice < 92 && faults_on_) {
    auto& f = followers_[below(followers_.size())];
    const auto s = below(sessions_.size());
    return rejoin(f, s, happens(0.5) ? f.positions[s] : engine::update_seq{});
  }
  // Time passes when there is nothing to do, and sometimes when there is: actors may be slow.
  if (jobs_->jobs.empty() ? bag_.empty() || happens(0.3) : happens(0.1)) return pass_time();
  if (!run_job() && !bag_.empty()) deliver();
}

// ---------------------------------------------------------------- bus

void world::put(delivery d) {
  const bool is_wake = std::holds_alternative<engine::wake>(d.message);
  if (is_bus_down_ || strikes(0.08, is_wake ? "wake lost" : "notice lost", "")) return;
  if (strikes(0.05, is_wake ? "wake doubled" : "notice doubled", "")) bag_.push_back(d);
  bag_.push_back(std::move(d));
}

void world::publish(const std::string& from, std::span<const engine::wake> wakes) {
  for (const auto& w : wakes) {
    note(from + " wakes " + w.session.str() + ' ' + std::to_string(w.last.value));
    for (std::size_t i = 0; i < nodes_.size(); ++i) put({w, i, clock_->now()});
  }
}

void world::publish(const std::string& from, std::span<const engine::update_notice> notices) {
  for (const auto& n : notices) {
    note(from + " notifies " + n.session.str() + ' ' + std::to_string(n.first.value) + ".." + std::to_string(n.last.value));
    if (updates_->last(n.session)->update < n.last)
      violations_.push_back(from + " published " + n.session.str() + '/' + std::to_string(n.last.value) +
                            " before it was committed");
    for (std::size_t i = 0; i < followers_.size(); ++i) put({n, i, clock_->now()});
  }
}

/// Behind a later one of its session, or behind the sweep that finds its command.
void world::count_wake(const delivery& d) {
  const auto& w = std::get<engine::wake>(d.message);
  auto& highest = woken_[{d.to, w.session.str()}];
  if (w.last < highest) count("wake reordered");
  highest = std::max(highest, w.last);
  if (clock_->now() > d.sent + sweep_interval) count("wake late");
}

void world::deliver() {
  const auto at = bag_.begin() + static_cast<std::ptrdiff_t>(below(bag_.size()));
  auto d = std::move(*at);
  *at = std::move(bag_.back());
  bag_.pop_back();
  if (const auto* n = std::get_if<engine::update_notice>(&d.message)) return hear(followers_[d.to], *n);
  auto& n = *nodes_[d.to];
  if (n.is_dead) return;
  count_wake(d);
  if (n.inbox->put(std::get<engine::wake>(std::move(d.message))) == actors::wake_inbox::put_result::first)
    caf::anon_send(n.directory, actors::wakes_arrived{});
}

// ---------------------------------------------------------------- the run

bool world::is_at_rest() {
  if (!bag_.empty() || admin_->status()->pending_commands != 0) return false;
  for (const auto& c : clients_)
    if (!c.batch.empty()) return false;
  for (const auto& f : followers_)
    for (std::size_t s = 0; s < sessions_.size(); ++s)
      if (f.positions[s] < updates_->last(sessions_[s])->update) return false;
  return true;
}

void world::end() {
  is_over_ = true;
  for (std::size_t i = 0; i < nodes_.size(); ++i)
    if (!nodes_[i]->is_dead) kill(i, false);
  // Timers as well: a message on its way may hold an actor.
  for (auto left = jobs_at_end_max; left > 0 && (jobs_->has_job() || jobs_->has_pending_timeout()); --left) {
    if (!jobs_->try_run_once()) jobs_->trigger_timeouts();
  }
  if (const auto left = system_->registry().running(); left != 0) {
    std::string text = std::to_string(left) + " actors do not end";
    for (const auto& who : alive_) text += ", " + who;
    violations_.push_back(std::move(text));
    static_cast<void>(system_.release());  // its destructor would wait for them
  }
  system_.reset();
}

report world::run() {
  const auto count = is_calm_ ? 1 : 1 + below(nodes_max);
  for (std::size_t i = 0; i < count; ++i) boot(i);
  for (int left = 100; left > 0; --left) step();

  clients_on_ = true;
  faults_on_ = !is_calm_;
  for (const auto last = steps_ + 800 + below(2'500); steps_ < last;) step();

  note("the faults stop");
  clients_on_ = faults_on_ = false;
  is_bus_down_ = false;
  orphans_.clear();
  node_orphans_.clear();
  while (!late_commits_.empty()) finish_commit();
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (nodes_[i]->is_stopped) resume(*nodes_[i]);
    if (nodes_[i]->is_dead) boot(i);
  }
  const auto deadline = clock_->now() + quiet_max;
  std::size_t quiet_steps = 0;
  while (!is_at_rest()) {
    if (clock_->now() > deadline || quiet_steps > quiet_steps_max || store_calls_ > store_calls_max) {
      violations_.push_back("not at rest " + std::to_string(quiet_max.count()) + " s after the last fault");
      break;
    }
    for (int left = 40; left > 0; --left) step();
    quiet_steps += 40;
  }
  report r;
  judge(r);
  end();
  r.violations = violations_;
  r.trace = std::move(trace_);
  r.trace_hash = hash_;
  r.steps = steps_;
  r.faults = faults_;
  return r;
}

void world::judge(report& r) {
  const auto dump = storage::memory::dump(*db_);
  std::uint64_t takeovers = 0;
  for (const auto& shard : dump.shards) takeovers += static_cast<std::uint64_t>(shard.epoch);
  std::size_t failed = 0;
  checker::table notes{ledger::notes, {}, {}};
  if (const auto stored = dump.tables.find(ledger::notes); stored != dump.tables.end())
    for (const auto& row : stored->second) notes.stored.insert(row.at("n").value_or("") + " | " + row.at("seq").value_or(""));
  for (const auto& s : dump.sessions) {
    auto& log = history_.logs[s.session.str()];
    for (const auto& c : s.commands) log.commands.push_back({c.row.seq.value, c.row.type, c.row.data});
    for (const auto& u : s.updates) {
      log.updates.push_back({u.seq.value, u.command.value, u.type, u.data});
      failed += u.type == engine::update_type::command_failed ? 1 : 0;
      if (u.type == "noted") notes.folded.insert(std::to_string(n_of(u.data)) + " | " + std::to_string(u.seq.value));
      if (u.type != "sent") continue;
      const auto& data = s.commands[static_cast<std::size_t>(u.command.value - 1)].row.data;
      const auto n = n_of(data);
      history_.sends.push_back({s.session.str(), forwards_[data], "add", ledger::number(n + ledger::forwarded)});
    }
    for (auto& text : compare_with_model(s, takeovers)) violations_.push_back("model: " + std::move(text));
    if (s.retry) violations_.push_back(s.session.str() + ": a row of retries is left of command " +
                                       std::to_string(s.retry->command.value));
    r.commands += s.commands.size();
  }
  if (failed != dump.dead_letters.size())
    violations_.push_back(std::to_string(failed) + " commands failed, " + std::to_string(dump.dead_letters.size()) +
                          " dead letters");
  history_.tables.push_back(std::move(notes));
  for (const auto& v : checker::check(history_))
    violations_.push_back(std::string(checker::to_string(v.broken)) + ": " + v.text);
  for (const auto& b : boots_) {
    // Locks keep turns apart; the fence is the second line and should have nothing to do.
    if (b->counters.turns_fenced != 0) violations_.push_back(b->name + ": a turn was fenced");
    r.turns += b->counters.turns;
    r.turns_aborted += b->counters.turns_aborted;
    r.takeovers += b->counters.shards_taken_over;
    r.lost_wakes_found += b->counters.lost_wakes_found;
    r.wakes_mistaken += b->counters.wakes_mistaken;
  }
  r.turns_trusting = turns_trusting_;
  r.deaths_by_command = deaths_by_command_;
  r.faults_by_name = faults_by_name_;
}

report simulate(const options& o) { return world{o}.run(); }

std::string to_string(deliberate_bug bug) {
  switch (bug) {
    case deliberate_bug::none: return "none";
    case deliberate_bug::publish_before_commit: return "publish_before_commit";
    case deliberate_bug::ack_before_commit: return "ack_before_commit";
    case deliberate_bug::ack_before_flush: return "ack_before_flush";
    case deliberate_bug::folded_claim: return "folded_claim";
    case deliberate_bug::no_fence: return "no_fence";
    case deliberate_bug::no_lock: return "no_lock";
    case deliberate_bug::lost_send: return "lost_send";
    case deliberate_bug::lost_row: return "lost_row";
    case deliberate_bug::doubled_submit: return "doubled_submit";
    case deliberate_bug::reversed_fetch: return "reversed_fetch";
    case deliberate_bug::silent_commit_failure: return "silent_commit_failure";
    case deliberate_bug::no_sweep: return "no_sweep";
    case deliberate_bug::cursor_off_by_one: return "cursor_off_by_one";
    case deliberate_bug::trusting_follower: return "trusting_follower";
    case deliberate_bug::believed_wake: return "believed_wake";
  }
  return "?";
}

}  // namespace rowcall::simulation
