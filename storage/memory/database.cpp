#include "storage/memory/internal/database.hpp"

#include <algorithm>
#include <tuple>

namespace rowcall::storage::memory {

using namespace engine;

namespace {

/// Where the clock's zero lies in database time: 2020-01-01.
constexpr db_time epoch{std::chrono::seconds{1'577'836'800}};

constexpr std::chrono::milliseconds busy_retry_after{1'000};

/// A node that was silent for so long counts as dead.
constexpr std::chrono::seconds dead_heartbeat_age{5};

std::chrono::milliseconds age_ms(db_time since, db_time now) {
  return std::max(std::chrono::milliseconds{0}, std::chrono::floor<std::chrono::milliseconds>(now - since));
}

std::string where(const session_id& session, command_seq command) {
  return session.str() + "/" + std::to_string(command.value);
}

tl::unexpected<error> no_letter(const session_id& session, command_seq command) {
  return fail(errc::not_found, "there is no dead letter " + where(session, command));
}

}  // namespace

// ---------------------------------------------------------------- records

session_cursor database::session_record::cursor() const {
  if (updates.empty()) return {};
  const auto& last = updates.rbegin()->second;
  return {last.seq, last.command};
}

command_seq database::session_record::last_command() const {
  return commands.empty() ? command_seq{} : commands.rbegin()->first;
}

db_time database::now() const {
  return epoch + std::chrono::floor<std::chrono::microseconds>(clock_->now().time_since_epoch());
}

std::chrono::milliseconds database::wait_until(db_time due, db_time now) const {
  return std::max(std::chrono::milliseconds{0}, std::chrono::ceil<std::chrono::milliseconds>(due - now));
}

const database::session_record* database::find(const session_id& id) const {
  const auto found = sessions_.find(id);
  return found == sessions_.end() ? nullptr : &found->second;
}

void database::note_pending(const session_id& id, const session_record& s) {
  if (s.is_pending())
    pending_.insert(id);
  else
    pending_.erase(id);
}

bool database::append_command(const session_id& session, const std::string& type, const std::string& data,
                              const std::optional<std::string>& key, db_time at, command_seq& seq) {
  auto& s = sessions_[session];
  if (key) {
    if (const auto known = s.keys.find(*key); known != s.keys.end()) {
      seq = known->second;
      return false;
    }
  }
  seq = s.last_command().next();
  s.commands.emplace(seq, command_record{{seq, type, data, at}, key});
  if (key) s.keys.emplace(*key, seq);
  note_pending(session, s);
  return true;
}

// ---------------------------------------------------------------- nodes

result<void> database::join(const std::string& node, const std::vector<std::string>& kinds, bool is_again) {
  std::lock_guard lock{mutex_};
  if (const auto other = nodes_.find(node);
      other != nodes_.end() && !is_again && !other->second.has_left && !has_died(node, now()))
    return fail(errc::busy, "another engine with the name " + node + " is running");
  auto& n = nodes_[node];
  n.info.node = node;
  n.info.kinds = kinds;
  n.info.version = "memory";
  n.joined = n.seen = now();
  n.is_connected = true;
  n.has_left = false;
  kinds_.insert(kinds.begin(), kinds.end());
  return {};
}

result<std::vector<node_info>> database::heartbeat(const std::string& node, const node_rates& rates,
                                                   std::chrono::milliseconds dead_after) {
  std::lock_guard lock{mutex_};
  const auto me = nodes_.find(node);
  if (me == nodes_.end()) return fail(errc::not_found, "the node " + node + " has not joined");
  const auto at = now();
  me->second.seen = at;
  me->second.rates = rates;
  std::vector<node_info> alive;
  for (const auto& [name, n] : nodes_) {
    if (n.has_left || (name != node && (!n.is_connected || at - n.seen >= dead_after))) continue;
    alive.push_back(n.info);
    alive.back().heartbeat_age = age_ms(n.seen, at);
    alive.back().uptime = std::chrono::floor<std::chrono::seconds>(at - n.joined);
  }
  return alive;
}

void database::leave(const std::string& node) {
  std::lock_guard lock{mutex_};
  if (const auto n = nodes_.find(node); n != nodes_.end()) n->second.has_left = true;
}

void database::disconnect(const std::string& node) {
  std::lock_guard lock{mutex_};
  if (const auto n = nodes_.find(node); n != nodes_.end()) n->second.is_connected = false;
}

/// True for a node that has ended without saying so: it may have died in the middle of a command. Its connection tells
/// at once, the heartbeat when it was cut off.
bool database::has_died(const std::string& node, db_time at) const {
  const auto n = nodes_.find(node);
  return n != nodes_.end() && !n->second.has_left &&
         (!n->second.is_connected || at - n->second.seen > dead_heartbeat_age);
}

std::vector<pending_session> database::pending_after(const std::vector<std::string>& kinds,
                                                     std::optional<session_id>& after, std::size_t limit) {
  std::lock_guard lock{mutex_};
  const auto at = now();
  std::vector<pending_session> found;
  for (auto it = after ? pending_.upper_bound(*after) : pending_.begin(); it != pending_.end() && found.size() < limit;
       ++it) {
    after = *it;
    if (std::find(kinds.begin(), kinds.end(), it->kind()) == kinds.end()) continue;
    const auto& s = sessions_.at(*it);
    if (s.retry && s.retry->due > at) continue;
    found.push_back({*it, s.last_command(), s.cursor().command});
  }
  return found;
}

cleanup_report database::cleanup(const cleanup_request& request) {
  std::lock_guard lock{mutex_};
  const auto limit = now() - request.older_than;
  cleanup_report report;
  std::size_t left = request.chunk_rows;
  const auto take = [&](std::int64_t& counter) {
    if (left == 0) {
      report.more = true;
      return false;
    }
    left -= 1;
    counter += 1;
    return true;
  };
  for (auto& [id, s] : sessions_) {
    if (s.snapshots.empty()) continue;  // nothing else could tell a follower what is gone
    const auto newest = s.snapshots.rbegin()->second.row;
    // Always from the front of a log, so that what stays has no gap.
    while (s.snapshots.size() > 1 && s.snapshots.begin()->second.created_at <= limit) {
      if (!take(report.snapshots)) return report;
      s.snapshots.erase(s.snapshots.begin());
    }
    while (s.commands.size() > 1 && s.commands.begin()->first <= newest.command &&
           s.commands.begin()->second.row.created_at <= limit) {
      if (!take(report.commands)) return report;
      if (const auto& key = s.commands.begin()->second.key) s.keys.erase(*key);
      s.commands.erase(s.commands.begin());
    }
    while (s.updates.size() > 1 && s.updates.begin()->first <= newest.seq &&
           s.updates.begin()->second.created_at <= limit) {
      if (!take(report.updates)) return report;
      s.updates.erase(s.updates.begin());
    }
  }
  return report;
}

// ---------------------------------------------------------------- clients

void database::set_admission(const admission_limits& limits) {
  std::lock_guard lock{mutex_};
  admission_ = limits;
  if (limits.pending_max == 0) is_overloaded_ = false;
}

void database::judge_load() {
  std::lock_guard lock{mutex_};
  std::int64_t count = 0;
  for (const auto& id : pending_) {
    const auto& s = sessions_.at(id);
    count += s.last_command().value - s.cursor().command.value;
  }
  is_overloaded_ = admission_.pending_max > 0 && count > admission_.pending_max;
}

/// A session's bound is looked at with every 64th command, as on PostgreSQL, where a look costs an index probe.
bool database::is_admitted(const session_id& session) const {
  if (is_overloaded_) return false;
  const auto* s = find(session);
  if (s == nullptr || admission_.session_pending_max == 0) return true;
  const auto next = s->last_command().value + 1;
  return next % 64 != 0 || next - s->cursor().command.value <= admission_.session_pending_max;
}

submit_receipt database::store(const command_request& c, db_time at) {
  submit_receipt r;
  const auto* s = find(c.session);
  const bool is_known = s != nullptr && c.idempotency_key && s->keys.contains(*c.idempotency_key);
  if (!kinds_.contains(std::string{c.session.kind()})) {
    r.kind = submit_receipt::outcome::unknown_kind;
  } else if (!is_known && !is_admitted(c.session)) {
    r.kind = submit_receipt::outcome::busy;
    r.retry_after = busy_retry_after;
  } else if (!append_command(c.session, c.type, c.data, c.idempotency_key, at, r.seq)) {
    r.kind = submit_receipt::outcome::duplicate;
  }
  return r;
}

std::vector<submit_receipt> database::submit(std::span<const command_request> batch) {
  std::lock_guard lock{mutex_};
  unflushed_.clear();
  const auto at = now();
  std::vector<submit_receipt> receipts;
  receipts.reserve(batch.size());
  for (const auto& c : batch) receipts.push_back(store(c, at));
  return receipts;
}

submit_receipt database::submit_unflushed(const command_request& request) {
  std::lock_guard lock{mutex_};
  auto r = store(request, now());
  if (r.kind == submit_receipt::outcome::stored) unflushed_.emplace_back(request.session, r.seq);
  return r;
}

void database::flush() {
  std::lock_guard lock{mutex_};
  unflushed_.clear();
}

std::uint64_t database::crashes() {
  std::lock_guard lock{mutex_};
  return crashes_;
}

std::vector<update_page> database::updates_after(std::span<const follow_position> positions, std::size_t limit) {
  std::lock_guard lock{mutex_};
  std::vector<update_page> pages;
  pages.reserve(positions.size());
  for (const auto& p : positions) {
    auto& page = pages.emplace_back();
    const auto* s = find(p.session);
    if (s == nullptr || s->updates.empty() || s->updates.rbegin()->first < p.after) {
      page.is_ahead = p.after.value > 0;
      continue;
    }
    page.gone = s->updates.begin()->first > p.after.next();
    if (page.gone) continue;
    for (auto u = s->updates.upper_bound(p.after); u != s->updates.end() && page.updates.size() < limit; ++u)
      page.updates.push_back(u->second);
  }
  return pages;
}

std::optional<snapshot_row> database::snapshot(const session_id& session) {
  std::lock_guard lock{mutex_};
  const auto* s = find(session);
  if (s == nullptr || s->snapshots.empty()) return std::nullopt;
  return s->snapshots.rbegin()->second.row;
}

session_cursor database::last(const session_id& session) {
  std::lock_guard lock{mutex_};
  const auto* s = find(session);
  return s == nullptr ? session_cursor{} : s->cursor();
}

receipt database::receipt_of(const session_id& session, command_seq command) {
  std::lock_guard lock{mutex_};
  receipt r;
  const auto* s = find(session);
  if (s == nullptr) return r;
  // A log's updates are in the order of their commands.
  const auto before = [&](const auto& entry) { return entry.second.command < command; };
  // From the back: receipts are asked for while they are young.
  auto u = s->updates.end();
  while (u != s->updates.begin() && !before(*std::prev(u))) --u;
  for (; u != s->updates.end() && u->second.command == command; ++u) r.updates.push_back(u->second);
  return r;
}

// ---------------------------------------------------------------- operation

std::vector<std::string> database::kinds() {
  const std::lock_guard lock{mutex_};
  return {kinds_.begin(), kinds_.end()};
}

status_report database::status() {
  std::lock_guard lock{mutex_};
  const auto at = now();
  status_report report;
  std::set<std::string, std::less<>> served, unserved;
  for (const auto& [name, n] : nodes_) {
    if (n.has_left || has_died(name, at)) continue;
    report.nodes.push_back(n.info);
    report.nodes.back().heartbeat_age = age_ms(n.seen, at);
    report.nodes.back().uptime = std::chrono::floor<std::chrono::seconds>(at - n.joined);
    report.turns_per_s += n.rates.turns_per_s;
    report.commands_per_s += n.rates.commands_per_s;
    served.insert(n.info.kinds.begin(), n.info.kinds.end());
  }
  report.sessions = std::ssize(sessions_);
  report.pending_sessions = std::ssize(pending_);
  auto oldest = at;
  for (const auto& id : pending_) {
    const auto& s = sessions_.at(id);
    const auto first = s.commands.upper_bound(s.cursor().command);
    const auto count = std::distance(first, s.commands.end());
    report.pending_commands += count;
    if (!served.contains(id.kind())) {
      report.unserved_commands += count;
      unserved.emplace(id.kind());
    }
    oldest = std::min(oldest, first->second.row.created_at);
  }
  report.oldest_pending_age = age_ms(oldest, at);
  for (const auto& kind : unserved)
    if (report.unserved_kinds.size() < status_names_max) report.unserved_kinds.push_back(kind);
  for (const auto& [id, s] : sessions_) {
    if (!s.retry) continue;
    ++report.retrying;
    report.retrying_sessions.push_back({id, s.retry->row});
    report.retrying_sessions.back().retry.wait = wait_until(s.retry->due, at);
  }
  std::stable_sort(report.retrying_sessions.begin(), report.retrying_sessions.end(),
                   [](const auto& a, const auto& b) { return a.retry.attempts > b.retry.attempts; });
  if (report.retrying_sessions.size() > status_names_max) report.retrying_sessions.resize(status_names_max);
  for (const auto& [key, letter] : letters_) report.dead += letter.resolution.empty() ? 1 : 0;
  return report;
}

std::vector<dead_letter> database::dead_letters(std::size_t limit, bool with_resolved) {
  std::lock_guard lock{mutex_};
  std::vector<dead_letter> letters;
  for (const auto& [key, letter] : letters_)
    if (with_resolved || letter.resolution.empty()) letters.push_back(letter);
  std::stable_sort(letters.begin(), letters.end(), [](const auto& a, const auto& b) {
    return std::tie(a.failed_at, a.session, a.command) > std::tie(b.failed_at, b.session, b.command);
  });
  if (letters.size() > limit) letters.resize(limit);
  return letters;
}

result<dead_letter> database::dead_letter_of(const session_id& session, command_seq command) {
  std::lock_guard lock{mutex_};
  const auto found = letters_.find({session, command});
  if (found == letters_.end()) return no_letter(session, command);
  return found->second;
}

result<command_seq> database::redrive(const session_id& session, command_seq command) {
  std::lock_guard lock{mutex_};
  const auto found = letters_.find({session, command});
  if (found == letters_.end()) return no_letter(session, command);
  auto& letter = found->second;
  if (letter.resolution == "dropped")
    return fail(errc::invalid_argument, "the dead letter " + where(session, command) + " was dropped");
  unflushed_.clear();
  command_seq seq;
  append_command(session, letter.type, letter.data, "redrive:" + where(session, command), now(), seq);
  letter.resolution = "redriven";
  return seq;
}

result<void> database::drop(const session_id& session, command_seq command) {
  std::lock_guard lock{mutex_};
  const auto found = letters_.find({session, command});
  if (found == letters_.end()) return no_letter(session, command);
  auto& letter = found->second;
  if (letter.resolution == "redriven")
    return fail(errc::invalid_argument, "the dead letter " + where(session, command) + " was redriven");
  letter.resolution = "dropped";
  return {};
}

// ---------------------------------------------------------------- inspection

database_dump database::dump() {
  std::lock_guard lock{mutex_};
  drop_expired_turns();
  const auto at = now();
  database_dump out;
  for (const auto& [id, s] : sessions_) {
    auto& d = out.sessions.emplace_back();
    d.session = id;
    for (const auto& [seq, c] : s.commands) d.commands.push_back({c.row, c.key});
    for (const auto& [seq, u] : s.updates) d.updates.push_back(u);
    d.updates.insert(d.updates.end(), s.doubled.begin(), s.doubled.end());
    for (const auto& [seq, snapshot] : s.snapshots) d.snapshots.push_back(snapshot.row);
    if (s.retry) {
      d.retry = s.retry->row;
      d.retry->wait = wait_until(s.retry->due, at);
    }
  }
  for (const auto& [name, t] : tables_) {
    auto& rows = out.tables[name];
    for (const auto& [key, row] : t.rows) rows.push_back(row);
  }
  for (const auto& [key, letter] : letters_) out.dead_letters.push_back(letter);
  for (const auto& [index, shard] : shards_)
    out.shards.push_back({index, shard.owner, shard.epoch, shard.suspect.has_value(), shard.locked_by != 0});
  return out;
}

void database::declare_table(const std::string& name, std::vector<std::string> key_columns) {
  std::lock_guard lock{mutex_};
  ROWCALL_ASSERT(!key_columns.empty());
  ROWCALL_ASSERT(tables_.try_emplace(name, table{std::move(key_columns), {}}).second);
}

std::size_t database::drop_turns(const std::optional<std::string>& node) {
  drop_expired_turns();
  std::vector<turn_id> dropped;
  for (const auto& [id, turn] : turns_)
    if (!node || turn.node == *node) dropped.push_back(id);
  for (const auto id : dropped) close(id);
  return dropped.size();
}

std::size_t database::drop_open_turns(const std::optional<std::string>& node) {
  std::lock_guard lock{mutex_};
  return drop_turns(node);
}

std::size_t database::crash() {
  std::lock_guard lock{mutex_};
  ++crashes_;
  drop_turns(std::nullopt);
  for (const auto& [session, seq] : unflushed_) {
    auto& s = sessions_.at(session);
    s.commands.erase(seq);
    note_pending(session, s);
  }
  return std::exchange(unflushed_, {}).size();
}

std::size_t database::open_turns() {
  std::lock_guard lock{mutex_};
  drop_expired_turns();
  return turns_.size();
}

void database::set_fence(bool is_on) {
  std::lock_guard lock{mutex_};
  is_fenced_ = is_on;
}

void database::set_turn_timeout(std::chrono::milliseconds timeout) {
  std::lock_guard lock{mutex_};
  turn_timeout_ = timeout;
}

}  // namespace rowcall::storage::memory
