#include "tests/chaos/prober.hpp"

#include <stdexcept>

#include "bus/nats_bus.hpp"
#include "storage/postgres/stores.hpp"
#include "tests/support/eventually.hpp"

namespace rowcall::chaos {
namespace {

using std::chrono::milliseconds;

milliseconds until(prober::steady::time_point deadline) {
  return std::chrono::ceil<milliseconds>(deadline - prober::steady::now());
}

}  // namespace

prober::prober(std::string database, const std::string& nats, const std::string& prefix)
    : database_(std::move(database)) {
  storage::postgres::store_config store;
  store.url = database_;
  store_ = storage::postgres::make_command_store(store);
  bus::nats_config config;
  config.url = nats;
  config.name = "rowcall_chaos";
  config.subject_prefix = prefix;
  config.reconnect_wait = milliseconds{10};
  config.reconnect_wait_max = milliseconds{50};
  bus_ = bus::connect_nats(config).value();
}

prober::~prober() = default;

std::vector<engine::submit_receipt> prober::submit_once(const std::vector<planned>& commands,
                                                        steady::time_point deadline) {
  std::vector<engine::command_request> requests;
  for (const auto& c : commands) requests.push_back(c.request);
  std::vector<engine::submit_receipt> receipts;
  std::string why;
  // Every command has a key: trying again is safe.
  const bool is_stored = support::eventually(until(deadline), [&] {
    auto stored = store_->submit(requests);
    if (stored)
      receipts = std::move(*stored);
    else
      why = stored.error().message;
    return stored.has_value();
  });
  if (!is_stored) throw std::runtime_error("the conductor can not submit: " + why);
  std::vector<engine::wake> wakes;
  for (std::size_t i = 0; i < commands.size(); ++i) {
    const auto& r = receipts[i];
    const bool is_in_log =
        r.kind == engine::submit_receipt::outcome::stored || r.kind == engine::submit_receipt::outcome::duplicate;
    if (!is_in_log) throw std::runtime_error("the conductor's command was refused: " + commands[i].id);
    submits_.push_back({"conductor", commands[i].request.session.str(), commands[i].request.type, commands[i].id,
                        checker::outcome::acknowledged, r.seq.value});
    wakes.push_back({commands[i].request.session, r.seq});
  }
  bus_->publish(wakes);
  return receipts;
}

void prober::submit(const std::vector<planned>& commands, steady::time_point deadline) {
  submit_once(commands, deadline);
}

std::optional<std::string> prober::value(const std::string& sql) {
  try {
    if (!sql_) {
      sql_ = std::make_unique<support::sql_connection>(database_);
      sql_->query("SET enable_seqscan = off; SET statement_timeout = '5s'");
    }
    return sql_->value(sql);
  } catch (const std::runtime_error&) {  // PostgreSQL is disturbed: once more
    sql_.reset();
    return std::nullopt;
  }
}

std::optional<prober::steady::time_point> prober::probe(steady::time_point deadline) {
  std::vector<planned> commands;
  const auto& sessions = sessions::probes();
  ++probes_;
  for (std::size_t i = 0; i < sessions.size(); ++i) commands.push_back(chaos::probe(i, probes_));
  const auto receipts = submit_once(commands, deadline);
  std::string rows;
  for (std::size_t i = 0; i < sessions.size(); ++i)
    rows += (i == 0 ? "('" : ",('") + sessions[i] + "'," + std::to_string(receipts[i].seq.value) + ")";
  const auto sql =
      "SELECT count(*) FROM (VALUES " + rows +
      ") q (session, command) WHERE command > coalesce((SELECT u.command_seq FROM rowcall.update_log u WHERE "
      "u.session_id = q.session ORDER BY u.seq DESC LIMIT 1), 0)";
  if (!support::eventually(until(deadline), [&] { return value(sql) == "0"; })) return std::nullopt;
  return steady::now();
}

bool prober::wait_drained(const std::vector<std::string>& sessions, steady::time_point deadline) {
  std::string names;
  for (const auto& s : sessions) names += (names.empty() ? "('" : ",('") + s + "')";
  const auto sql =
      "SELECT count(*) FROM (VALUES " + names +
      ") q (session) WHERE coalesce((SELECT c.seq FROM rowcall.command_log c WHERE c.session_id = q.session ORDER BY "
      "c.seq DESC LIMIT 1), 0) > coalesce((SELECT u.command_seq FROM rowcall.update_log u WHERE u.session_id = "
      "q.session ORDER BY u.seq DESC LIMIT 1), 0)";
  return support::eventually(until(deadline), [&] { return value(sql) == "0"; });
}

std::string prober::pending() {
  return value(
             "SELECT coalesce(string_agg(session_id || ' ' || shard_state, ', '), 'nothing') FROM (SELECT "
             "c.session_id, max(c.seq) || ' of ' "
             "|| coalesce((SELECT max(u.command_seq) FROM rowcall.update_log u WHERE u.session_id = c.session_id), 0) "
             "AS shard_state "
             "FROM rowcall.command_log c GROUP BY 1 HAVING max(c.seq) > coalesce((SELECT max(u.command_seq) FROM "
             "rowcall.update_log u "
             "WHERE u.session_id = c.session_id), 0) LIMIT 40) p")
      .value_or("PostgreSQL can not be asked");
}

std::string prober::by_owner() {
  std::string rows;
  for (std::size_t i = 0; i < sessions::probes().size(); ++i)  // one of each shard, in the shards' order
    rows += (i == 0 ? "('" : ",('") + sessions::probes()[i] + "'," + std::to_string(i) + ")";
  return value(
             "SELECT string_agg(owner || ': ' || shards || ' shards, ' || slowest || ' ms', '; ') FROM (SELECT "
             "s.owner, count(*) AS "
             "shards, round(max(date_part('epoch', u.created_at - c.created_at)) * 1000) AS slowest FROM (VALUES " +
             rows +
             ") q (session, shard) JOIN rowcall.shards s ON s.shard = q.shard CROSS JOIN LATERAL (SELECT * FROM "
             "rowcall.command_log c "
             "WHERE c.session_id = q.session ORDER BY seq DESC LIMIT 1) c JOIN rowcall.update_log u ON u.session_id = "
             "q.session AND "
             "u.command_seq = c.seq GROUP BY 1) o")
      .value_or("PostgreSQL can not be asked");
}

}  // namespace rowcall::chaos
