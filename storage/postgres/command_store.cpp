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
  explicit command_store(store_config config) : link_(std::move(config), {"command_submit", "submit_lock", "command_append_one", "submit_lock_many", "command_append", "command_retry_after", "command_flush"}) {}

  result<std::vector<submit_receipt>> submit(std::span<const command_request> batch, const visible_function& visible) override {
    if (batch.empty()) return std::vector<submit_receipt>{};
    link_.drop_if_ended();
    if (batch.size() == 1 && !batch.front().idempotency_key) {
      auto receipt = submit_one(batch.front(), visible);
      if (!receipt) return tl::make_unexpected(receipt.error());
      if (*receipt) return std::vector<submit_receipt>{**receipt};
    }
    const bool has_keys =
        std::any_of(batch.begin(), batch.end(), [](const command_request& r) { return r.idempotency_key.has_value(); });
    if (batch.size() > 1 && !has_keys) {
      auto receipts = submit_to_known(batch);
      if (!receipts) return tl::make_unexpected(receipts.error());
      if (*receipts) return std::move(**receipts);
    }
    call c("command_submit");
    try {
      c.array(batch, [](const command_request& r) -> const std::string& { return r.session.str(); })
          .array(batch, [](const command_request& r) -> const std::string& { return r.type; })
          .array(batch, [](const command_request& r) -> const std::string& { return r.data; });
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
    for (std::size_t i = 0; i < batch.size(); ++i)
      if (receipts[i].kind == submit_receipt::outcome::stored) remember(batch[i].session.str(), receipts[i].seq.value);
    tell_when(batch, receipts);
    return receipts;
  }

 private:
  /// Adds to what was refused as busy when to try again. Best effort: the refusal stands without it.
  void tell_when(std::span<const command_request> batch, std::vector<submit_receipt>& receipts) {
    // What was too much when it was refused may have been served when this asks: 0, which would be no answer.
    constexpr std::chrono::milliseconds when_unknown{1'000}, wait_min{20};
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
            std::max(wait_min, std::chrono::milliseconds{internal::number(row[1])});
    for (std::size_t i = 0; i < receipts.size(); ++i)
      if (receipts[i].kind == submit_receipt::outcome::busy) receipts[i].retry_after = waits.at(batch[i].session.str());
  }

  /// One command of a known session in plain statements, without the cost of starting PL/pgSQL. They are one transaction
  /// because they are one message, and have a snapshot each. Nothing when the session is new.
  ///
  /// With `visible` its COMMIT does not wait for the disk, a second transaction behind it does: the log is written in order, so
  /// that one's COMMIT, like the COMMIT of the turn that serves the command, says that the command is durable too. Only without a
  /// key: who finds a key in the log is told that the command is stored (docs/decisions/0016).
  result<std::optional<submit_receipt>> submit_one(const command_request& r, const visible_function& visible) {
    std::string sql;
    try {
      if (visible) sql = "SET LOCAL synchronous_commit = off;";
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
    remember(r.session.str(), seq.value);
    submit_receipt receipt{submit_receipt::outcome::stored, seq,
                           std::make_shared<const command_row>(
                               command_row{seq, r.type, internal::string(row[1]), internal::time_us(row[2])})};
    if (visible) {
      visible({&receipt, 1});
      auto flushed = link_.exec(call("command_flush").str(), internal::on_loss::commit);
      if (!flushed) return tl::make_unexpected(in_doubt(std::move(flushed.error())));
    }
    return receipt;
  }

  /// Commands without keys of sessions that this store has submitted to before, in plain statements: numbered here, and
  /// each session's last command sought from where it was known to be. Nothing, and nothing is stored, when it is not as
  /// simple as that: then the function decides.
  result<std::optional<std::vector<submit_receipt>>> submit_to_known(std::span<const command_request> batch) {
    std::unordered_map<std::string_view, std::size_t> places;
    std::vector<const std::string*> sessions;
    std::vector<std::int64_t> known, counts;
    std::vector<std::pair<std::size_t, std::int64_t>> numbers;  // of each command: its session's place, its own in it
    for (const auto& r : batch) {
      const auto [place, is_new] = places.try_emplace(r.session.str(), sessions.size());
      if (is_new) {
        const auto last = last_.find(r.session.str());
        if (last == last_.end()) return std::nullopt;
        sessions.push_back(&r.session.str());
        known.push_back(last->second);
        counts.push_back(0);
      }
      numbers.emplace_back(place->second, ++counts[place->second]);
    }
    std::string sql;
    try {
      const auto name = [](const std::string* s) -> const std::string& { return *s; };
      call lock("submit_lock_many");
      lock.array(sessions, name).append_to(sql);
      call append("command_append");
      append.array(sessions, name)
          .array(known, [](std::int64_t seq) { return seq; })
          .array(numbers, [](const auto& n) { return n.first + 1; })
          .array(numbers, [](const auto& n) { return n.second; })
          .array(batch, [](const command_request& r) -> const std::string& { return r.session.str(); })
          .array(batch, [](const command_request& r) -> const std::string& { return r.type; })
          .array(batch, [](const command_request& r) -> const std::string& { return r.data; });
      sql += append.str();
    } catch (...) {
      return tl::make_unexpected(internal::current_error(internal::on_loss::nothing));
    }
    auto rows = link_.exec(sql, internal::on_loss::commit);
    if (!rows) return tl::make_unexpected(rows.error());
    if (rows->empty()) return std::nullopt;
    ROWCALL_ASSERT(static_cast<std::size_t>(rows->size()) == sessions.size());
    for (std::size_t i = 0; i < sessions.size(); ++i) {
      known[i] = internal::number((*rows)[static_cast<pqxx::result_size_type>(i)][0]);
      remember(*sessions[i], known[i] + counts[i]);
    }
    std::vector<submit_receipt> receipts(batch.size());
    for (std::size_t i = 0; i < batch.size(); ++i) {
      receipts[i].kind = submit_receipt::outcome::stored;
      receipts[i].seq = {known[numbers[i].first] + numbers[i].second};
    }
    return receipts;
  }

  /// The command is there, and whether it will stay is not known: whatever went wrong, it must not be stored a second time.
  static engine::error in_doubt(engine::error error) {
    error.code = errc::commit_in_doubt;
    error.message = "the command was stored, but it is not known to be durable: " + error.message;
    return error;
  }

  void remember(const std::string& session, std::int64_t seq) {
    if (last_.size() >= sessions_remembered_max) last_.clear();
    last_[session] = seq;
  }

  static constexpr std::size_t sessions_remembered_max = 100'000;

  internal::link link_;
  std::unordered_map<std::string, std::int64_t> last_;  ///< a session's last command, as far as this store knows
};

}  // namespace

std::unique_ptr<engine::command_store> make_command_store(store_config config) {
  return std::make_unique<command_store>(std::move(config));
}

}  // namespace rowcall::storage::postgres
