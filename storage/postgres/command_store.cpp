#include <algorithm>
#include <chrono>
#include <optional>
#include <string_view>
#include <unordered_map>

#include "storage/postgres/internal/call.hpp"
#include "storage/postgres/internal/link.hpp"
#include "storage/postgres/internal/rows.hpp"
#include "storage/postgres/stores.hpp"

namespace rowcall::storage::postgres {
namespace {

using namespace engine;
using internal::call;

class command_store final : public engine::command_store {
 public:
  explicit command_store(store_config config) : link_(std::move(config), {"command_submit", "submit_lock", "command_append_one", "command_retry_after"}) {}

  result<std::vector<submit_receipt>> submit(std::span<const command_request> batch) override {
    if (batch.empty()) return std::vector<submit_receipt>{};
    if (batch.size() == 1 && !batch.front().idempotency_key) {
      auto receipt = submit_one(batch.front());
      if (!receipt) return tl::make_unexpected(receipt.error());
      if (*receipt) return std::vector<submit_receipt>{**receipt};
    }
    call c("command_submit");
    try {
      c.array(batch, [](const command_request& r) -> const std::string& { return r.session.str(); })
          .array(batch, [](const command_request& r) -> const std::string& { return r.type; })
          .array(batch, [](const command_request& r) -> const std::string& { return r.data; });
      const bool has_keys =
          std::any_of(batch.begin(), batch.end(), [](const command_request& r) { return r.idempotency_key.has_value(); });
      if (has_keys)
        c.array(batch, [](const command_request& r) -> const std::optional<std::string>& { return r.idempotency_key; });
      else
        c.null();
    } catch (...) {
      return tl::make_unexpected(internal::current_error(internal::on_loss::nothing));
    }
    // One statement outside of a transaction block: its end is its COMMIT, so a loss leaves it in doubt.
    auto rows = link_.exec(c.str(), internal::on_loss::commit);
    if (!rows) return tl::make_unexpected(rows.error());
    std::vector<submit_receipt> receipts(batch.size());
    ROWCALL_ASSERT(static_cast<std::size_t>(rows->size()) == batch.size());
    for (const auto& row : *rows) {
      auto& receipt = receipts.at(static_cast<std::size_t>(internal::number(row[0]) - 1));
      receipt.seq = {internal::number(row[1])};
      const auto outcome = internal::text(row[2]);
      receipt.kind = outcome == "stored"      ? submit_receipt::outcome::stored
                     : outcome == "duplicate" ? submit_receipt::outcome::duplicate
                     : outcome == "busy"      ? submit_receipt::outcome::busy
                                              : submit_receipt::outcome::unknown_kind;
    }
    tell_when(batch, receipts);
    return receipts;
  }

 private:
  /// Adds to what was refused as busy when to try again. Best effort: the refusal stands without it.
  void tell_when(std::span<const command_request> batch, std::vector<submit_receipt>& receipts) {
    constexpr std::chrono::milliseconds when_unknown{1'000};
    std::unordered_map<std::string_view, std::chrono::milliseconds> waits;
    std::vector<const std::string*> sessions;
    for (std::size_t i = 0; i < receipts.size(); ++i)
      if (receipts[i].kind == submit_receipt::outcome::busy && waits.emplace(batch[i].session.str(), when_unknown).second)
        sessions.push_back(&batch[i].session.str());
    if (sessions.empty()) return;
    const auto rows = link_.exec(
        call("command_retry_after").array(sessions, [](const std::string* s) -> const std::string& { return *s; }).str());
    if (rows)
      for (const auto& row : *rows)
        waits[*sessions.at(static_cast<std::size_t>(internal::number(row[0]) - 1))] =
            std::chrono::milliseconds{internal::number(row[1])};
    for (std::size_t i = 0; i < receipts.size(); ++i)
      if (receipts[i].kind == submit_receipt::outcome::busy) receipts[i].retry_after = waits.at(batch[i].session.str());
  }

  /// One command of a known session in plain statements, without the cost of starting PL/pgSQL. They are one transaction
  /// because they are one message, and have a snapshot each. Nothing when the session is new.
  result<std::optional<submit_receipt>> submit_one(const command_request& r) {
    std::string sql;
    try {
      call lock("submit_lock");
      lock.text(r.session.str());
      lock.append_to(sql);
      call append("command_append_one");
      append.text(r.session.str()).text(r.type).text(r.data);
      sql += append.str();
    } catch (...) {
      return tl::make_unexpected(internal::current_error(internal::on_loss::nothing));
    }
    auto rows = link_.exec(sql, internal::on_loss::commit);
    if (!rows) return tl::make_unexpected(rows.error());
    if (rows->empty()) return std::nullopt;
    const auto& row = (*rows)[0];
    const engine::command_seq seq{internal::number(row[0])};
    return submit_receipt{submit_receipt::outcome::stored, seq,
                          std::make_shared<const command_row>(
                              command_row{seq, r.type, internal::string(row[1]), internal::time_us(row[2])})};
  }

  internal::link link_;
};

}  // namespace

std::unique_ptr<engine::command_store> make_command_store(store_config config) {
  return std::make_unique<command_store>(std::move(config));
}

}  // namespace rowcall::storage::postgres
