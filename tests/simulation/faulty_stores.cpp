#include "tests/simulation/faulty_stores.hpp"

#include <algorithm>

namespace rowcall::simulation {

using engine::errc;

engine::result<engine::turn_claim> faulty_turn_store::claim_granted(const engine::turn_request& request) {
  std::map<engine::shard_index, bool> refused;
  engine::turn_request granted;
  granted.limits = request.limits;
  std::vector<std::size_t> positions;
  for (std::size_t i = 0; i < request.sessions.size(); ++i) {
    const auto& s = request.sessions[i];
    auto [shard, is_new] = refused.try_emplace(s.shard, false);
    if (is_new) shard->second = fate_.strikes(0.03, "lock not granted", node_);
    if (shard->second) continue;
    granted.sessions.push_back(s);
    positions.push_back(i);
  }
  auto claimed = inner_->claim(granted);
  if (!claimed) return claimed;
  std::vector<engine::session_claim> sessions(request.sessions.size());
  for (std::size_t i = 0; i < positions.size(); ++i) sessions[positions[i]] = std::move(claimed->sessions[i]);
  claimed->sessions = std::move(sessions);
  return claimed;
}

/// deliberate_bug::no_lock: the first pending command of a session whose shard another turn holds is taken as well.
void faulty_turn_store::serve_unlocked(const engine::turn_request& request, engine::turn_claim& claim) {
  for (std::size_t i = 0; i < claim.sessions.size(); ++i) {
    auto& c = claim.sessions[i];
    if (c.status != engine::claim_status::skipped || !request.sessions[i].cursor) continue;
    c.status = engine::claim_status::claimed;
    c.commands.push_back({request.sessions[i].cursor->command.next(), "add", "{\"n\":-1}", {}});
  }
}

void faulty_turn_store::see(const storage::memory::database_dump& snapshot, const engine::turn_request& request,
                            engine::turn_claim& claim) {
  for (std::size_t i = 0; i < claim.sessions.size(); ++i) {
    auto& c = claim.sessions[i];
    if (c.status != engine::claim_status::claimed) continue;
    const auto s = std::find_if(snapshot.sessions.begin(), snapshot.sessions.end(),
                                [&](const auto& d) { return d.session == request.sessions[i].session; });
    if (s == snapshot.sessions.end()) {
      c.commands.clear();
      continue;
    }
    auto cursor = c.image ? engine::session_cursor{} : request.sessions[i].cursor.value_or(engine::session_cursor{});
    if (c.image) {
      if (!s->updates.empty()) cursor = {s->updates.back().seq, s->updates.back().command};
      if (cursor == c.image->cursor) continue;
      c.image->cursor = cursor;
      c.image->snapshot.reset();
      c.image->tail = s->updates;
      c.image->retry = s->retry;
    }
    c.commands.clear();
    for (const auto& [row, key] : s->commands)
      if (row.seq > cursor.command && c.commands.size() < request.limits.commands_per_session_max) c.commands.push_back(row);
  }
}

engine::result<engine::turn_claim> faulty_turn_store::claim(const engine::turn_request& request) {
  if (!fate_.spend() || !inner_) return lost();
  fate_.pause(node_);
  if (!inner_ || fate_.strikes(0.03, "connection lost in claim", node_)) return lost();
  if (fate_.strikes(0.01, "claim failed for good", node_)) return lost(errc::internal);
  const bool is_folded = fate_.bug() == deliberate_bug::folded_claim || fate_.bug() == deliberate_bug::no_fence;
  std::optional<storage::memory::database_dump> snapshot;
  if (is_folded) {
    snapshot = fate_.look();
    fate_.pause(node_);
    if (!inner_) return lost();
  }
  auto claimed = claim_granted(request);
  if (!claimed) return claimed;
  trusting_.reset();
  if (claimed->is_unverified) {
    fate_.trusts();
    trusting_ = request;
  }
  if (snapshot && !claimed->is_unverified) see(*snapshot, request, *claimed);
  if (fate_.bug() == deliberate_bug::no_lock) serve_unlocked(request, *claimed);
  if (fate_.bug() == deliberate_bug::reversed_fetch)
    for (auto& c : claimed->sessions)
      if (c.commands.size() > 1) {
        std::reverse(c.commands.begin(), c.commands.end());
        for (std::size_t i = 0, n = c.commands.size(); i < n / 2; ++i) std::swap(c.commands[i].seq, c.commands[n - 1 - i].seq);
      }
  if (fate_.pause(node_)) fate_.count("slow fetch");
  if (!inner_) return lost();
  std::string text = node_ + " claims";
  for (std::size_t i = 0; i < request.sessions.size(); ++i) {
    const auto& c = claimed->sessions[i];
    text += ' ' + request.sessions[i].session.str() + '=';
    if (c.status == engine::claim_status::claimed)
      text += c.commands.empty() ? "none"
                                 : std::to_string(c.commands.front().seq.value) + '+' + std::to_string(c.commands.size());
    else
      text += c.status == engine::claim_status::skipped ? "skipped" : "not_reached";
    if (c.image) text += "(image)";
  }
  if (claimed->is_unverified) text += " by the wake's word";
  if (!claimed->taken_over.empty()) text += ", takes over " + std::to_string(claimed->taken_over.size()) + " shards";
  fate_.note(std::move(text));
  return claimed;
}

void faulty_turn_store::believe() {
  inner_->abandon();
  trusting_->sessions.front().expected.reset();
  static_cast<void>(inner_->claim(*trusting_));
}

engine::result<engine::db_time> faulty_turn_store::commit(std::span<const engine::session_writes> writes) {
  if (!fate_.spend()) return lost();
  fate_.pause(node_);
  if (!inner_) return lost();
  if (fate_.bug() == deliberate_bug::publish_before_commit) publish_(writes);
  if (fate_.strikes(0.04, "connection lost before COMMIT", node_)) return lost();
  if (fate_.strikes(0.02, "in doubt, not committed", node_)) return lost(errc::commit_in_doubt);
  if (!writes.empty() && fate_.strikes(0.06, "connection lost in COMMIT, which goes on", node_)) {
    fate_.commit_later(std::exchange(inner_, connect_()), {writes.begin(), writes.end()});
    return engine::fail(errc::commit_in_doubt, "simulated");
  }
  if (fate_.strikes(0.04, "serialization failure", node_)) {
    if (fate_.bug() == deliberate_bug::silent_commit_failure) return abandon(), engine::result<engine::db_time>{};
    return lost(errc::serialization_failure);
  }
  if (writes.size() > 1 && fate_.strikes(0.01, "refused by the database", node_)) return lost(errc::internal);
  std::vector<engine::session_writes> altered;
  if (fate_.bug() == deliberate_bug::lost_send) {
    altered.assign(writes.begin(), writes.end());
    for (auto& w : altered)
      if (!w.sends.empty()) w.sends.pop_back();
    writes = altered;
  }
  if (fate_.bug() == deliberate_bug::lost_row) {
    altered.assign(writes.begin(), writes.end());
    for (auto& w : altered)
      if (!w.rows.empty()) w.rows.pop_back();
    writes = altered;
  }
  if (fate_.bug() == deliberate_bug::believed_wake && trusting_) believe();
  auto done = inner_->commit(writes);
  std::string text = node_ + (done ? " commits" : " could not commit (" + std::string(to_string(done.error().code)) + ")");
  for (const auto& w : writes)
    text += ' ' + w.session.str() + ':' + std::to_string(w.before.update.value) + '>' + std::to_string(w.after.update.value);
  fate_.note(std::move(text));
  if (!done) return done;
  fate_.pause(node_);
  if (!inner_ || fate_.strikes(0.04, "connection lost after COMMIT", node_))
    return engine::fail(errc::commit_in_doubt, "simulated");
  return done;
}

namespace {
tl::unexpected<engine::error> gone() { return engine::fail(errc::connection_lost, "simulated"); }
}  // namespace

engine::result<void> faulty_node_store::join(const std::string& node, const std::vector<std::string>& kinds) {
  if (is_lost("join")) return gone();
  return inner_->join(node, kinds);
}
engine::result<std::vector<engine::node_info>> faulty_node_store::heartbeat(const std::string& node,
                                                                            const engine::node_rates& rates,
                                                                            std::chrono::milliseconds dead_after) {
  fate_.pause(node_);
  if (is_lost("heartbeat")) return gone();
  return inner_->heartbeat(node, rates, dead_after);
}
engine::result<void> faulty_node_store::leave(const std::string& node) {
  if (is_lost("leave")) return gone();
  return inner_->leave(node);
}
engine::result<void> faulty_node_store::sweep(const std::vector<std::string>& kinds,
                                              const std::function<bool(std::span<const engine::pending_session>)>& found) {
  fate_.pause(node_);
  if (is_lost("sweep")) return gone();
  if (fate_.bug() == deliberate_bug::no_sweep) return {};
  return inner_->sweep(kinds, found);
}
engine::result<void> faulty_node_store::set_admission(const engine::admission_limits& limits) {
  if (is_lost("set_admission")) return gone();
  return inner_->set_admission(limits);
}
engine::result<engine::cleanup_report> faulty_node_store::cleanup(const engine::cleanup_request& request) {
  if (is_lost("cleanup")) return gone();
  return inner_->cleanup(request);
}

}  // namespace rowcall::simulation
