#include "tests/e2e/witness.hpp"

#include <map>

#include "tests/checker/checker.hpp"

namespace rowcall::e2e {
namespace {

/// jsonb prints a space after a colon; ours has none.
std::string numbered(std::size_t n) { return "{\"n\": " + std::to_string(n) + "}"; }

/// Whether nothing can have been stored.
checker::outcome outcome_of(const client::submitter::outcome& o) {
  using kind = engine::submit_receipt::outcome;
  if (!o) return checker::outcome::unknown;
  return o->kind == kind::stored || o->kind == kind::duplicate ? checker::outcome::acknowledged : checker::outcome::refused;
}

}  // namespace

void witness::follow(const std::string& session) {
  if (!recorder_) recorder_ = std::make_unique<recorder>(d_, bus_);
  if (followed_.insert(session).second) recorder_->follow(id(session));
}

std::vector<client::submitter::outcome> witness::submit(client::submitter& submitter,
                                                        std::vector<engine::command_request> batch) {
  const auto first = submits_.size();
  for (auto& request : batch) {
    request.data = numbered(submits_.size());
    submits_.push_back({"client", request.session.str(), request.type, request.data, checker::outcome::unknown, 0});
  }
  auto outcomes = submitter.submit(std::move(batch));
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    auto& s = submits_[first + i];
    s.result = outcome_of(outcomes[i]);
    if (s.result == checker::outcome::acknowledged) s.seq = outcomes[i]->seq.value;
  }
  return outcomes;
}

checker::history witness::finish() {
  static_cast<void>(drained(d_));
  checker::history h;
  h.submits = submits_;
  std::map<std::string, std::string> status;
  for (const auto& row : d_.sql("SELECT command_id, status FROM rowcall.commands")) status[row[0]] = row[1];
  for (const auto& row : d_.sql("SELECT session_id, seq, type, data FROM rowcall.command_log ORDER BY 1, 2")) {
    const auto told = status.find(row[0] + "/" + row[1]);
    h.logs[row[0]].commands.push_back(
        {std::stoll(row[1]), row[2], row[3], told == status.end() ? "missing" : told->second});
  }
  for (const auto& row : d_.sql("SELECT session_id, seq, command_seq, type, data FROM rowcall.update_log ORDER BY 1, 2"))
    h.logs[row[0]].updates.push_back({std::stoll(row[1]), std::stoll(row[2]), row[3], row[4]});
  for (const auto& row : d_.sql("SELECT session_id, command_seq FROM rowcall.dead_letters"))
    h.logs[row[0]].dead.insert(std::stoll(row[1]));
  for (const auto& session : followed_) {
    static_cast<void>(recorder_->wait_for(id(session), h.logs[session].updates.size()));
    checker::followed f{"follower", session, 0, {}, false};
    const auto times = recorder_->seen_at(id(session));
    for (const auto& u : recorder_->seen(id(session))) {
      // A notice carries the module's own text, the log what jsonb makes of it.
      auto data = u.data;
      if (data.find(": ") == std::string::npos) data = "{\"n\": " + data.substr(data.find(':') + 1);
      f.seen.push_back({u.seq.value, u.command.value, u.type, data, times.at(f.seen.size())});
    }
    h.followers.push_back(std::move(f));
  }
  return h;
}

std::string witness::breaches() { return e2e::breaches(finish()); }

std::string breaches(const checker::history& h) {
  std::string out;
  for (const auto& v : checker::check(h)) out += std::string{checker::to_string(v.broken)} + ": " + v.text + "\n";
  return out;
}

}  // namespace rowcall::e2e
