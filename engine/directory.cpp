#include "engine/directory.hpp"

#include <algorithm>

namespace rowcall::engine {
namespace {

using held_session = std::pair<directory::time_point, directory::slot>;
constexpr auto later = [](const held_session& a, const held_session& b) { return a.first > b.first; };

}  // namespace

directory::directory(directory_config config) : config_(config), shards_(static_cast<std::size_t>(config.shard_count)) {
  ROWCALL_ASSERT(config.shard_count > 0 && config.workers > 0);
}

directory::slot directory::slot_of(const session_id& session) {
  if (auto known = by_id_.find(session.str()); known != by_id_.end()) return known->second;
  slot s;
  if (free_.empty()) {
    s = static_cast<slot>(entries_.size());
    entries_.emplace_back();
  } else {
    s = free_.back();
    free_.pop_back();
  }
  entry& e = entries_[s];
  e = entry{};
  e.session = session;
  e.is_used = true;
  e.shard = shard_of(session, config_.shard_count);
  by_id_.emplace(e.session.str(), s);
  e.where = state::idle;
  e.previous = idle_last_;
  (idle_last_ == none ? idle_first_ : entries_[idle_last_].next) = s;
  idle_last_ = s;
  ++idle_count_;
  return s;
}

void directory::unlink_idle(slot s) {
  entry& e = entries_[s];
  (e.previous == none ? idle_first_ : entries_[e.previous].next) = e.next;
  (e.next == none ? idle_last_ : entries_[e.next].previous) = e.previous;
  e.previous = e.next = none;
  --idle_count_;
}

void directory::make_idle(slot s, time_point now) {
  entry& e = entries_[s];
  e.where = state::idle;
  e.since = now;
  e.previous = idle_last_;
  e.next = none;
  (idle_last_ == none ? idle_first_ : entries_[idle_last_].next) = s;
  idle_last_ = s;
  ++idle_count_;
}

void directory::make_ready(slot s, bool front) {
  entry& e = entries_[s];
  e.where = state::ready;
  ++ready_count_;
  auto& queue = shards_[static_cast<std::size_t>(e.shard)].ready;
  if (front) {
    queue.push_front(s);  // keeps its arrival
  } else {
    e.arrival = ++arrivals_;
    queue.push_back(s);
  }
}

directory::wake_result directory::wake(const session_id& session, command_seq hint, time_point now) {
  if (ready_count_ >= config_.sessions_ready_max && !by_id_.contains(session.str())) return wake_result::refused;
  const slot s = slot_of(session);
  entry& e = entries_[s];
  switch (e.where) {
    case state::ready:
    case state::held: return wake_result::coalesced;
    case state::in_turn:
      if (hint.value == 0) e.dirty = true;
      e.wanted = std::max(e.wanted, hint);
      return wake_result::coalesced;
    case state::idle: break;
  }
  if (hint.value != 0 && e.cursor && hint <= e.cursor->command) return wake_result::processed;
  e.since = now;
  unlink_idle(s);
  make_ready(s, false);
  return wake_result::made_ready;
}

void directory::release_held(time_point now) {
  while (!held_.empty() && held_.front().first <= now) {
    const slot s = held_.front().second;
    std::pop_heap(held_.begin(), held_.end(), later);
    held_.pop_back();
    --held_count_;
    make_ready(s, false);
  }
}

bool directory::is_open(const shard_state& shard, time_point now) const {
  return !shard.in_turn && !shard.ready.empty() && shard.not_before <= now &&
         !(is_isolated_turn_open_ && entries_[shard.ready.front()].isolate);
}

template <class Sessions>
bool directory::is_awaited(const Sessions& sessions) const {
  return std::none_of(sessions.begin(), sessions.end(), [this](const auto& s) {
    const entry& e = entries_[s.index];
    return e.isolate || e.has_more;
  });
}

/// Whether the next turn has to wait for what is still to come.
bool directory::is_early(time_point now) const {
  return awaited_turns_ > 0 && !is_parallel() && now < taken_at_ + config_.overlap_after;
}

directory::assignment directory::take(time_point now) {
  release_held(now);
  if (is_early(now)) return {};
  std::vector<shard_index> open;
  for (shard_index i = 0; i < config_.shard_count; ++i)
    if (is_open(shards_[static_cast<std::size_t>(i)], now)) open.push_back(i);
  assignment result;
  if (open.empty()) return result;
  std::sort(open.begin(), open.end(), [&](shard_index a, shard_index b) {
    return entries_[shards_[static_cast<std::size_t>(a)].ready.front()].arrival <
           entries_[shards_[static_cast<std::size_t>(b)].ready.front()].arrival;
  });

  auto take_front = [&](shard_state& shard) {
    const slot s = shard.ready.front();
    shard.ready.pop_front();
    entry& e = entries_[s];
    e.where = state::in_turn;
    e.dirty = false;
    e.wanted = {};
    --ready_count_;
    ++in_turn_count_;
    shard.in_turn = true;
    result.sessions.push_back({s, e.session, e.shard, e.cursor});
  };

  if (auto& first = shards_[static_cast<std::size_t>(open.front())]; entries_[first.ready.front()].isolate) {
    result.isolated = is_isolated_turn_open_ = true;
    take_front(first);
    ++open_turns_;
    return result;
  }
  // No worker takes more than its share of the shards, so that work for several is spread over all of them.
  const std::size_t turns = is_parallel() ? turns_max() : 1;
  const std::size_t share = (static_cast<std::size_t>(config_.shard_count) + turns - 1) / turns;
  if (open.size() > share) open.resize(share);
  const std::size_t sessions_per_shard = std::max<std::size_t>(1, config_.limits.sessions_max / open.size());
  for (const shard_index i : open) {
    auto& shard = shards_[static_cast<std::size_t>(i)];
    for (std::size_t n = 0; n < sessions_per_shard && !shard.ready.empty(); ++n) {
      if (entries_[shard.ready.front()].isolate) break;
      if (result.sessions.size() >= config_.limits.sessions_max) break;
      take_front(shard);
    }
  }
  ++open_turns_;
  if (is_awaited(result.sessions)) {
    ++awaited_turns_;
    taken_at_ = now;
  }
  return result;
}

void directory::finish(std::span<const finished> sessions, std::span<const shard_index> shards_lost, time_point now) {
  ROWCALL_ASSERT(open_turns_ > 0);
  --open_turns_;
  if (is_awaited(sessions)) {
    --awaited_turns_;
    are_turns_long_ = now - taken_at_ >= config_.overlap_after;
  }
  if (!shards_lost.empty()) {
    std::vector<bool> lost(shards_.size());
    for (shard_index i : shards_lost) lost[static_cast<std::size_t>(i)] = true;
    for (entry& e : entries_)
      if (e.is_used && lost[static_cast<std::size_t>(e.shard)]) e.cursor.reset();
  }
  for (const finished& f : sessions) shards_[static_cast<std::size_t>(entries_[f.index].shard)].in_turn = false;

  // Walked backwards, so that those put to the front keep their order among themselves.
  for (auto it = sessions.rbegin(); it != sessions.rend(); ++it) {
    const finished& f = *it;
    entry& e = entries_[f.index];
    auto& shard = shards_[static_cast<std::size_t>(e.shard)];
    ROWCALL_ASSERT(e.where == state::in_turn);
    --in_turn_count_;
    if (e.isolate) is_isolated_turn_open_ = false;
    switch (f.kind) {
      case finished::status::done: {
        shard.wait = std::chrono::milliseconds{0};
        e.cursor = f.cursor;
        e.isolate = f.isolate_next;
        e.has_more = f.has_more;
        if (f.retry_in) {
          e.where = state::held;
          ++held_count_;
          held_.emplace_back(now + *f.retry_in, f.index);
          std::push_heap(held_.begin(), held_.end(), later);
        } else if (f.has_more || e.dirty || e.wanted > (e.cursor ? e.cursor->command : command_seq{})) {
          make_ready(f.index, false);
        } else {
          make_idle(f.index, now);
        }
        break;
      }
      case finished::status::skipped:
        if (shard.not_before <= now) {
          shard.wait = std::min(std::max(shard.wait * 2, config_.skipped_wait), config_.skipped_wait_max);
          shard.not_before = now + shard.wait;
        }
        make_ready(f.index, true);
        break;
      case finished::status::not_reached: make_ready(f.index, true); break;
      case finished::status::aborted:
        e.cursor.reset();
        make_ready(f.index, true);
        break;
      case finished::status::isolate:
        e.cursor.reset();
        e.isolate = true;
        make_ready(f.index, true);
        break;
    }
  }
  const auto count = [&](finished::status kind) {
    return static_cast<std::size_t>(
        std::count_if(sessions.begin(), sessions.end(), [&](const finished& f) { return f.kind == kind; }));
  };
  const auto reached = count(finished::status::done);
  is_backlogged_ = reached > 0 && count(finished::status::not_reached) > 0 && ready_count_ >= turns_of_backlog * reached;
}

std::vector<directory::slot> directory::passivate(time_point now) {
  std::vector<slot> gone;
  while (idle_first_ != none &&
         (idle_count_ > config_.sessions_known_max || entries_[idle_first_].since + config_.passivate_after <= now)) {
    const slot s = idle_first_;
    entry& e = entries_[s];
    unlink_idle(s);
    by_id_.erase(e.session.str());
    e.is_used = false;
    e.session = session_id{};
    free_.push_back(s);
    gone.push_back(s);
  }
  return gone;
}

bool directory::shrink() {
  if (entries_.size() <= slots_kept || by_id_.size() * 4 > entries_.size()) return false;
  const auto before = entries_.size();
  while (entries_.size() > slots_kept && !entries_.back().is_used) entries_.pop_back();
  if (entries_.size() == before) return false;
  std::erase_if(free_, [this](slot s) { return s >= entries_.size(); });
  free_.shrink_to_fit();
  by_id_.rehash(0);
  for (auto& shard : shards_) shard.ready.shrink_to_fit();
  return true;
}

std::optional<directory::time_point> directory::next_due() const {
  std::optional<time_point> due;
  if (!held_.empty()) due = held_.front().first;
  for (const auto& shard : shards_)
    if (is_open(shard, time_point::max()) && (!due || shard.not_before < *due)) due = shard.not_before;
  if (due && is_early(*due)) due = taken_at_ + config_.overlap_after;
  return due;
}

std::string_view preferred_node(std::span<const std::string> nodes, shard_index shard) {
  std::string_view best;
  std::uint64_t best_weight = 0;
  for (const std::string& node : nodes) {
    // splitmix64's finaliser (Steele, Lea and Flood, 2014) mixes the weak low bits of FNV-1a.
    std::uint64_t weight = fnv1a_64(node) + 0x9e3779b97f4a7c15ull * (static_cast<std::uint64_t>(shard) + 1);
    weight = (weight ^ (weight >> 30)) * 0xbf58476d1ce4e5b9ull;
    weight = (weight ^ (weight >> 27)) * 0x94d049bb133111ebull;
    weight ^= weight >> 31;
    if (best.empty() || weight > best_weight || (weight == best_weight && node < best)) {
      best = node;
      best_weight = weight;
    }
  }
  return best;
}

}  // namespace rowcall::engine
