#include "tests/simulation/ledger.hpp"

namespace rowcall::simulation {

std::int64_t n_of(const std::string& data) { return std::stoll(data.substr(data.find(':') + 1)); }

std::vector<std::string> compare_with_model(const storage::memory::session_dump& session, std::uint64_t attempts_cut_short) {
  std::vector<std::string> wrong;
  std::map<std::int64_t, std::vector<const engine::update_row*>> receipts;
  for (const auto& u : session.updates) receipts[u.command.value].push_back(&u);
  std::int64_t count = 0, sum = 0;
  for (const auto& [row, key] : session.commands) {
    const auto& got = receipts[row.seq.value];
    if (got.empty()) continue;  // pending: the checker's business
    const auto where = session.session.str() + "/" + std::to_string(row.seq.value) + " " + row.type + ": ";
    if (got.front()->type == engine::update_type::command_failed) {
      if (got.size() != 1) wrong.push_back(where + "updates besides command_failed");
      // Attempts that nodes begin and do not end are counted; what is not to blame may be given up for them (docs/testing.md).
      if (row.type != "spoil" && row.type != "die" && attempts_cut_short < static_cast<std::uint64_t>(attempts_max))
        wrong.push_back(where + "was given up: " + got.front()->data);
      continue;
    }
    std::vector<std::pair<std::string, std::string>> expected;
    const auto n = n_of(row.data);
    if (row.type == "add" || row.type == "pair") expected.emplace_back("added", ledger::added(n, ++count, sum += n));
    if (row.type == "pair") expected.emplace_back("noted", ledger::number(n));
    if (row.type == "forward") expected.emplace_back("sent", ledger::number(n));
    if (row.type == "refuse") expected.emplace_back(engine::update_type::command_rejected, "");
    if (row.type == "spoil" || row.type == "die") wrong.push_back(where + "was processed");
    if (got.size() != expected.size()) wrong.push_back(where + std::to_string(got.size()) + " updates");
    for (std::size_t i = 0; i < std::min(got.size(), expected.size()); ++i)
      if (got[i]->type != expected[i].first || (!expected[i].second.empty() && got[i]->data != expected[i].second))
        wrong.push_back(where + got[i]->type + " " + got[i]->data + ", expected " + expected[i].first + " " + expected[i].second);
  }
  return wrong;
}

}  // namespace rowcall::simulation
