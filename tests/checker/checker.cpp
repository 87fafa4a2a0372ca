#include "tests/checker/checker.hpp"

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <iterator>
#include <set>
#include <utility>

namespace rowcall::checker {
namespace {

class examiner {
 public:
  explicit examiner(const history& h) : h_(h) {
    for (const auto& [session, log] : h.logs)
      for (const auto& c : log.commands) seqs_[{session, c.data}].push_back(c.seq);
  }

  std::vector<violation> run() {
    examine_submits();
    examine_sends();
    for (const auto& [session, log] : h_.logs) {
      examine_commands(session, log);
      examine_updates(session, log);
    }
    for (const auto& f : h_.followers) examine_follower(f);
    for (const auto& t : h_.tables) examine_table(t);
    return std::move(found_);
  }

 private:
  using row_key = std::pair<std::string, std::string>;  // session, data

  void broken(rule r, std::string text) { found_.push_back({r, std::move(text)}); }

  const std::vector<std::int64_t>& rows_of(const std::string& session, const std::string& data) const {
    static const std::vector<std::int64_t> nothing;
    const auto rows = seqs_.find({session, data});
    return rows == seqs_.end() ? nothing : rows->second;
  }

  void examine_submits() {
    std::map<std::pair<std::string, std::string>, std::int64_t> last;  // client, session -> seq
    for (const auto& s : h_.submits) {
      known_.insert({s.session, s.data});
      const auto& rows = rows_of(s.session, s.data);
      const auto text = s.client + " to " + s.session + " " + s.data + ": " + std::to_string(rows.size()) + " rows";
      switch (s.result) {
        case outcome::acknowledged:
          if (rows.size() != 1)
            broken(rule::acknowledged_once, text);
          else if (rows.front() != s.seq)
            broken(rule::acknowledged_once, text + ", acknowledged as " + std::to_string(s.seq) + ", stored as " +
                                                std::to_string(rows.front()));
          break;
        case outcome::unknown:
          if (rows.size() > 1) broken(rule::unknown_at_most_once, text);
          break;
        case outcome::refused:
          if (!rows.empty()) broken(rule::refused_never, text);
          break;
      }
      if (rows.empty()) continue;
      auto& before = last[{s.client, s.session}];
      if (rows.front() <= before)
        broken(rule::submit_order, text + ", seq " + std::to_string(rows.front()) + " after " + std::to_string(before));
      before = std::max(before, rows.front());
    }
  }

  void examine_sends() {
    for (const auto& s : h_.sends) {
      known_.insert({s.target, s.data});
      const auto count = rows_of(s.target, s.data).size();
      if (count != 1)
        broken(rule::sent_once, s.source + " to " + s.target + " " + s.data + ": " + std::to_string(count) + " rows");
    }
  }

  void examine_commands(const std::string& session, const session_log& log) {
    std::int64_t expected = 1;
    for (const auto& c : log.commands) {
      if (c.seq != expected)
        broken(rule::command_seq_gapless, session + ": command " + std::to_string(c.seq) + " where " +
                                              std::to_string(expected) + " was expected");
      expected = c.seq + 1;
      if (!known_.contains({session, c.data}))
        broken(rule::no_stranger, session + "/" + std::to_string(c.seq) + " " + c.data);
    }
  }

  void examine_updates(const std::string& session, const session_log& log) {
    std::int64_t expected = 1;
    std::int64_t command = 0;
    std::set<std::int64_t> answered;
    std::set<std::int64_t> there;
    for (const auto& c : log.commands) there.insert(c.seq);
    for (const auto& u : log.updates) {
      const auto text = session + ": update " + std::to_string(u.seq) + " of command " + std::to_string(u.command_seq);
      if (u.seq != expected) broken(rule::update_seq_gapless, text + " where " + std::to_string(expected) + " was expected");
      expected = u.seq + 1;
      if (u.command_seq == command) continue;
      if (answered.contains(u.command_seq))
        broken(rule::receipt_once, text + ": it had its receipt before");
      else if (u.command_seq != command + 1)
        broken(rule::receipts_in_order, text + " follows command " + std::to_string(command));
      else if (!there.contains(u.command_seq))
        broken(rule::receipts_in_order, text + ", which is not in the log");
      command = u.command_seq;
      answered.insert(command);
    }
    const auto last = log.commands.empty() ? 0 : log.commands.back().seq;
    const auto processed = log.updates.empty() ? 0 : log.updates.back().command_seq;
    if (processed < last)
      broken(rule::nothing_pending, session + ": " + std::to_string(processed) + " of " + std::to_string(last));
    for (const auto& c : log.commands) {
      const std::string_view status = log.dead.contains(c.seq) ? "dead" : c.seq <= processed ? "processed" : "pending";
      const bool is_true = c.status.empty() || c.status == status || (status == "pending" && c.status == "retrying");
      if (!is_true)
        broken(rule::status_is_true, session + "/" + std::to_string(c.seq) + " is " + std::string(status) + ", told as " + c.status);
    }
  }

  void examine_table(const table& t) {
    std::vector<std::string> only_stored, only_folded;
    std::set_difference(t.stored.begin(), t.stored.end(), t.folded.begin(), t.folded.end(), std::back_inserter(only_stored));
    std::set_difference(t.folded.begin(), t.folded.end(), t.stored.begin(), t.stored.end(), std::back_inserter(only_folded));
    for (const auto& row : only_stored) broken(rule::table_is_fold, t.name + " has a row that no update tells: " + row);
    for (const auto& row : only_folded) broken(rule::table_is_fold, t.name + " misses a row: " + row);
  }

  void examine_follower(const followed& f) {
    static const session_log nothing;
    const auto found = h_.logs.find(f.session);
    const auto& log = found == h_.logs.end() ? nothing : found->second;
    std::vector<update> expected;
    std::copy_if(log.updates.begin(), log.updates.end(), std::back_inserter(expected),
                 [&](const update& u) { return u.seq > f.after; });
    if (f.has_left && f.seen.size() < expected.size()) expected.resize(f.seen.size());
    if (expected == f.seen) return;
    const auto at = std::mismatch(expected.begin(), expected.end(), f.seen.begin(), f.seen.end());
    broken(rule::followed_is_log, f.follower + " of " + f.session + " saw " + std::to_string(f.seen.size()) + " of " +
                                      std::to_string(expected.size()) + " updates, equal up to " +
                                      std::to_string(f.after + (at.first - expected.begin())) + around(f, at.second));
  }

  /// When the last update that is right was seen, and what came in place of the next one.
  static std::string around(const followed& f, std::vector<update>::const_iterator wrong) {
    std::string text;
    if (wrong != f.seen.begin() && std::prev(wrong)->seen_at) text += ", seen at " + to_text(*std::prev(wrong)->seen_at);
    if (wrong == f.seen.end()) return text + ", then nothing";
    text += ", then " + std::to_string(wrong->seq) + ' ' + wrong->type;
    return wrong->seen_at ? text + " at " + to_text(*wrong->seen_at) : text;
  }

  static std::string to_text(std::chrono::system_clock::time_point t) {
    const auto whole = std::chrono::floor<std::chrono::seconds>(t);
    const auto seconds = std::chrono::system_clock::to_time_t(whole);
    std::tm utc{};
    gmtime_r(&seconds, &utc);
    char date[32], text[48];
    std::strftime(date, sizeof date, "%F %T", &utc);
    std::snprintf(text, sizeof text, "%s.%03d UTC", date,
                  static_cast<int>(std::chrono::floor<std::chrono::milliseconds>(t - whole).count()));
    return text;
  }

  const history& h_;
  std::map<row_key, std::vector<std::int64_t>> seqs_;
  std::set<row_key> known_;
  std::vector<violation> found_;
};

}  // namespace

std::string_view to_string(rule r) {
  switch (r) {
    case rule::acknowledged_once: return "acknowledged_once";
    case rule::unknown_at_most_once: return "unknown_at_most_once";
    case rule::refused_never: return "refused_never";
    case rule::sent_once: return "sent_once";
    case rule::no_stranger: return "no_stranger";
    case rule::receipt_once: return "receipt_once";
    case rule::submit_order: return "submit_order";
    case rule::command_seq_gapless: return "command_seq_gapless";
    case rule::update_seq_gapless: return "update_seq_gapless";
    case rule::receipts_in_order: return "receipts_in_order";
    case rule::followed_is_log: return "followed_is_log";
    case rule::nothing_pending: return "nothing_pending";
    case rule::status_is_true: return "status_is_true";
    case rule::table_is_fold: return "table_is_fold";
  }
  return "?";
}

std::optional<rule> rule_from(std::string_view name) {
  for (int r = 0; r <= static_cast<int>(rule::table_is_fold); ++r)
    if (to_string(static_cast<rule>(r)) == name) return static_cast<rule>(r);
  return std::nullopt;
}

std::vector<violation> check(const history& h) { return examiner{h}.run(); }

}  // namespace rowcall::checker
