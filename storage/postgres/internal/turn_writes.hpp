#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <pqxx/pqxx>

#include "engine/ports.hpp"
#include "storage/postgres/internal/link.hpp"

namespace rowcall::storage::postgres::internal {

/// Rows of one domain table with the same columns, in the order written.
struct domain_group {
  const engine::domain_row* head = nullptr;  ///< names the table, columns and mode
  std::vector<const std::vector<std::optional<std::string>>*> rows;
  bool is_alone = true;  ///< no other group writes the table
};

/// A turn's writes side by side, as the statements want them.
struct flat_writes {
  struct update_ref {
    const std::string* session;
    const engine::update_row* update;
  };
  std::vector<update_ref> updates;
  std::vector<domain_group> rows;
  std::vector<const engine::session_writes*> snapshots, retry_puts, retry_clears;
  struct parked_ref {
    const std::string* session;
    const engine::session_writes::parked* parked;
  };
  std::vector<parked_ref> dead_letters;
  std::vector<const engine::session_writes::send*> sends;
  std::size_t row_count = 0;

  explicit flat_writes(std::span<const engine::session_writes> all);

  bool is_updates_only() const {
    return rows.empty() && snapshots.empty() && retry_puts.empty() && retry_clears.empty() && dead_letters.empty() &&
           sends.empty();
  }

 private:
  void add(const engine::domain_row& r);
};

/// How a turn's writes become SQL.
class turn_writer {
 public:
  explicit turn_writer(link& l) : link_(l) {}

  /// Appends the statements of a turn's writes to `sql`, but for those that it copies at once (`copy`: where it pays).
  void append(pqxx::nontransaction& session, std::string& sql, const flat_writes& flat, bool copy);

 private:
  void copy_updates(pqxx::nontransaction& session, const flat_writes& flat);
  void copy_rows(pqxx::nontransaction& session, const domain_group& group);
  void append_rows(pqxx::nontransaction& session, std::string& sql, const domain_group& group);
  std::vector<std::size_t> key_columns(pqxx::nontransaction& session, const engine::domain_row& head);

  link& link_;
  std::map<std::string, std::vector<std::string>> keys_;  ///< primary keys, by table
};

}  // namespace rowcall::storage::postgres::internal
