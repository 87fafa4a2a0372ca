#include "tests/operations/observed_history.hpp"

#include <algorithm>

#include "tests/checker/checker.hpp"
#include "tests/support/eventually.hpp"

namespace rowcall::operations {
namespace {

using namespace std::chrono_literals;

constexpr int commands_of_a_batch = 20;
constexpr std::size_t commands_max = 50'000;  // whatever a test does, it ends

std::string session_name(int n) { return "echo-" + std::to_string(n); }

/// jsonb prints a space after a colon; ours has none.
std::string numbered(std::size_t n) { return "{\"n\": " + std::to_string(n) + "}"; }

}  // namespace

steady_load::steady_load(const e2e::deployment& d, int sessions)
    : d_(d),
      sessions_(sessions),
      bus_(d.connect()),
      recorder_(std::make_unique<e2e::recorder>(d, *bus_)),
      submitter_(e2e::make_submitter(d, *bus_)) {
  for (int s = 0; s < sessions_; ++s) recorder_->follow(e2e::id(session_name(s)));
  thread_ = std::thread([this] { run(); });
}

steady_load::~steady_load() {
  is_stopping_ = true;
  if (thread_.joinable()) thread_.join();
}

void steady_load::run() {
  for (std::size_t n = 0; !is_stopping_ && n < commands_max;) {
    std::vector<engine::command_request> batch;
    const auto first = submits_.size();
    for (int i = 0; i < commands_of_a_batch; ++i, ++n) {
      const auto session = session_name(static_cast<int>(n) % sessions_);
      batch.push_back({e2e::id(session), "say", numbered(n), "key-" + std::to_string(n)});
      submits_.push_back({"client", session, "say", numbered(n), checker::outcome::unknown, 0});
    }
    const auto outcomes = submitter_->submit(std::move(batch));
    for (std::size_t i = 0; i < outcomes.size(); ++i) {
      auto& s = submits_[first + i];
      if (!outcomes[i]) continue;
      s.result = checker::outcome::acknowledged;
      s.seq = outcomes[i]->seq.value;
      ++acknowledged_;
    }
  }
}

bool steady_load::goes_on(std::size_t more) {
  const auto target = acknowledged_ + more;
  return support::eventually(30s, [&] { return acknowledged_ >= target; });
}

checker::history steady_load::finish() {
  is_stopping_ = true;
  if (thread_.joinable()) thread_.join();
  static_cast<void>(e2e::drained(d_));
  checker::history h;
  h.submits = submits_;
  for (int s = 0; s < sessions_; ++s) {
    const auto session = session_name(s);
    auto& log = h.logs[session];
    for (const auto& row :
         d_.sql("SELECT seq, type, data FROM rowcall.command_log WHERE session_id = '" + session + "' ORDER BY seq"))
      log.commands.push_back({std::stoll(row[0]), row[1], row[2]});
    for (const auto& row : d_.sql("SELECT seq, command_seq, type, data FROM rowcall.update_log WHERE session_id = '" +
                                  session + "' ORDER BY seq"))
      log.updates.push_back({std::stoll(row[0]), std::stoll(row[1]), row[2], row[3]});
    static_cast<void>(recorder_->wait_for(e2e::id(session), log.updates.size()));
    checker::followed f{"follower", session, 0, {}, false};
    for (const auto& u : recorder_->seen(e2e::id(session))) {
      // A notice carries the module's own text, the log what jsonb makes of it.
      auto data = u.data;
      if (data.find(": ") == std::string::npos) data = "{\"n\": " + data.substr(data.find(':') + 1);
      f.seen.push_back({u.seq.value, u.command.value, u.type, data});
    }
    h.followers.push_back(std::move(f));
  }
  return h;
}

std::string breaches(const checker::history& h) {
  std::string out;
  for (const auto& v : checker::check(h)) out += std::string{checker::to_string(v.broken)} + ": " + v.text + "\n";
  return out;
}

}  // namespace rowcall::operations
