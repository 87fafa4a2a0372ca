#include <algorithm>
#include <limits>
#include <optional>

#include "storage/postgres/internal/call.hpp"
#include "storage/postgres/internal/link.hpp"
#include "storage/postgres/internal/rows.hpp"
#include "storage/postgres/internal/turn_writes.hpp"
#include "storage/postgres/stores.hpp"

namespace rowcall::storage::postgres {
namespace {

using namespace engine;
using internal::call;

/// `{1,2,3}` as numbers; nothing for NULL.
std::vector<shard_index> shards(const pqxx::field& f) {
  std::vector<shard_index> out;
  const char* at = f.c_str();
  while (*at) {
    if (*at >= '0' && *at <= '9') {
      char* end = nullptr;
      out.push_back(static_cast<shard_index>(std::strtol(at, &end, 10)));
      at = end;
    } else {
      ++at;
    }
  }
  return out;
}

class turn_store final : public engine::turn_store {
 public:
  turn_store(store_config config, std::string node)
      : copy_rows_min_(config.copy_rows_min),
        node_(std::move(node)),
        link_(std::move(config), {"turn_claim", "turn_lock", "turn_fetch", "update_append", "update_append_one",
                                  "turn_expected", "turn_expected_append", "turn_unanswered", "turn_now", "snapshot_append",
                                  "retry_put", "retry_clear", "dead_letter_append", "command_send", "table_key"}) {}

  result<turn_claim> claim(const turn_request& request) override {
    ROWCALL_ASSERT(!is_open_);
    link_.drop_if_ended();
    const auto sessions = reached(request);
    if (sessions.size() == 1 && sessions.front().expected && sessions.front().cursor) return take_for_granted(request);
    if (is_plain(sessions)) {
      auto hindrance = plain_hindrance::none;
      auto claimed = claim_plainly(request, sessions, hindrance);
      if (!claimed || hindrance == plain_hindrance::none) return claimed;
      abandon();  // it is not as simple as that: once more, whole
      if (hindrance == plain_hindrance::wide_data) whole_claims_left_ = whole_claims_after_wide;
    }
    return claim_whole(request, sessions);
  }

  result<db_time> commit(std::span<const session_writes> writes) override {
    if (unverified_) return commit_unverified(writes);
    ROWCALL_ASSERT(is_open_);
    const internal::flat_writes flat(writes);
    const bool copy = flat.row_count >= copy_rows_min_;
    bool is_sent = false;  // the text with COMMIT in it
    auto done = link_.run([&](pqxx::nontransaction& session) {
      std::string sql;
      writer_.append(session, sql, flat, copy);
      sql += "COMMIT";
      is_sent = true;
      session.exec(sql);
    });
    if (done) {
      is_open_ = false;
      return now_;
    }
    auto error = done.error();
    if (is_sent && error.code == errc::connection_lost) {
      error = {errc::commit_in_doubt, "the connection was lost during COMMIT: " + error.message};
    }
    is_open_ = link_.is_open();
    abandon();
    return tl::make_unexpected(std::move(error));
  }

  void abandon() override {
    unverified_.reset();
    if (!is_open_) return;
    is_open_ = false;
    // A connection that can not even roll back is of no use; closing it rolls back as well.
    if (link_.is_open() && !link_.exec("ROLLBACK")) link_.close();
  }

 private:
  static constexpr std::size_t whole_claims_after_wide = 64;
  /// An image, a retry and a bound for careful ones may stand before a session's first command.
  static constexpr std::size_t parts_before_commands_max = 3;

  /// One session with one command, which the wake has brought: nothing is asked now. Locking, fetching (as a
  /// comparison) and appending are one message when it is committed.
  result<turn_claim> take_for_granted(const turn_request& request) {
    const auto& session = request.sessions.front();
    unverified_ = session;
    turn_claim claim;
    claim.sessions.resize(request.sessions.size(), session_claim{claim_status::not_reached});
    claim.sessions.front() = {claim_status::claimed, {}, {*session.expected}};
    claim.is_unverified = true;
    return claim;
  }

  /// The whole turn in one message, which is one transaction without BEGIN and COMMIT.
  result<db_time> commit_unverified(std::span<const session_writes> writes) {
    const auto session = *std::exchange(unverified_, std::nullopt);
    const internal::flat_writes flat(writes);
    const bool is_one = flat.updates.size() == 1 && flat.is_updates_only();
    auto rows = link_.run(
        [&](pqxx::nontransaction& to) {
          call c(is_one ? "turn_expected_append" : "turn_expected");
          c.text(node_).number(session.shard).text(session.session.str()).number(session.expected->seq.value);
          c.text(session.expected->type).text(session.expected->data);
          std::string sql;
          if (is_one) {
            const auto& u = *flat.updates.front().update;
            c.number(u.seq.value).text(u.type).text(u.data);
            sql = c.str();
          } else {
            c.append_to(sql);
            // What is written without an update meets no fence, and another turn may have answered the command meanwhile.
            // A statement of its own: its snapshot is younger than the lock.
            if (flat.updates.empty()) {
              call unanswered("turn_unanswered");
              unanswered.text(session.session.str()).number(session.expected->seq.value).append_to(sql);
            }
            writer_.append(to, sql, flat, false);
            sql += call("turn_now").str();
          }
          return to.exec(sql);
        },
        internal::on_loss::commit);
    if (!rows) return tl::make_unexpected(rows.error());
    if (rows->empty()) return fail(errc::serialization_failure, "the command of the wake is not what is pending");
    return internal::time_us((*rows)[0][0]);
  }

  /// The usual turn: all cursors are known, or are all that there is to know.
  bool is_plain(std::span<const session_request> sessions) {
    if (whole_claims_left_ > 0) {
      --whole_claims_left_;
      return false;
    }
    return !sessions.empty() && std::all_of(sessions.begin(), sessions.end(),
                                            [](const session_request& s) { return s.cursor || !s.wants_state; });
  }

  static const std::string& id_of(const session_request& s) { return s.session.str(); }
  static shard_index shard_of(const session_request& s) { return s.shard; }
  static std::int64_t cursor_of(const session_request& s) {
    return s.cursor ? s.cursor->command.value : std::int64_t{-1};
  }

  /// Opens the turn's transaction with these statements; the last one's rows. After an error none is open.
  result<pqxx::result> begin(const std::string& sql) {
    auto rows = link_.exec("BEGIN;" + sql);
    is_open_ = rows || link_.is_open();
    if (!rows) abandon();
    return rows;
  }

  result<turn_claim> claim_whole(const turn_request& request, std::span<const session_request> sessions) {
    call c("turn_claim");
    c.text(node_).array(sessions, id_of).array(sessions, shard_of).array(sessions, cursor_of);
    c.array(sessions, [](const session_request& s) { return s.wants_state; })
        .number(static_cast<std::int64_t>(request.limits.commands_per_session_max))
        .number(static_cast<std::int64_t>(request.limits.commands_max))
        .number(static_cast<std::int64_t>(request.limits.data_bytes_max));
    auto rows = begin(c.str());
    if (!rows) return tl::make_unexpected(rows.error());
    return read_claim(request, *rows);
  }

  /// Why turn_claim is needed.
  enum class plain_hindrance {
    none,
    shards,     ///< one is to be taken over, or is in another's turn
    wide_data,  ///< the bound on commands does not keep the one on bytes
  };

  /// turn_claim in plain statements, which cost half of PL/pgSQL's row by row: lock, then fetch under a snapshot of its
  /// own. The shards that were got pass from one to the other in a setting of the transaction. There is no sum of bytes
  /// (a window over the rows would cost as much as the fetch): as long as no command is larger than its share, the
  /// number of commands keeps that bound too.
  result<turn_claim> claim_plainly(const turn_request& request, std::span<const session_request> sessions,
                                   plain_hindrance& hindrance) {
    std::string sql;
    call lock("turn_lock");
    lock.text(node_).array(shards_of(sessions), [](shard_index s) { return s; });
    lock.append_to(sql);
    const auto& limits = request.limits;
    const std::size_t rows_max = limits.commands_max + parts_before_commands_max + 1;
    call fetch("turn_fetch");
    fetch.array(sessions, id_of).array(sessions, shard_of).array(sessions, cursor_of);
    fetch.number(static_cast<std::int64_t>(limits.commands_per_session_max))
        .number(static_cast<std::int64_t>(rows_max))
        .number(static_cast<std::int64_t>(limits.data_bytes_max / std::max<std::size_t>(1, limits.commands_max)));
    auto rows = begin(sql + fetch.str());
    if (!rows) return tl::make_unexpected(rows.error());
    auto claim = read_claim(request, *rows, rows_max);
    if (!claim) return claim;
    const auto reached = claim->sessions.begin() + static_cast<std::ptrdiff_t>(sessions.size());
    if (std::any_of(claim->sessions.begin(), reached,
                    [](const session_claim& s) { return s.status == claim_status::skipped; }))
      hindrance = plain_hindrance::shards;
    else if (has_wide_data_)
      hindrance = plain_hindrance::wide_data;
    return claim;
  }

  static std::vector<shard_index> shards_of(std::span<const session_request> sessions) {
    std::vector<shard_index> out;
    for (const auto& s : sessions) out.push_back(s.shard);
    std::sort(out.begin(), out.end());
    out.erase(std::unique(out.begin(), out.end()), out.end());
    return out;
  }

  /// The bound on sessions is known beforehand.
  static std::span<const session_request> reached(const turn_request& request) {
    return std::span{request.sessions}.first(std::min(request.sessions.size(), request.limits.sessions_max));
  }

  /// `rows_max`: with so many rows behind the first the last one only says that there is more.
  result<turn_claim> read_claim(const turn_request& request, const pqxx::result& rows,
                                std::size_t rows_max = std::numeric_limits<std::size_t>::max()) {
    turn_claim claim;
    has_wide_data_ = false;
    std::size_t place = 0, commands = 0;
    claim.sessions.resize(request.sessions.size());
    std::size_t not_reached_from = reached(request).size();
    for (const auto& row : rows) {
      char part = *row[1].c_str();
      if (part == 'c' && ++commands > request.limits.commands_max) part = 'x';
      if (place++ == rows_max) part = 'x';
      if (part == 'n') {
        now_ = claim.now = internal::time_us(row[6]);
        claim.taken_over = shards(row[5]);
        auto held = shards(row[4]);
        std::sort(held.begin(), held.end());
        for (std::size_t i = 0; i < request.sessions.size(); ++i)
          if (std::binary_search(held.begin(), held.end(), request.sessions[i].shard))
            claim.sessions[i].status = claim_status::claimed;
        continue;
      }
      const auto index = static_cast<std::size_t>(internal::number(row[0]) - 1);
      ROWCALL_ASSERT(index < claim.sessions.size());
      auto& session = claim.sessions[index];
      const auto a = internal::number(row[2]), b = internal::number(row[3]);
      switch (part) {
        case 'i':
          session.image.emplace().cursor = {{a}, {b}};
          break;
        case 'r':
          session.image->retry = retry_row{{a},
                                           static_cast<int>(b),
                                           internal::string(row[5]),
                                           internal::string(row[4]),
                                           std::chrono::milliseconds{internal::number(row[6])}};
          break;
        case 'k':
          session.image->careful_until = {a};
          break;
        case 's':
          session.image->snapshot = snapshot_row{{a}, {b}, internal::string(row[5])};
          break;
        case 'u':
          session.image->tail.push_back(internal::update_row(row, 2));
          break;
        case 'c':
          session.commands.push_back(
              {{a}, internal::string(row[4]), internal::string(row[5]), internal::time_us(row[6])});
          if (session.commands.size() == request.limits.commands_per_session_max) session.has_more = true;
          break;
        case 'x':
          if (session.commands.empty()) {
            not_reached_from = std::min(not_reached_from, index);
          } else {
            session.has_more = true;
            not_reached_from = std::min(not_reached_from, index + 1);
          }
          break;
        case 'y':
          not_reached_from = std::min(not_reached_from, index);
          break;
        case 'w':
          has_wide_data_ = true;
          break;
        default:
          return fail(errc::schema_mismatch, "turn_claim gave an unknown row");
      }
    }
    for (std::size_t i = not_reached_from; i < claim.sessions.size(); ++i)
      if (i >= reached(request).size() || claim.sessions[i].status == claim_status::claimed)
        claim.sessions[i] = session_claim{claim_status::not_reached};
    return claim;
  }

  const std::size_t copy_rows_min_;
  const std::string node_;
  internal::link link_;
  internal::turn_writer writer_{link_};
  bool is_open_ = false;
  bool has_wide_data_ = false;                 ///< in the rows read last
  std::size_t whole_claims_left_ = 0;          ///< where there is wide data there will be more
  db_time now_{};                              ///< of the open transaction
  std::optional<session_request> unverified_;  ///< claimed without a transaction
};

}  // namespace

std::unique_ptr<engine::turn_store> make_turn_store(store_config config, std::string node) {
  return std::make_unique<turn_store>(std::move(config), std::move(node));
}

}  // namespace rowcall::storage::postgres
