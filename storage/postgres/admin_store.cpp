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

/// Rows that a status reads at most of each growing table.
constexpr std::int64_t status_rows_max = 200'000;
constexpr auto names_max = static_cast<std::int64_t>(status_names_max);

class admin_store final : public engine::admin_store {
 public:
  explicit admin_store(store_config config)
      : link_(std::move(config),
              {"status_counts", "status_retrying", "kind_list", "node_live", "dead_letter_list", "dead_letter_get",
               "dead_letter_redrive", "dead_letter_drop"},
              // The BRIN index on command_log.xid is only of use to a bitmap scan: without it the whole log would be
              // read.
              "SET enable_bitmapscan = on;") {}

  result<status_report> status() override {
    auto rows = link_.exec_alone(call("status_counts").number(status_rows_max).number(names_max).str());
    if (!rows) return tl::make_unexpected(rows.error());
    const auto row = (*rows)[0];
    status_report report;
    report.sessions = internal::number(row[0]);
    report.pending_commands = internal::number(row[1]);
    report.pending_sessions = internal::number(row[2]);
    report.retrying = internal::number(row[3]);
    report.dead = internal::number(row[4]);
    report.unserved_commands = internal::number(row[5]);
    report.unserved_kinds = internal::kinds(internal::text(row[6]));
    report.oldest_pending_age = std::chrono::milliseconds{internal::number(row[7])};
    report.pending_is_exact = internal::text(row[8]) == "t";
    report.schema_version = static_cast<int>(internal::number(row[9]));
    if (report.retrying > 0)
      if (auto named = name_retrying(report); !named) return tl::make_unexpected(named.error());
    auto live = link_.exec_alone(call("node_live").number(internal::node_dead_after_ms).text("").str());
    if (!live) return tl::make_unexpected(live.error());
    report.nodes = internal::nodes(*live);
    for (const auto& node : *live) {
      report.turns_per_s += node[5].as<double>();
      report.commands_per_s += node[6].as<double>();
    }
    return report;
  }

  result<std::vector<std::string>> kinds() override {
    auto rows = link_.exec_alone(call("kind_list").str());
    if (!rows) return tl::make_unexpected(rows.error());
    std::vector<std::string> out;
    for (const auto& row : *rows) out.push_back(internal::string(row[0]));
    return out;
  }

  result<std::vector<dead_letter>> dead_letters(std::size_t limit, bool with_resolved) override {
    auto rows = link_.exec_alone(call("dead_letter_list").number(static_cast<std::int64_t>(limit)).boolean(with_resolved).str());
    if (!rows) return tl::make_unexpected(rows.error());
    std::vector<dead_letter> out;
    for (const auto& row : *rows) {
      auto l = internal::dead_letter(row);
      if (!l) return tl::make_unexpected(l.error());
      out.push_back(*std::move(l));
    }
    return out;
  }

  result<dead_letter> dead_letter_of(const session_id& session, command_seq command) override {
    auto rows = link_.exec_alone(call("dead_letter_get").text(session.str()).number(command.value).str());
    if (!rows) return tl::make_unexpected(rows.error());
    if (rows->empty())
      return fail(errc::not_found, "there is no dead letter " + session.str() + "/" + std::to_string(command.value));
    return internal::dead_letter((*rows)[0]);
  }

  result<command_seq> redrive(const session_id& session, command_seq command) override {
    auto rows = link_.exec_alone(call("dead_letter_redrive").text(session.str()).number(command.value).str(), internal::on_loss::commit);
    if (!rows) return tl::make_unexpected(rows.error());
    return command_seq{internal::number((*rows)[0][0])};
  }

  result<void> drop(const session_id& session, command_seq command) override {
    auto rows = link_.exec_alone(call("dead_letter_drop").text(session.str()).number(command.value).str(), internal::on_loss::commit);
    if (!rows) return tl::make_unexpected(rows.error());
    return {};
  }

 private:
  result<void> name_retrying(status_report& report) {
    auto rows = link_.exec_alone(call("status_retrying").number(names_max).str());
    if (!rows) return tl::make_unexpected(rows.error());
    for (const auto& row : *rows) {
      auto session = session_id::parse(internal::text(row[0]));
      if (!session) return tl::make_unexpected(session.error());
      report.retrying_sessions.push_back({*std::move(session),
                                          {{internal::number(row[1])},
                                           static_cast<int>(internal::number(row[2])),
                                           internal::string(row[3]),
                                           internal::string(row[4]),
                                           std::chrono::milliseconds{internal::number(row[5])}}});
    }
    return {};
  }

  internal::link link_;
};

}  // namespace

std::unique_ptr<engine::admin_store> make_admin_store(store_config config) {
  return std::make_unique<admin_store>(std::move(config));
}

}  // namespace rowcall::storage::postgres
