#include <charconv>

#include "storage/postgres/internal/call.hpp"
#include "storage/postgres/internal/letters.hpp"
#include "storage/postgres/internal/link.hpp"
#include "storage/postgres/internal/nodes.hpp"
#include "storage/postgres/internal/rows.hpp"
#include "storage/postgres/stores.hpp"

namespace rowcall::storage::postgres {
namespace {

using namespace engine;
using internal::call;
using std::chrono::milliseconds;

/// Commands, retries or dead letters that one query looks at, at most.
constexpr std::int64_t counted_rows_max = 10'000;
constexpr std::int64_t ranked_commands_max = 10'000;
constexpr std::int64_t letters_looked_at_max = 5'000;
/// Above this something is wrong, and asking again is better than waiting.
constexpr milliseconds statement_timeout_max{3'000};

std::vector<std::int64_t> numbers(std::string_view text) {
  std::vector<std::int64_t> out;
  for (const auto *at = text.data(), *end = text.data() + text.size(); at < end; ++at) {
    std::int64_t n = 0;
    at = std::from_chars(at, end, n).ptr;
    out.push_back(n);
  }
  return out;
}

console_node node_of(const pqxx::row& row, node_info info) {
  console_node n;
  n.info = std::move(info);
  n.turns_per_s = row[5].as<double>();
  n.commands_per_s = row[6].as<double>();
  n.is_alive = internal::text(row[7]) == "t";
  auto& t = n.totals;
  t.turns = internal::number(row[8]);
  t.commands = internal::number(row[9]);
  t.updates = internal::number(row[10]);
  t.retries = internal::number(row[11]);
  t.dead_letters = internal::number(row[12]);
  t.lost_wakes = internal::number(row[13]);
  t.wait_counts = numbers(internal::text(row[14]));
  t.turn_counts = numbers(internal::text(row[15]));
  for (const auto shard : numbers(internal::text(row[16]))) n.shards.push_back(static_cast<shard_index>(shard));
  return n;
}

logged_row logged_update(const pqxx::row& row) {
  return {internal::number(row[0]), internal::number(row[1]), internal::string(row[2]), internal::string(row[3]), {},
          internal::number(row[5]), internal::time_us(row[4])};
}

result<listed_letter> letter(const pqxx::row& row) {
  auto found = internal::dead_letter(row);
  if (!found) return tl::make_unexpected(found.error());
  return listed_letter{*std::move(found), {internal::number(row[8])}};
}

store_config bounded(store_config config) {
  config.statement_timeout = std::min(config.statement_timeout, statement_timeout_max);
  return config;
}

class console_store final : public engine::console_store {
 public:
  explicit console_store(store_config config)
      : link_(bounded(std::move(config)),
              {"console_counts", "console_nodes", "console_hottest", "console_stuck", "console_session",
               "console_updates_after", "console_updates_before", "console_commands", "console_snapshot",
               "console_retries", "console_letters", "console_letter"},
              // The BRIN index on command_log.xid is only of use to a bitmap scan. No compiled plans, no parallel
              // workers.
              "SET enable_bitmapscan = on; SET default_transaction_read_only = on; "
              "SET max_parallel_workers_per_gather = 0;") {}

  result<console_overview> overview() override {
    auto counts = link_.exec_alone(call("console_counts").number(counted_rows_max).str());
    if (!counts) return tl::make_unexpected(counts.error());
    const auto row = (*counts)[0];
    console_overview o;
    o.at = internal::time_us(row[0]);
    o.xid = internal::number(row[1]);
    o.pending_commands = internal::number(row[2]);
    o.pending_sessions = internal::number(row[3]);
    o.oldest_pending_age = milliseconds{internal::number(row[4])};
    o.pending_is_exact = internal::text(row[5]) == "t";
    o.retrying = internal::number(row[6]);
    o.dead = internal::number(row[7]);
    auto rows = link_.exec_alone(call("console_nodes").number(internal::node_dead_after_ms).str());
    if (!rows) return tl::make_unexpected(rows.error());
    auto infos = internal::nodes(*rows);
    for (std::size_t i = 0; i < infos.size(); ++i)
      o.nodes.push_back(node_of((*rows)[static_cast<pqxx::result::size_type>(i)], std::move(infos[i])));
    return o;
  }

  result<session_ranks> hottest(std::int64_t since_xid, std::size_t limit) override {
    return ranks(
        call("console_hottest").number(since_xid).number(ranked_commands_max).number(static_cast<std::int64_t>(limit)));
  }

  result<session_ranks> stuck(std::size_t limit) override {
    return ranks(call("console_stuck").number(ranked_commands_max).number(static_cast<std::int64_t>(limit)));
  }

  result<std::vector<held_command>> held(const std::string& after, const std::string& session_prefix,
                                         std::size_t limit) override {
    auto rows = link_.exec_alone(
        call("console_retries").text(after).text(session_prefix).number(static_cast<std::int64_t>(limit)).str());
    if (!rows) return tl::make_unexpected(rows.error());
    std::vector<held_command> out;
    for (const auto& row : *rows) {
      auto session = session_id::parse(internal::text(row[0]));
      if (!session) return tl::make_unexpected(session.error());
      out.push_back({*std::move(session),
                     {{internal::number(row[1])},
                      static_cast<int>(internal::number(row[2])),
                      internal::string(row[4]),
                      internal::string(row[5]),
                      milliseconds{internal::number(row[3])}},
                     internal::string(row[6]),
                     internal::time_us(row[7])});
    }
    return out;
  }

  result<session_head> head_of(const session_id& session) override {
    auto rows = link_.exec_alone(call("console_session").text(session.str()).str());
    if (!rows) return tl::make_unexpected(rows.error());
    if (rows->empty()) return fail(errc::not_found, "there is no session " + session.str());
    const auto row = (*rows)[0];
    session_head h;
    h.created_at = internal::time_us(row[0]);
    h.first_command = {internal::number(row[1])};
    h.last_command = {internal::number(row[2])};
    h.first_update = {internal::number(row[3])};
    h.last_update = {internal::number(row[4])};
    h.processed = {internal::number(row[5])};
    h.first_snapshot = {internal::number(row[6])};
    h.last_snapshot = {internal::number(row[7])};
    h.dead = internal::number(row[8]);
    if (internal::number(row[9]) > 0)
      h.retry = retry_row{{internal::number(row[9])},
                          static_cast<int>(internal::number(row[10])),
                          internal::string(row[12]),
                          internal::string(row[13]),
                          milliseconds{internal::number(row[11])}};
    return h;
  }

  result<std::vector<logged_row>> updates_after(const session_id& session, update_seq after, std::size_t limit,
                                                std::size_t data_bytes_max) override {
    return log("console_updates_after", session, after.value, limit, data_bytes_max);
  }
  result<std::vector<logged_row>> updates_before(const session_id& session, update_seq before, std::size_t limit,
                                                 std::size_t data_bytes_max) override {
    return log("console_updates_before", session, before.value, limit, data_bytes_max);
  }

  result<std::vector<logged_row>> commands_from(const session_id& session, command_seq first, std::size_t limit,
                                                std::size_t data_bytes_max) override {
    auto rows = link_.exec_alone(log_call("console_commands", session, first.value, limit, data_bytes_max));
    if (!rows) return tl::make_unexpected(rows.error());
    std::vector<logged_row> out;
    for (const auto& row : *rows)
      out.push_back({internal::number(row[0]), 0, internal::string(row[2]), internal::string(row[3]),
                     internal::string(row[1]), internal::number(row[5]), internal::time_us(row[4])});
    return out;
  }

  result<std::optional<snapshot_row>> snapshot_at(const session_id& session, update_seq seq) override {
    auto rows = link_.exec_alone(call("console_snapshot").text(session.str()).number(seq.value).str());
    if (!rows) return tl::make_unexpected(rows.error());
    if (rows->empty()) return std::optional<snapshot_row>{};
    const auto row = (*rows)[0];
    return snapshot_row{{internal::number(row[0])}, {internal::number(row[1])}, internal::string(row[2])};
  }

  result<letter_page> letters(const letter_filter& filter, const letter_place& below, std::size_t limit) override {
    auto rows = link_.exec_alone(call("console_letters")
                               .boolean(filter.with_resolved)
                               .number(below.failed_at.time_since_epoch().count())
                               .text(below.session)
                               .number(below.command)
                               .text(filter.session_prefix)
                               .text(filter.type)
                               .text(filter.error_part)
                               .number(letters_looked_at_max)
                               .number(static_cast<std::int64_t>(limit))
                               .str());
    if (!rows) return tl::make_unexpected(rows.error());
    letter_page page;
    const auto place_of = [](const pqxx::row& row) {
      return letter_place{internal::time_us(row[6]), internal::string(row[0]), internal::number(row[1])};
    };
    for (const auto& row : *rows) {
      if (internal::text(row[9]) == "f") {
        page.next = place_of(row);
        continue;
      }
      auto l = letter(row);
      if (!l) return tl::make_unexpected(l.error());
      page.letters.push_back(*std::move(l));
      if (page.letters.size() == limit) page.next = place_of(row);
    }
    return page;
  }

  result<listed_letter> letter_of(const session_id& session, command_seq command) override {
    auto rows = link_.exec_alone(call("console_letter").text(session.str()).number(command.value).str());
    if (!rows) return tl::make_unexpected(rows.error());
    if (rows->empty())
      return fail(errc::not_found, "there is no dead letter " + session.str() + "/" + std::to_string(command.value));
    return letter((*rows)[0]);
  }

 private:
  result<session_ranks> ranks(call query) {
    auto rows = link_.exec_alone(query.str());
    if (!rows) return tl::make_unexpected(rows.error());
    session_ranks out;
    for (const auto& row : *rows) {
      auto session = session_id::parse(internal::text(row[0]));
      if (!session) return tl::make_unexpected(session.error());
      out.sessions.push_back({*std::move(session),
                              internal::number(row[1]),
                              internal::number(row[2]),
                              milliseconds{internal::number(row[3])},
                              {internal::number(row[4])},
                              static_cast<int>(internal::number(row[5])),
                              internal::string(row[6])});
      out.is_complete = internal::number(row[7]) < ranked_commands_max;
    }
    return out;
  }

  static std::string log_call(std::string_view query, const session_id& session, std::int64_t from, std::size_t limit,
                              std::size_t data_bytes_max) {
    return call(query)
        .text(session.str())
        .number(from)
        .number(static_cast<std::int64_t>(limit))
        .number(static_cast<std::int64_t>(data_bytes_max))
        .str();
  }
  result<std::vector<logged_row>> log(std::string_view query, const session_id& session, std::int64_t from,
                                      std::size_t limit, std::size_t data_bytes_max) {
    auto rows = link_.exec_alone(log_call(query, session, from, limit, data_bytes_max));
    if (!rows) return tl::make_unexpected(rows.error());
    std::vector<logged_row> out;
    for (const auto& row : *rows) out.push_back(logged_update(row));
    return out;
  }

  internal::link link_;
};

}  // namespace

std::unique_ptr<engine::console_store> make_console_store(store_config config) {
  return std::make_unique<console_store>(std::move(config));
}

}  // namespace rowcall::storage::postgres
