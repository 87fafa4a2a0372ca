#include "storage/postgres/internal/turn_writes.hpp"

#include <algorithm>
#include <set>
#include <stdexcept>

#include "storage/postgres/internal/call.hpp"
#include "storage/postgres/internal/copy.hpp"
#include "storage/postgres/internal/rows.hpp"

namespace rowcall::storage::postgres::internal {

using namespace engine;

namespace {

constexpr std::size_t copy_group_rows_min = 16;
constexpr std::size_t error_text_bytes_max = 4000;

/// An error's text comes from anywhere, and must never be what a commit fails on.
std::string storable(std::string_view text) {
  std::string out{text.substr(0, error_text_bytes_max)};
  std::replace(out.begin(), out.end(), '\0', '?');
  // A cut in the middle of a character is repaired like any other broken text.
  if (!simdjson::validate_utf8(out))
    std::replace_if(
        out.begin(), out.end(), [](char c) { return static_cast<unsigned char>(c) >= 0x80; }, '?');
  return out;
}

std::string table_name(const std::string& table) {
  std::string out = "rowcall.";
  append_name(out, table);
  return out;
}

void append_updates(std::string& sql, const flat_writes& flat) {
  if (flat.updates.empty()) return;
  const auto& u = flat.updates;
  if (u.size() == 1) {
    call one("update_append_one");
    one.text(*u[0].session).number(u[0].update->seq.value).number(u[0].update->command.value);
    one.text(u[0].update->type).text(u[0].update->data);
    return one.append_to(sql);
  }
  using ref = flat_writes::update_ref;
  call c("update_append");
  c.array(u, [](const ref& r) -> const std::string& { return *r.session; })
      .array(u, [](const ref& r) { return r.update->seq.value; })
      .array(u, [](const ref& r) { return r.update->command.value; })
      .array(u, [](const ref& r) -> const std::string& { return r.update->type; })
      .array(u, [](const ref& r) -> const std::string& { return r.update->data; });
  c.append_to(sql);
}

void remove_rows(std::string& sql, const domain_group& group) {
  sql += "DELETE FROM " + table_name(group.head->table) + " WHERE ";
  for (std::size_t n = 0; n < group.rows.size(); ++n) {
    sql += n ? " OR (" : "(";
    for (std::size_t i = 0; i < group.head->columns.size(); ++i) {
      if (i) sql += " AND ";
      append_name(sql, group.head->columns[i]);
      const auto& value = (*group.rows[n])[i];
      sql += value ? "=" : " IS NULL";
      if (value) append_literal(sql, *value);
    }
    sql += ')';
  }
  sql += ';';
}

/// One statement may not upsert a row twice: of the rows with one key the last stays.
void keep_last(std::vector<const std::vector<std::optional<std::string>>*>& rows, const std::vector<std::size_t>& key) {
  std::set<std::vector<std::optional<std::string>>> seen;
  std::vector<const std::vector<std::optional<std::string>>*> kept;
  for (auto it = rows.rbegin(); it != rows.rend(); ++it) {
    std::vector<std::optional<std::string>> value;
    for (auto i : key) value.push_back((**it)[i]);
    if (seen.insert(std::move(value)).second) kept.push_back(*it);
  }
  std::reverse(kept.begin(), kept.end());
  rows = std::move(kept);
}

void append_rest(std::string& sql, const flat_writes& flat) {
  using writes = const session_writes*;
  const auto session_of = [](writes w) -> const std::string& { return w->session.str(); };
  if (!flat.snapshots.empty()) {
    call c("snapshot_append");
    c.array(flat.snapshots, session_of)
        .array(flat.snapshots, [](writes w) { return w->snapshot->seq.value; })
        .array(flat.snapshots, [](writes w) { return w->snapshot->command.value; })
        .array(flat.snapshots, [](writes w) -> const std::string& { return w->snapshot->state; });
    c.append_to(sql);
  }
  if (!flat.retry_clears.empty()) {
    call c("retry_clear");
    c.array(flat.retry_clears, session_of);
    c.append_to(sql);
  }
  if (!flat.retry_puts.empty()) {
    const auto& puts = flat.retry_puts;
    call c("retry_put");
    c.array(puts, session_of)
        .array(puts, [](writes w) { return w->retry_put->command.value; })
        .array(puts, [](writes w) { return w->retry_put->attempts; })
        .array(puts, [](writes w) { return static_cast<std::int64_t>(w->retry_put->wait.count()); })
        .array(puts, [](writes w) { return storable(w->retry_put->last_error); })
        .array(puts, [](writes w) -> const std::string& { return w->retry_put->armed_by; });
    c.append_to(sql);
  }
  if (!flat.dead_letters.empty()) {
    const auto& dead = flat.dead_letters;
    using ref = flat_writes::parked_ref;
    call c("dead_letter_append");
    c.array(dead, [](const ref& r) -> const std::string& { return *r.session; })
        .array(dead, [](const ref& r) { return r.parked->command.seq.value; })
        .array(dead, [](const ref& r) -> const std::string& { return r.parked->command.type; })
        .array(dead, [](const ref& r) -> const std::string& { return r.parked->command.data; })
        .array(dead, [](const ref& r) { return storable(r.parked->error); })
        .array(dead, [](const ref& r) { return r.parked->attempts; });
    c.append_to(sql);
  }
  // Last: a turn waits for submitters here and nowhere else, and a submitter never waits for a turn.
  if (!flat.sends.empty()) {
    using send = const session_writes::send*;
    call c("command_send");
    c.array(flat.sends, [](send s) -> const std::string& { return s->command.target.str(); })
        .array(flat.sends, [](send s) -> const std::string& { return s->command.type; })
        .array(flat.sends, [](send s) -> const std::string& { return s->command.data; })
        .array(flat.sends, [](send s) -> const std::string& { return s->idempotency_key; });
    c.append_to(sql);
  }
}

}  // namespace

flat_writes::flat_writes(std::span<const session_writes> all) {
  for (const auto& w : all) {
    for (const auto& u : w.updates) updates.push_back({&w.session.str(), &u});
    for (const auto& r : w.rows) add(r);
    if (w.snapshot) snapshots.push_back(&w);
    if (w.retry == session_writes::retry_change::put) {
      ROWCALL_ASSERT(w.retry_put.has_value());
      retry_puts.push_back(&w);
    } else if (w.retry == session_writes::retry_change::clear) {
      retry_clears.push_back(&w);
    }
    for (const auto& d : w.dead_letters) dead_letters.push_back({&w.session.str(), &d});
    for (const auto& s : w.sends) sends.push_back(&s);
    row_count += w.updates.size() + w.rows.size();
  }
}

void flat_writes::add(const domain_row& r) {
  ROWCALL_ASSERT(r.columns.size() == r.values.size() && !r.columns.empty());
  // What is done to one table stays in its order: a member may join, leave and join again in one turn.
  const auto last =
      std::find_if(rows.rbegin(), rows.rend(), [&](const domain_group& g) { return g.head->table == r.table; });
  if (last == rows.rend()) {
    rows.push_back({&r, {&r.values}, true});
  } else if (last->head->mode == r.mode && last->head->columns == r.columns) {
    last->rows.push_back(&r.values);
  } else {
    last->is_alone = false;
    rows.push_back({&r, {&r.values}, false});
  }
}

void turn_writer::append(pqxx::nontransaction& session, std::string& sql, const flat_writes& flat, bool copy) {
  if (copy) {
    copy_updates(session, flat);
  } else {
    append_updates(sql, flat);
  }
  for (const auto& group : flat.rows) {
    if (group.head->mode == domain_row::write_mode::remove)
      remove_rows(sql, group);
    else if (copy && group.is_alone && group.head->mode == domain_row::write_mode::append &&
             group.rows.size() >= copy_group_rows_min)
      copy_rows(session, group);
    else
      append_rows(session, sql, group);
  }
  append_rest(sql, flat);
}

void turn_writer::copy_updates(pqxx::nontransaction& session, const flat_writes& flat) {
  if (flat.updates.empty()) return;
  static const std::vector<std::string> columns{"seq", "command_seq", "session_id", "type", "data"};
  copy_in copy(link_, session, "rowcall.update_log", columns);
  for (const auto& r : flat.updates) {
    copy.number(r.update->seq.value).number(r.update->command.value);
    copy.text(*r.session).text(r.update->type).text(r.update->data).end_row();
  }
  copy.complete();
}

void turn_writer::copy_rows(pqxx::nontransaction& session, const domain_group& group) {
  std::vector<std::string> columns;
  for (const auto& name : group.head->columns) append_name(columns.emplace_back(), name);
  copy_in copy(link_, session, table_name(group.head->table), columns);
  for (const auto* row : group.rows) {
    for (const auto& value : *row) value ? copy.text(*value) : copy.null();
    copy.end_row();
  }
  copy.complete();
}

/// INSERT … VALUES with plain literals, which take the columns' own types.
void turn_writer::append_rows(pqxx::nontransaction& session, std::string& sql, const domain_group& group) {
  const auto& head = *group.head;
  const bool is_upsert = head.mode == domain_row::write_mode::upsert;
  std::vector<const std::vector<std::optional<std::string>>*> rows = group.rows;
  std::vector<std::size_t> key;
  if (is_upsert) {
    key = key_columns(session, head);
    keep_last(rows, key);
  }
  sql += "INSERT INTO " + table_name(head.table) + " (";
  for (std::size_t i = 0; i < head.columns.size(); ++i) {
    if (i) sql += ',';
    append_name(sql, head.columns[i]);
  }
  sql += ") VALUES ";
  for (std::size_t n = 0; n < rows.size(); ++n) {
    sql += n ? ",(" : "(";
    for (std::size_t i = 0; i < rows[n]->size(); ++i) {
      if (i) sql += ',';
      if (const auto& value = (*rows[n])[i])
        append_literal(sql, *value);
      else
        sql += "NULL";
    }
    sql += ')';
  }
  if (is_upsert) {
    sql += " ON CONFLICT (";
    for (std::size_t i = 0; i < key.size(); ++i) {
      if (i) sql += ',';
      append_name(sql, head.columns[key[i]]);
    }
    sql += ") DO ";
    std::string set;
    for (std::size_t i = 0; i < head.columns.size(); ++i) {
      if (std::find(key.begin(), key.end(), i) != key.end()) continue;
      set += set.empty() ? "UPDATE SET " : ",";
      append_name(set, head.columns[i]);
      set += "=excluded.";
      append_name(set, head.columns[i]);
    }
    sql += set.empty() ? "NOTHING" : set;
  }
  sql += ';';
}

/// Places of the table's primary key among the row's columns. Asked of the catalogue once for each table.
std::vector<std::size_t> turn_writer::key_columns(pqxx::nontransaction& session, const domain_row& head) {
  auto& names = keys_[head.table];
  if (names.empty())
    for (const auto& row : session.exec(call("table_key").text(head.table).str())) names.push_back(string(row[0]));
  if (names.empty())
    throw std::invalid_argument("domain table " + head.table + " does not exist or has no primary key");
  std::vector<std::size_t> out;
  for (const auto& name : names) {
    const auto found = std::find(head.columns.begin(), head.columns.end(), name);
    if (found == head.columns.end())
      throw std::invalid_argument("an upsert into " + head.table + " needs its key column " + name);
    out.push_back(static_cast<std::size_t>(found - head.columns.begin()));
  }
  return out;
}

}  // namespace rowcall::storage::postgres::internal
