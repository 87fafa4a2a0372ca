#include "storage/postgres/internal/call.hpp"
#include "storage/postgres/internal/link.hpp"
#include "storage/postgres/internal/rows.hpp"
#include "storage/postgres/stores.hpp"

namespace rowcall::storage::postgres {
namespace {

using namespace engine;
using internal::call;

/// The queries read from `after` on. The last update of a session is never removed, so a hole can only be at the front, and
/// nothing at all means that the log ends before `after`.
void settle(update_page& page, update_seq after, std::size_t limit) {
  if (page.updates.empty()) {
    page.is_ahead = after.value > 0;
    return;
  }
  if (page.updates.front().seq == after) page.updates.erase(page.updates.begin());
  if (page.updates.size() > limit) page.updates.resize(limit);
  if (page.updates.empty() || page.updates.front().seq == after.next()) return;
  page.gone = true;
  page.updates.clear();
}

class update_store final : public engine::update_store {
 public:
  explicit update_store(store_config config)
      : link_(std::move(config), {"update_after", "update_after_many", "update_last", "update_of", "snapshot_last", "incarnation_get"}) {}

  result<update_page> updates_after(const session_id& session, update_seq after, std::size_t limit) override {
    auto rows = exec(call("update_after").text(session.str()).number(after.value).number(static_cast<std::int64_t>(limit)));
    if (!rows) return tl::make_unexpected(rows.error());
    update_page page;
    page.updates.reserve(static_cast<std::size_t>(rows->size()));
    for (const auto& row : *rows) page.updates.push_back(internal::update_row(row, 0));
    settle(page, after, limit);
    return page;
  }

  result<std::vector<update_page>> updates_after(std::span<const follow_position> positions, std::size_t limit) override {
    std::vector<update_page> pages(positions.size());
    if (positions.empty()) return pages;
    auto rows = exec(call("update_after_many")
                         .array(positions, [](const follow_position& p) -> const std::string& { return p.session.str(); })
                         .array(positions, [](const follow_position& p) { return p.after.value; })
                         .number(static_cast<std::int64_t>(limit)));
    if (!rows) return tl::make_unexpected(rows.error());
    for (const auto& row : *rows)
      pages.at(static_cast<std::size_t>(internal::number(row[0]) - 1)).updates.push_back(internal::update_row(row, 1));
    for (std::size_t i = 0; i < pages.size(); ++i) settle(pages[i], positions[i].after, limit);
    return pages;
  }

  result<std::optional<snapshot_row>> snapshot(const session_id& session) override {
    auto rows = exec(call("snapshot_last").text(session.str()));
    if (!rows) return tl::make_unexpected(rows.error());
    if (rows->empty()) return std::optional<snapshot_row>{};
    const auto row = (*rows)[0];
    return snapshot_row{{internal::number(row[0])}, {internal::number(row[1])}, internal::string(row[2])};
  }

  result<session_cursor> last(const session_id& session) override {
    auto rows = exec(call("update_last").text(session.str()));
    if (!rows) return tl::make_unexpected(rows.error());
    if (rows->empty()) return session_cursor{};
    return session_cursor{{internal::number((*rows)[0][0])}, {internal::number((*rows)[0][1])}};
  }

  result<receipt> receipt_of(const session_id& session, command_seq command) override {
    auto rows = exec(call("update_of").text(session.str()).number(command.value));
    if (!rows) return tl::make_unexpected(rows.error());
    receipt out;
    for (const auto& row : *rows) out.updates.push_back(internal::update_row(row, 0));
    return out;
  }

  result<std::string> incarnation() override {
    auto rows = link_.exec_alone(call("incarnation_get").str());
    if (!rows) return tl::make_unexpected(rows.error());
    if (rows->empty()) return fail(errc::internal, "rowcall.incarnation has no row");
    return internal::string((*rows)[0][0]);
  }

 private:
  result<pqxx::result> exec(call& c) { return link_.exec_alone(c.str()); }
  internal::link link_;
};

}  // namespace

std::unique_ptr<engine::update_store> make_update_store(store_config config) {
  return std::make_unique<update_store>(std::move(config));
}

}  // namespace rowcall::storage::postgres
