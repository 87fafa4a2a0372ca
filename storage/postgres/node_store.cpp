#include <algorithm>
#include <deque>
#include <limits>
#include <map>
#include <unordered_map>

#include "engine/give_back.hpp"
#include "storage/postgres/internal/call.hpp"
#include "storage/postgres/internal/link.hpp"
#include "storage/postgres/internal/nodes.hpp"
#include "storage/postgres/internal/rows.hpp"
#include "storage/postgres/migrator.hpp"
#include "storage/postgres/stores.hpp"

namespace rowcall::storage::postgres {
namespace {

using namespace engine;
using internal::call;

constexpr std::size_t sweep_first_rows = 1'000, sweep_chunk_rows = 10'000;
/// Sessions known to be pending that one sweep looks at again, in rotation: the backlog does not make it slower.
constexpr std::size_t leftover_probe_max = 20'000;
/// Sessions known to be pending that are remembered. Beyond it, later sweeps read from the oldest pending command on.
constexpr std::size_t leftover_sessions_max = 250'000;
/// Sessions that one sweep remembers to have looked at, so as to do it once.
constexpr std::size_t looked_at_max = 250'000;
/// Sessions that are kept as left over when the mark moves, at most; the rest holds it until the next time.
constexpr std::size_t leftovers_kept_max = 5'000;
constexpr std::size_t leftovers_page = 10'000;
/// Commands after which the sweep's index is summed up.
constexpr std::size_t summarize_rows = 100'000;
constexpr int cleanup_sessions_max = 1'000;
/// Looks in a row without its connection after which a node is dead, and how many on a new connection of one's own say nothing.
constexpr int unconnected_looks_max = 2, looks_of_a_new_connection = 3;

/// What the sweeps so far have learned, and the next one builds on.
///
/// A completed sweep has seen every command that was visible in the snapshot taken before its scan. The next one reads
/// only transactions that this snapshot did not show (xid >= xmax, or open in it), and looks again at the sessions that
/// were left pending. So a long transaction elsewhere costs nothing, and neither does a session that waits for days:
/// the mark for nodes that start later passes it when it is kept in sweep_leftovers, where they look as well.
struct sweep_memory {
  struct pending_entry {
    std::int64_t oldest_xid = 0;  ///< no pending command of the session is of an older transaction
    std::int64_t last_seq = 0;    ///< its last command when it was looked at
    std::int64_t newer_xid = 0;   ///< commands above last_seq are of this transaction or a later one
    std::int64_t pending = 0;     ///< commands, when it was looked at
    /// It is in sweep_leftovers, or has been done since. A command that comes later makes it unknown again.
    bool is_kept = false;
  };
  bool has_scanned = false;
  std::int64_t from_xid = 0;
  std::string open_xids = "{}";
  std::unordered_map<std::string, pending_entry> pending;
  std::deque<std::string> rotation;         ///< the sessions of `pending`, the one looked at longest ago first
  std::int64_t unremembered_xid = nothing;  ///< the oldest of what `pending` had no room for
  std::int64_t pending_commands = 0;        ///< of all sessions in `pending`
  std::int64_t last_due_xid = 0;            ///< where a sweep began when the mark was last due to move
  std::string checked_to;                   ///< up to where sweep_leftovers was looked through for what is done

  static constexpr std::int64_t nothing = std::numeric_limits<std::int64_t>::max();
};

class node_store final : public engine::node_store {
 public:
  explicit node_store(store_config config)
      : turn_idle_ms_(internal::idle_timeout(config).count()),
        link_(std::move(config),
              {"node_join", "node_hold", "node_rival", "node_beat", "node_leave", "node_live", "stuck_turn_end",
               "sweep_snapshot", "sweep_open", "sweep_leftovers", "sweep_probe", "sweep_settle", "sweep_summarize",
               "cleanup_chunk", "admission_put", "admission_judge"},
              // A sweep's transaction waits for `found`, a node's heartbeat for nothing.
              "SET enable_bitmapscan = on; SET enable_hashjoin = off; SET enable_mergejoin = off;") {}

  result<void> join(const std::string& node, const std::vector<std::string>& kinds) override {
    // The lock first: of two that start at once, one has it.
    if (auto held = hold(node); !held) return held;
    if (!is_held(node))
      if (auto alone = refuse_rival(node); !alone) return alone;
    const auto name = [](const std::string& k) -> const std::string& { return k; };
    auto done = link_.exec(
        call("node_join").text(node).array(kinds, name).text(ROWCALL_VERSION).number(migrator::newest()).str(),
        internal::on_loss::commit);
    if (!done) return tl::make_unexpected(done.error());
    return {};
  }

  result<std::vector<node_info>> heartbeat(const std::string& node, const node_rates& rates,
                                           std::chrono::milliseconds dead_after) override {
    // Nothing depends on a heartbeat surviving a crash of the server.
    std::string sql = "SET LOCAL synchronous_commit = off;";
    const auto& t = rates.totals;
    const auto count = [](std::int64_t n) { return n; };
    sql += call("node_beat").text(node).real(rates.turns_per_s).real(rates.commands_per_s).number(t.turns).number(t.commands)
               .number(t.updates).number(t.retries).number(t.dead_letters).number(t.lost_wakes)
               .array(t.wait_counts, count).array(t.turn_counts, count).str();
    auto beat = link_.exec_alone(sql);
    if (!beat) return tl::make_unexpected(beat.error());
    if (beat->empty()) return fail(errc::not_found, "the node " + node + " has not joined");
    if (const auto required = internal::number((*beat)[0][1]); required > migrator::newest())
      return fail(errc::superseded, "the schema has moved past this engine: it needs a binary that knows version " +
                                        std::to_string(required) + ", this one knows " +
                                        std::to_string(migrator::newest()));
    if (auto held = hold(node); !held) return tl::make_unexpected(held.error());
    auto rows = link_.exec(call("stuck_turn_end").number(dead_after.count()).number(turn_idle_ms_).str() + ";" +
                           call("node_live").number(dead_after.count()).text(node).str());
    if (!rows) return tl::make_unexpected(rows.error());
    return without_the_dead(*rows);
  }

  result<void> leave(const std::string& node) override {
    auto done = link_.exec(call("node_leave").text(node).str(), internal::on_loss::commit);
    if (!done) return tl::make_unexpected(done.error());
    return {};
  }

  result<void> sweep(const std::vector<std::string>& kinds,
                     const std::function<bool(std::span<const pending_session>)>& found) override {
    auto swept = sweep_in_transaction(kinds, found);
    // Ends the cursor and the snapshot; there is nothing to keep.
    if (link_.is_open())
      if (auto ended = link_.exec("ROLLBACK"); !ended) {
        link_.close();
        if (swept) return tl::make_unexpected(ended.error());
      }
    if (!swept) return tl::make_unexpected(swept.error());
    // What is not allowed was told by set_admission: no reason to have no sweep.
    if (auto judged =
            link_.exec(call("admission_judge").number(load_.estimate(memory_.pending_commands)).boolean(*swept).str());
        !judged && engine::is_transient(judged.error().code))
      return tl::make_unexpected(judged.error());
    if (!*swept) return {};
    if (auto settled = settle(); !settled) return settled;
    return summarize();
  }

  result<void> set_admission(const admission_limits& limits) override {
    auto done = link_.exec(call("admission_put").number(limits.session_pending_max).number(limits.pending_max).str(),
                           internal::on_loss::commit);
    if (!done) return tl::make_unexpected(done.error());
    return {};
  }

  result<cleanup_report> cleanup(const cleanup_request& request) override {
    auto rows = link_.exec(call("cleanup_chunk")
                               .text(cleanup_after_)
                               .number(request.older_than.count())
                               .number(static_cast<std::int64_t>(request.chunk_rows))
                               .number(cleanup_sessions_max)
                               .str(),
                           internal::on_loss::commit);
    if (!rows) return tl::make_unexpected(rows.error());
    if (rows->empty()) return fail(errc::busy, "another process is applying the retention at this moment");
    const auto row = (*rows)[0];
    cleanup_report report;
    report.commands = internal::number(row[1]);
    report.updates = internal::number(row[2]);
    report.snapshots = internal::number(row[3]);
    report.more = !row[0].is_null();
    cleanup_after_ = internal::string(row[0]);
    return report;
  }

 private:
  /// Pages that the BRIN index has not summed up yet are read by every sweep. Autovacuum does it within a minute or so;
  /// under load a minute is many pages.
  result<void> summarize() {
    if (rows_scanned_ < summarize_rows) return {};
    auto done = link_.exec("SET LOCAL lock_timeout = '50ms';" + call("sweep_summarize").str());
    // A vacuum holds the lock, and does the same.
    if (!done && done.error().code != errc::timed_out) return tl::make_unexpected(done.error());
    rows_scanned_ = 0;
    return {};
  }

  /// How many commands are pending. Of the sessions that this sweep has looked at that is known; the others (there is a
  /// bound on those that it looks at again) are taken to have done as well meanwhile as those.
  struct load_count {
    std::int64_t before = 0;       ///< pending commands of all remembered sessions before the sweep
    std::int64_t looked_at = 0;    ///< of those looked at again: before it
    std::int64_t still_there = 0;  ///< and what is left of that
    std::int64_t unremembered = 0;

    std::int64_t estimate(std::int64_t remembered) const {
      const auto rest = static_cast<double>(before - looked_at);
      const auto done = looked_at == 0 ? 0.0 : 1.0 - static_cast<double>(still_there) / static_cast<double>(looked_at);
      return std::max<std::int64_t>(0, remembered - static_cast<std::int64_t>(rest * done)) + unremembered;
    }
  };

  struct candidate {
    std::string session;
    std::int64_t oldest_xid = 0;
    bool is_known = false;  ///< taken out of the rotation: goes back, or is forgotten
    bool is_kept = false;   ///< comes from sweep_leftovers
  };
  using found_function = std::function<bool(std::span<const pending_session>)>;

  /// Holds the advisory lock that says that the node lives, anew after each reconnect. A peer that is just looking
  /// may have it for a moment: then the next heartbeat gets it.
  result<void> hold(const std::string& node) {
    if (is_held(node)) return {};
    auto rows = link_.exec(call("node_hold").text(node).str());
    if (!rows) return tl::make_unexpected(rows.error());
    if (internal::text((*rows)[0][0]) == "t") {
      held_node_ = node;
      held_generation_ = link_.generation();
    }
    return {};
  }

  bool is_held(const std::string& node) const {
    return link_.is_open() && held_node_ == node && held_generation_ == link_.generation();
  }

  result<void> refuse_rival(const std::string& node) {
    auto rows = link_.exec(call("node_rival").text(node).number(internal::node_dead_after_ms).str());
    if (!rows) return tl::make_unexpected(rows.error());
    if (rows->empty()) return {};
    const auto row = (*rows)[0];
    auto who = "PostgreSQL's process " + internal::string(row[0]);
    if (!row[1].is_null() && !internal::text(row[1]).empty()) who += ", from " + internal::string(row[1]);
    if (!row[2].is_null()) who += ", heard " + internal::string(row[2]) + " ms ago";
    return fail(errc::busy, "another engine with the name " + node + " is running (its connection: " + who +
                                "): each needs a name of its own");
  }

  /// A killed node's connection is gone at once, and its advisory lock with it: there is no need to wait for `dead_after`.
  /// A node that has lost its connection and makes another one must not be taken for dead: it has two looks' time for it, and
  /// more when this node's own connection is new, as all are when PostgreSQL was restarted.
  std::vector<node_info> without_the_dead(const pqxx::result& rows) {
    if (std::exchange(looked_generation_, link_.generation()) != link_.generation()) looks_ = 0;
    ++looks_;
    std::map<std::string, int> unconnected;
    std::vector<node_info> alive;
    auto nodes = internal::nodes(rows);
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      if (internal::text(rows[static_cast<pqxx::result::size_type>(i)][7]) == "f") {
        const auto before = unconnected_looks_.find(nodes[i].node);
        const int looks = before == unconnected_looks_.end() ? 1 : before->second + 1;
        unconnected[nodes[i].node] = looks;
        if (looks >= unconnected_looks_max && looks_ > looks_of_a_new_connection) continue;
      }
      alive.push_back(std::move(nodes[i]));
    }
    unconnected_looks_ = std::move(unconnected);
    return alive;
  }

  /// True when it was complete, false when `found` ended it.
  result<bool> sweep_in_transaction(const std::vector<std::string>& kinds, const found_function& found) {
    auto snapshot = link_.exec_alone("BEGIN;" + call("sweep_snapshot").str());
    if (!snapshot) return tl::make_unexpected(snapshot.error());
    const auto seen = (*snapshot)[0];
    seen_xmin_ = internal::number(seen[0]);
    const auto seen_xmax = internal::number(seen[1]), mark = internal::number(seen[3]);
    is_mark_due_ = internal::text(seen[4]) == "t";
    // What ended the connection may have been a crash of the server, which gives the numbers of transactions that left
    // nothing on the disk to others: below the snapshot that is remembered. The mark comes from the disk itself.
    if (std::exchange(swept_generation_, link_.generation()) != link_.generation()) memory_ = {};
    // Another cluster under the same name (a restored backup): the old one's numbers say nothing here.
    if (memory_.has_scanned && memory_.from_xid > seen_xmax) memory_ = {};
    was_found_called_ = false;
    load_ = {memory_.pending_commands};

    // 1. Sessions that were pending when they were last looked at, in rotation.
    for (auto left = std::min(leftover_probe_max, memory_.rotation.size()); left > 0;) {
      std::vector<candidate> again;
      for (; left > 0 && again.size() < sweep_chunk_rows; --left) {
        again.push_back({std::move(memory_.rotation.front()), 0, true});
        memory_.rotation.pop_front();
      }
      auto goes_on = look(again, kinds, found);
      if (!goes_on || !*goes_on) return goes_on;
    }

    // 2. For a node that starts: what others have left over. After the mark was read, so that nothing falls between.
    if (!memory_.has_scanned) {
      auto goes_on = look_at_leftovers(kinds, found);
      if (!goes_on || !*goes_on) return goes_on;
    }

    // 3. What was written since.
    const auto unremembered = std::exchange(memory_.unremembered_xid, sweep_memory::nothing);
    const auto from = std::min(memory_.has_scanned ? memory_.from_xid : mark, unremembered);
    auto goes_on = scan(from, kinds, found);
    give_back(looked_at_);  // with its buckets: after a crowd they are many
    if (!goes_on || !*goes_on) {
      memory_.unremembered_xid = std::min(memory_.unremembered_xid, unremembered);
      return goes_on;
    }
    if (memory_.pending.empty()) {
      give_back(memory_.pending);
      give_back(memory_.rotation);
    }
    memory_.has_scanned = true;
    memory_.from_xid = seen_xmax;
    memory_.open_xids = internal::string(seen[2]);
    // The port promises one call.
    if (!was_found_called_) found({});
    return true;
  }

  result<bool> look_at_leftovers(const std::vector<std::string>& kinds, const found_function& found) {
    std::string after;
    for (;;) {
      auto rows =
          link_.exec(call("sweep_leftovers").text(after).number(static_cast<std::int64_t>(leftovers_page)).str());
      if (!rows) return tl::make_unexpected(rows.error());
      if (rows->empty()) return true;
      std::vector<candidate> kept;
      for (const auto& row : *rows) kept.push_back({internal::string(row[0]), 0, false, true});
      after = kept.back().session;
      auto goes_on = look(kept, kinds, found);
      if (!goes_on || !*goes_on) return goes_on;
    }
  }

  result<bool> scan(std::int64_t from, const std::vector<std::string>& kinds, const found_function& found) {
    auto rows = link_.exec(call("sweep_open").number(from).text(memory_.open_xids).str() + ";FETCH " +
                           std::to_string(sweep_first_rows) + " FROM sweep_rows");
    while (rows && !rows->empty()) {
      rows_scanned_ += static_cast<std::size_t>(rows->size());
      auto candidates = distinct(*rows);
      std::erase_if(candidates, [&](const candidate& c) { return was_looked_at(c); });
      if (!candidates.empty()) {
        auto goes_on = look(candidates, kinds, found);
        if (!goes_on || !*goes_on) return goes_on;
      }
      rows = link_.exec("FETCH " + std::to_string(sweep_chunk_rows) + " FROM sweep_rows");
    }
    if (!rows) return tl::make_unexpected(rows.error());
    return true;
  }

  /// A backlog comes back in every chunk. What the scan's cursor shows was committed before it was opened, so the first
  /// look has seen it: only the transaction's number is news.
  bool was_looked_at(const candidate& c) {
    const auto at = looked_at_.find(c.session);
    if (at == looked_at_.end()) return false;
    if (!at->second) return true;
    if (const auto entry = memory_.pending.find(c.session); entry != memory_.pending.end())
      entry->second.oldest_xid = std::min(entry->second.oldest_xid, c.oldest_xid);
    else
      memory_.unremembered_xid = std::min(memory_.unremembered_xid, c.oldest_xid);
    return true;
  }

  static std::vector<candidate> distinct(const pqxx::result& rows) {
    std::unordered_map<std::string_view, std::size_t> places;
    std::vector<candidate> out;
    for (const auto& row : rows) {
      const auto xid = internal::number(row[1]);
      const auto [place, is_new] = places.try_emplace(internal::text(row[0]), out.size());
      if (is_new)
        out.push_back({internal::string(row[0]), xid});
      else
        out[place->second].oldest_xid = std::min(out[place->second].oldest_xid, xid);
    }
    return out;
  }

  /// Probes the candidates, remembers those that are pending and reports those that are due. False: the caller stops.
  result<bool> look(const std::vector<candidate>& candidates, const std::vector<std::string>& kinds,
                    const found_function& found) {
    auto rows = link_.exec(call("sweep_probe")
                               .array(candidates, [](const candidate& c) -> const std::string& { return c.session; })
                               .str());
    if (!rows) {
      for (const auto& c : candidates)
        if (c.is_known) memory_.rotation.push_back(c.session);
      return tl::make_unexpected(rows.error());
    }
    std::vector<pending_session> due;
    for (const auto& row : *rows) {
      const auto& c = candidates.at(static_cast<std::size_t>(internal::number(row[0]) - 1));
      const auto processed = internal::number(row[1]), last = internal::number(row[2]);
      remember(c, processed, last);
      if (!c.is_known && looked_at_.size() < looked_at_max) looked_at_.emplace(c.session, last > processed);
      if (last <= processed || internal::text(row[3]) == "t") continue;  // done, or held until its retry
      auto session = session_id::parse(c.session);
      if (!session) return tl::make_unexpected(session.error());
      if (std::find(kinds.begin(), kinds.end(), session->kind()) == kinds.end()) continue;
      due.push_back({*std::move(session), {last}, {processed}});
    }
    if (due.empty()) return true;
    was_found_called_ = true;
    return found(due);
  }

  void remember(const candidate& c, std::int64_t processed, std::int64_t last) {
    const auto entry = memory_.pending.find(c.session);
    const auto pending = std::max<std::int64_t>(0, last - processed);
    if (entry != memory_.pending.end()) {
      auto& e = entry->second;
      if (c.is_known) {
        load_.looked_at += e.pending;
        load_.still_there += std::clamp<std::int64_t>(e.last_seq - processed, 0, e.pending);
      }
      memory_.pending_commands += pending - std::exchange(e.pending, pending);
    }
    if (pending == 0) {
      // Not in the rotation any more when it came from there; otherwise its turn will come.
      if (c.is_known) memory_.pending.erase(entry);
      return;
    }
    if (entry != memory_.pending.end()) {
      auto& e = entry->second;
      if (!c.is_known) {
        e.oldest_xid = std::min(e.oldest_xid, c.oldest_xid);
        e.is_kept = e.is_kept && c.is_kept;  // all of it may have been done, and forgotten, before this command came
      } else if (processed >= e.last_seq) {
        e.oldest_xid = e.newer_xid;  // all that was known is done
        e.is_kept = false;
      }
      if (c.is_known) {
        e.last_seq = last;
        e.newer_xid = seen_xmin_;
        memory_.rotation.push_back(c.session);
      }
    } else if (memory_.pending.size() < leftover_sessions_max) {
      memory_.pending.emplace(c.session,
                              sweep_memory::pending_entry{c.oldest_xid, last, seen_xmin_, pending, c.is_kept});
      memory_.pending_commands += pending;
      memory_.rotation.push_back(c.session);
    } else {
      load_.unremembered += pending;
      memory_.unremembered_xid = std::min(memory_.unremembered_xid, c.oldest_xid);
    }
  }

  /// Moves the mark: every command of an older transaction is processed, or its session is kept as left over. Kept is
  /// what was pending already when the mark was due the last time, so that what is merely under way is not written
  /// down.
  result<void> settle() {
    if (!is_mark_due_) return {};
    std::vector<std::pair<const std::string, sweep_memory::pending_entry>*> stuck;
    for (auto& p : memory_.pending)
      if (!p.second.is_kept && p.second.oldest_xid < memory_.last_due_xid) stuck.push_back(&p);
    memory_.last_due_xid = seen_xmin_;
    if (stuck.size() > leftovers_kept_max) {
      const auto end = stuck.begin() + leftovers_kept_max;
      std::nth_element(stuck.begin(), end, stuck.end(),
                       [](const auto* a, const auto* b) { return a->second.oldest_xid < b->second.oldest_xid; });
      stuck.erase(end, stuck.end());
    }
    for (auto* p : stuck) p->second.is_kept = true;
    auto mark = std::min(seen_xmin_, memory_.unremembered_xid);
    for (const auto& [session, entry] : memory_.pending)
      if (!entry.is_kept) mark = std::min(mark, entry.oldest_xid);
    // Asynchronous: an older mark costs a longer first sweep and nothing else.
    auto settled = link_.exec("SET LOCAL synchronous_commit = off;" +
                              call("sweep_settle")
                                  .number(mark)
                                  .array(stuck, [](const auto* p) -> const std::string& { return p->first; })
                                  .text(memory_.checked_to)
                                  .str());
    // Another node may have been first.
    const bool is_done = settled && !(*settled)[0][0].is_null();
    if (is_done)
      memory_.checked_to = internal::string((*settled)[0][0]);
    else
      for (auto* p : stuck) p->second.is_kept = false;
    if (!settled) return tl::make_unexpected(settled.error());
    return {};
  }

  const std::int64_t turn_idle_ms_;
  internal::link link_;
  std::string held_node_;
  std::uint64_t held_generation_ = 0;
  std::uint64_t looked_generation_ = 0;
  int looks_ = 0;  ///< at the live nodes, on this connection
  std::map<std::string, int> unconnected_looks_;
  sweep_memory memory_;
  std::uint64_t swept_generation_ = 0;
  std::unordered_map<std::string, bool> looked_at_;  ///< by the scan of this sweep; whether anything was pending
  load_count load_;
  std::int64_t seen_xmin_ = 0;  ///< of the snapshot taken before the sweep's scan
  bool is_mark_due_ = false;
  bool was_found_called_ = false;
  std::size_t rows_scanned_ = 0;  ///< since the index was last summed up
  std::string cleanup_after_;
};

}  // namespace

std::unique_ptr<engine::node_store> make_node_store(store_config config) {
  return std::make_unique<node_store>(std::move(config));
}

}  // namespace rowcall::storage::postgres
