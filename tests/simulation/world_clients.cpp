#include <algorithm>

#include "tests/simulation/world.hpp"

/// What the clients and the followers of a world do.
namespace rowcall::simulation {

// ---------------------------------------------------------------- clients

void world::act(sim_client& c) {
  if (c.is_waiting) return;
  if (!c.batch.empty()) return submit(c);
  if (!clients_on_ || last_n_ >= commands_max) return;
  const bool has_key = happens(0.5);
  for (auto left = 1 + below(is_slow_ && happens(0.7) ? 1 : 3); left > 0; --left) {
    const auto n = std::to_string(++last_n_);
    engine::command_request r;
    r.session = sessions_[below(sessions_.size())];
    r.data = "{\"n\":" + n + '}';
    switch (deadly_left_ > 0 && happens(0.1) ? 12 : below(12)) {
      case 12:
        r.type = "die";
        --deadly_left_;
        break;
      case 0:
        r.type = "spoil";
        break;
      case 1:
        r.type = "refuse";
        break;
      case 2:
      case 3:
        r.type = "pair";
        break;
      case 4:
      case 5: {
        r.type = "forward";
        const auto& to = sessions_[below(sessions_.size())];
        r.data = "{\"n\":" + n + ",\"to\":\"" + to.str() + "\"}";
        forwards_[r.data] = to.str();
        break;
      }
      default:
        r.type = "add";
    }
    if (has_key) r.idempotency_key = c.name + '/' + n;
    c.records.push_back(history_.submits.size());
    history_.submits.push_back({c.name, r.session.str(), r.type, r.data, checker::outcome::unknown, 0});
    c.batch.push_back(std::move(r));
  }
  submit(c);
}

void world::submit(sim_client& c) {
  const auto settle = [&](checker::outcome o) {
    for (const auto i : c.records) history_.submits[i].result = o;
    c.batch.clear();
    c.records.clear();
  };
  const bool has_key = c.batch.front().idempotency_key.has_value();
  if (strikes(0.05, "connection lost before the submit's COMMIT", c.name)) {
    if (bug() == deliberate_bug::ack_before_commit) {
      for (const auto i : c.records) history_.submits[i].seq = 1;
      return settle(checker::outcome::acknowledged);
    }
    if (!has_key) settle(checker::outcome::refused);
    return;
  }
  std::vector<engine::submit_receipt> told;
  auto stored = commands_->submit(c.batch, [&](std::span<const engine::submit_receipt> receipts) {
    told.assign(receipts.begin(), receipts.end());
    send_wakes(c, receipts);
    wait_for_flush(c);
  });
  if (!stored) {
    if (bug() != deliberate_bug::ack_before_flush) return settle(checker::outcome::unknown);
    stored = told;
  }
  if (strikes(0.05, "connection lost after the submit's COMMIT", c.name)) {
    if (!has_key) settle(checker::outcome::unknown);
    if (has_key && bug() == deliberate_bug::doubled_submit)
      for (auto& r : c.batch) *r.idempotency_key += '\'';
    return;
  }
  for (std::size_t i = 0; i < stored->size(); ++i) {
    const auto& r = (*stored)[i];
    auto& record = history_.submits[c.records[i]];
    const bool is_refused =
        r.kind == engine::submit_receipt::outcome::unknown_kind || r.kind == engine::submit_receipt::outcome::busy;
    record.result = is_refused ? checker::outcome::refused : checker::outcome::acknowledged;
    record.seq = r.seq.value;
  }
  if (told.empty()) send_wakes(c, *stored);
  c.batch.clear();
  c.records.clear();
}

/// The commands are visible: what client::submitter does then.
void world::send_wakes(const sim_client& c, std::span<const engine::submit_receipt> receipts) {
  std::vector<engine::wake> wakes;
  std::string text = c.name + " submitted";
  for (std::size_t i = 0; i < receipts.size(); ++i) {
    const auto& r = receipts[i];
    text += ' ' + c.batch[i].session.str() + '/' + std::to_string(r.seq.value) + ' ' + c.batch[i].type;
    if (r.kind == engine::submit_receipt::outcome::unknown_kind || r.kind == engine::submit_receipt::outcome::busy) continue;
    wakes.push_back({c.batch[i].session, r.seq});
    if (receipts.size() > 1 || r.kind != engine::submit_receipt::outcome::stored) continue;
    engine::command_row row{r.seq, c.batch[i].type, c.batch[i].data, {}};
    if (strikes(0.15, "a wake brings a wrong command", c.name)) row.data.insert(row.data.find(':') + 1, "1");
    wakes.back().command = std::make_shared<const engine::command_row>(std::move(row));
  }
  note(std::move(text));
  if (!strikes(0.03, "died before its wake", c.name)) publish(c.name, wakes);
}

/// The disk takes its time: others go on, and the server may crash.
void world::wait_for_flush(sim_client& c) {
  if (is_over_ || depth_ >= pause_depth_max) return;
  c.is_waiting = true;
  ++depth_;
  if (happens(0.3))
    for (auto left = below(25); left > 0; --left) step();
  if (strikes(0.05, "the server crashes before the flush", c.name))
    note(std::to_string(storage::memory::crash(*db_)) + " commands are gone");
  --depth_;
  c.is_waiting = false;
}

// ---------------------------------------------------------------- followers

void world::rejoin(sim_follower& f, std::size_t session, engine::update_seq after) {
  if (history_.followers.size() >= followers_count * sessions_count)
    history_.followers[f.records[session]].has_left = true;
  f.positions[session] = after;
  f.records[session] = history_.followers.size();
  history_.followers.push_back({f.name, sessions_[session].str(), after.value, {}, false});
}

void world::see(sim_follower& f, std::size_t session, const engine::update_row& u) {
  f.positions[session] = u.seq;
  history_.followers[f.records[session]].seen.push_back({u.seq.value, u.command.value, u.type, u.data});
}

void world::catch_up(sim_follower& f, std::size_t session) {
  auto after = f.positions[session];
  if (bug() == deliberate_bug::cursor_off_by_one && after.value > 0) after = after.next();
  const auto page = updates_->updates_after(sessions_[session], after, 3);
  for (const auto& u : page->updates) see(f, session, u);
}

void world::hear(sim_follower& f, const engine::update_notice& n) {
  const auto session =
      static_cast<std::size_t>(std::find(sessions_.begin(), sessions_.end(), n.session) - sessions_.begin());
  if (n.last <= f.positions[session]) return;
  if (!n.updates.empty() && (n.first == f.positions[session].next() || bug() == deliberate_bug::trusting_follower)) {
    for (const auto& u : n.updates) see(f, session, u);
    return;
  }
  catch_up(f, session);
}

}  // namespace rowcall::simulation
