#include "storage/memory/internal/database.hpp"

#include <algorithm>

/// The turns: claim, commit, and what is checked before anything is written.
namespace rowcall::storage::memory {

using namespace engine;

void database::close(turn_id id) {
  const auto turn = turns_.find(id);
  if (turn == turns_.end()) return;
  for (const auto shard : turn->second.locked) shards_[shard].locked_by = 0;
  turns_.erase(turn);
}

void database::drop_expired_turns() {
  const auto at = now();
  std::vector<turn_id> expired;
  for (const auto& [id, turn] : turns_)
    if (at - turn.now > turn_timeout_) expired.push_back(id);
  for (const auto id : expired) close(id);
}

session_image database::image_of(const session_request& request, const shard_record& shard, db_time now) const {
  session_image image;
  const auto* s = find(request.session);
  if (s == nullptr) return image;
  image.cursor = s->cursor();
  if (request.wants_state) {
    if (!s->snapshots.empty()) image.snapshot = s->snapshots.rbegin()->second.row;
    auto update = image.snapshot ? s->updates.upper_bound(image.snapshot->seq) : s->updates.begin();
    for (; update != s->updates.end(); ++update) image.tail.push_back(update->second);
  }
  if (s->retry) {
    image.retry = s->retry->row;
    image.retry->wait = wait_until(s->retry->due, now);
  }
  if (shard.suspect) {
    for (auto c = s->commands.upper_bound(image.cursor.command); c != s->commands.end(); ++c)
      if (c->second.row.created_at <= *shard.suspect) image.careful_until = c->first;
  }
  return image;
}

result<turn_claim> database::claim(const std::string& node, const turn_request& request, turn_id& opened) {
  std::lock_guard lock{mutex_};
  drop_expired_turns();
  const auto id = ++last_turn_;
  auto& turn = turns_[id];
  turn.node = node;
  turn.now = now();

  turn_claim claim;
  claim.now = turn.now;
  claim.sessions.resize(request.sessions.size());
  const auto reached = std::min(request.sessions.size(), request.limits.sessions_max);

  // First statement: the shard locks.
  for (std::size_t i = 0; i < reached; ++i) {
    const auto index = request.sessions[i].shard;
    auto& shard = shards_[index];
    if (shard.locked_by != 0) continue;  // another turn's, or this turn's already
    shard.locked_by = id;
    turn.locked.push_back(index);
    if (shard.owner == node) continue;
    auto mine = shard;
    mine.owner = node;
    mine.epoch += 1;
    if (has_died(shard.owner, turn.now)) mine.suspect = turn.now;
    turn.takeovers.emplace(index, std::move(mine));
    claim.taken_over.push_back(index);
  }

  // Second statement: what is pending.
  std::size_t commands = 0, command_bytes = 0;
  std::size_t image_bytes = 0;
  bool has_image = false, is_full = false;
  for (std::size_t i = 0; i < request.sessions.size(); ++i) {
    const auto& wanted = request.sessions[i];
    auto& out = claim.sessions[i];
    if (i >= reached || is_full) {
      out.status = claim_status::not_reached;
      continue;
    }
    const auto& shard = shards_[wanted.shard];
    if (shard.locked_by != id) {
      out.status = claim_status::skipped;
      continue;
    }
    const auto taken = turn.takeovers.find(wanted.shard);
    const auto* s = find(wanted.session);
    auto cursor = wanted.cursor;
    if (!cursor || taken != turn.takeovers.end()) {
      out.image = image_of(wanted, taken == turn.takeovers.end() ? shard : taken->second, turn.now);
      cursor = out.image->cursor;
    }
    out.status = claim_status::claimed;
    if (s == nullptr) continue;
    const bool waits = s->retry && s->retry->due > turn.now;
    for (auto c = s->commands.upper_bound(cursor->command); c != s->commands.end() && !waits; ++c) {
      const auto& row = c->second.row;
      out.has_more = out.commands.size() >= request.limits.commands_per_session_max;
      if (out.has_more) break;
      is_full = commands >= request.limits.commands_max ||
                (commands > 0 && command_bytes + row.data.size() > request.limits.data_bytes_max);
      out.has_more = is_full;
      if (is_full) break;
      out.commands.push_back(row);
      commands += 1;
      command_bytes += row.data.size();
    }
    if (is_full && out.commands.empty()) out = {claim_status::not_reached};
    if (!out.image || (!out.image->snapshot && out.image->tail.empty())) continue;

    // The states to load have the same bound: at least one is always loaded.
    const auto first = out.image->snapshot ? out.image->snapshot->state.size() : out.image->tail.front().data.size();
    if (has_image && image_bytes + first > request.limits.data_bytes_max) {
      out = {claim_status::not_reached};
      is_full = true;
      continue;
    }
    has_image = true;
    if (out.image->snapshot) image_bytes += out.image->snapshot->state.size();
    for (const auto& u : out.image->tail) image_bytes += u.data.size();
  }
  opened = id;
  return claim;
}

result<std::vector<std::optional<std::string>>> database::key_of(const domain_row& row) const {
  const auto found = tables_.find(row.table);
  if (found == tables_.end()) return fail(errc::internal, "there is no table " + row.table);
  if (row.columns.size() != row.values.size())
    return fail(errc::internal, "a row of " + row.table + " has " + std::to_string(row.values.size()) + " values for " +
                                    std::to_string(row.columns.size()) + " columns");
  std::vector<std::optional<std::string>> key;
  for (const auto& column : found->second.key_columns) {
    const auto at = std::find(row.columns.begin(), row.columns.end(), column);
    const auto value = at == row.columns.end() ? std::nullopt : row.values[at - row.columns.begin()];
    if (!value) return fail(errc::internal, "a row of " + row.table + " has no " + column);
    key.push_back(value);
  }
  return key;
}

/// Everything that can go wrong, before anything is written.
result<void> database::check(std::span<const session_writes> writes) const {
  std::set<std::pair<session_id, update_seq>> updates, snapshots;
  std::set<letter_key> letters;
  std::map<std::pair<std::string, std::vector<std::optional<std::string>>>, bool> rows;  ///< there, after those before
  for (const auto& w : writes) {
    const auto* s = find(w.session);
    for (const auto& u : w.updates)
      if ((is_fenced_ && s != nullptr && s->updates.contains(u.seq)) || !updates.emplace(w.session, u.seq).second)
        return fail(errc::fenced,
                    "update " + w.session.str() + "/" + std::to_string(u.seq.value) + " is there already");
    if (is_fenced_ && w.snapshot &&
        ((s != nullptr && s->snapshots.contains(w.snapshot->seq)) ||
         !snapshots.emplace(w.session, w.snapshot->seq).second))
      return fail(errc::fenced, "the snapshot at " + w.session.str() + "/" + std::to_string(w.snapshot->seq.value) +
                                    " is there already");
    for (const auto& p : w.dead_letters)
      if ((is_fenced_ && letters_.contains({w.session, p.command.seq})) ||
          !letters.emplace(w.session, p.command.seq).second)
        return fail(errc::fenced, "the dead letter " + w.session.str() + "/" + std::to_string(p.command.seq.value) +
                                      " is there already");
    for (const auto& r : w.rows) {
      auto key = key_of(r);
      if (!key) return tl::make_unexpected(key.error());
      auto& is_there = rows.try_emplace({r.table, *key}, tables_.at(r.table).rows.contains(*key)).first->second;
      if (is_there && r.mode == domain_row::write_mode::append)
        return fail(errc::internal, "a row of " + r.table + " has a primary key that is there already");
      is_there = r.mode != domain_row::write_mode::remove;
    }
    if (w.retry == session_writes::retry_change::put && !w.retry_put)
      return fail(errc::internal, "the writes of " + w.session.str() + " put a retry row without one");
  }
  return {};
}

/// What a node has armed and another takes from it while it lives was no attempt.
void database::put_retry(session_record& s, retry_row row, db_time at) const {
  if (s.retry && s.retry->row.command == row.command && !s.retry->row.armed_by.empty() && !row.armed_by.empty() &&
      s.retry->row.armed_by != row.armed_by) {
    const auto n = nodes_.find(s.retry->row.armed_by);
    if (n != nodes_.end() && !n->second.has_left && n->second.is_connected) row.attempts = s.retry->row.attempts;
  }
  s.retry = retry_record{std::move(row), at + row.wait};
}

result<db_time> database::commit(turn_id id, std::span<const session_writes> writes) {
  std::lock_guard lock{mutex_};
  drop_expired_turns();
  const auto turn = turns_.find(id);
  if (turn == turns_.end()) return fail(errc::connection_lost, "the server has dropped the open turn");
  if (auto ok = check(writes); !ok) {
    close(id);
    return tl::make_unexpected(ok.error());
  }
  unflushed_.clear();
  const auto at = turn->second.now;
  for (auto& [index, shard] : turn->second.takeovers) {
    shards_[index].owner = std::move(shard.owner);
    shards_[index].epoch = shard.epoch;
    shards_[index].suspect = shard.suspect;
  }
  for (const auto& w : writes) {
    if (w.empty()) continue;
    auto& s = sessions_[w.session];
    for (auto u : w.updates) {
      u.created_at = at;
      if (const auto [at_seq, is_new] = s.updates.try_emplace(u.seq, u); !is_new) s.doubled.push_back(std::move(u));
    }
    for (const auto& r : w.rows) {
      auto& rows = tables_.at(r.table).rows;
      if (r.mode == domain_row::write_mode::remove) {
        rows.erase(*key_of(r));
        continue;
      }
      auto& record = rows[*key_of(r)];
      for (std::size_t i = 0; i < r.columns.size(); ++i) record[r.columns[i]] = r.values[i];
    }
    if (w.snapshot) s.snapshots.emplace(w.snapshot->seq, snapshot_record{*w.snapshot, at});
    switch (w.retry) {
      case session_writes::retry_change::keep:
        break;
      case session_writes::retry_change::clear:
        s.retry.reset();
        break;
      case session_writes::retry_change::put:
        put_retry(s, *w.retry_put, at);
        break;
    }
    for (const auto& p : w.dead_letters)
      letters_.emplace(letter_key{w.session, p.command.seq}, dead_letter{w.session, p.command.seq, p.command.type,
                                                                         p.command.data, p.error, p.attempts, at, ""});
    note_pending(w.session, s);
  }
  for (const auto& w : writes)
    for (const auto& send : w.sends) {
      command_seq seq;
      append_command(send.command.target, send.command.type, send.command.data, send.idempotency_key, at, seq);
    }
  close(id);
  return at;
}

/// The command is in the log as it was said to be, and it does not wait for a retry. That it is not processed yet is
/// left to the fence, where there are updates.
bool database::is_as_expected(const session_request& session) const {
  const auto* s = find(session.session);
  if (s == nullptr || s->retry) return false;
  const auto found = s->commands.find(session.expected->seq);
  return found != s->commands.end() && found->second.row.type == session.expected->type &&
         found->second.row.data == session.expected->data;
}

result<db_time> database::commit_expected(const std::string& node, const session_request& session,
                                          std::span<const session_writes> writes) {
  turn_id id = 0;
  {
    std::lock_guard lock{mutex_};
    drop_expired_turns();
    auto& shard = shards_[session.shard];
    const bool has_updates =
        std::any_of(writes.begin(), writes.end(), [](const auto& w) { return !w.updates.empty(); });
    if (shard.locked_by != 0 || shard.owner != node || !is_as_expected(session) ||
        (!has_updates && find(session.session)->cursor().command >= session.expected->seq))
      return fail(errc::serialization_failure, "the command of the wake is not what is pending");
    id = shard.locked_by = ++last_turn_;
    turns_[id] = {node, now(), {session.shard}, {}};
  }
  return commit(id, writes);
}

void database::abandon(turn_id id) {
  std::lock_guard lock{mutex_};
  close(id);
}

}  // namespace rowcall::storage::memory
