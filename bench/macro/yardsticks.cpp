#include "bench/macro/yardsticks.hpp"

#include <atomic>
#include <chrono>
#include <pqxx/pqxx>
#include <stdexcept>
#include <thread>

#include "engine/types.hpp"

namespace rowcall::bench {
namespace {

using steady = std::chrono::steady_clock;
double seconds_since(steady::time_point start) { return std::chrono::duration<double>(steady::now() - start).count(); }

constexpr std::size_t submit_batch_commands = 1'000;
constexpr int turn_commands_max = 4'096;
constexpr int connections = 2;

void append_quoted(std::string& out, const std::string& text) {
  out += '"';
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  out += '"';
}

std::string text_array(const std::vector<std::string>& values) {
  std::string out = "{";
  for (const auto& v : values) {
    if (out.size() > 1) out += ',';
    append_quoted(out, v);
  }
  return out + "}";
}

template <class T>
std::string number_array(const std::vector<T>& values) {
  std::string out = "{";
  for (const auto& v : values) {
    if (out.size() > 1) out += ',';
    out += std::to_string(v);
  }
  return out + "}";
}

void submit(pqxx::connection& c, const work& w, std::size_t first, std::size_t count) {
  std::vector<std::string> sessions, types, datas;
  for (std::size_t i = first; i < first + count; ++i) {
    sessions.push_back(session_name(i % w.sessions));
    types.emplace_back("say");
    datas.push_back(command_data(i % w.sessions));
  }
  pqxx::nontransaction t(c);
  t.exec_prepared("submit", text_array(sessions), text_array(types), text_array(datas));
}

void prepare_submit(pqxx::connection& c) {
  c.prepare("submit", "SELECT count(*) FROM rowcall.submit_batch($1::text[], $2::text[], $3::text[])");
}

/// One connection's share of the sessions, by shard, with the cursors it knows.
class processor {
 public:
  processor(const std::string& url, const work& w, int part) : connection_(url) {
    for (std::size_t i = 0; i < w.sessions; ++i) {
      const auto shard = engine::shard_of(engine::session_id::parse(session_name(i)).value(), engine::shard_count_default);
      if (shard % connections == part) sessions_.push_back(session_name(i));
    }
    for (int s = part; s < engine::shard_count_default; s += connections) shards_.push_back(s);
    cursors_.assign(sessions_.size(), 0);
    connection_.prepare("lock", "SELECT shard, owner, epoch FROM rowcall.shards WHERE shard = ANY ($1::int[]) "
                                "FOR NO KEY UPDATE SKIP LOCKED");
    connection_.prepare("fetch",
                        "SELECT q.ord, c.seq, c.type, c.data::text FROM unnest($1::text[], $2::bigint[]) WITH ORDINALITY "
                        "q (session_id, cursor, ord) CROSS JOIN LATERAL (SELECT c.seq, c.type, c.data FROM "
                        "rowcall.command_log c WHERE c.session_id = q.session_id AND c.seq > q.cursor ORDER BY c.seq "
                        "LIMIT $3::bigint) c LIMIT $4::bigint");
  }

  /// One turn over all sessions. Returns how many commands it answered.
  std::size_t turn() {
    pqxx::work t(connection_);
    t.exec_prepared("lock", number_array(shards_));
    const int per_session = std::max<int>(1, turn_commands_max / static_cast<int>(std::max<std::size_t>(1, sessions_.size())));
    auto rows = t.exec_prepared("fetch", text_array(sessions_), number_array(cursors_), per_session, turn_commands_max);
    if (rows.empty()) return 0;
    pqxx::stream_to out(t, "rowcall.update_log",
                        std::vector<std::string>{"seq", "command_seq", "session_id", "type", "data"});
    for (const auto& row : rows) {
      const auto index = row[0].as<std::size_t>() - 1;
      const auto seq = row[1].as<std::int64_t>();
      cursors_[index] = seq;
      out << std::make_tuple(seq, seq, sessions_[index], std::string("echo"), std::string(row[3].c_str()));
    }
    out.complete();
    t.commit();
    return rows.size();
  }

 private:
  pqxx::connection connection_;
  std::vector<std::string> sessions_;
  std::vector<int> shards_;
  std::vector<std::int64_t> cursors_;
};

}  // namespace

void reset(const std::string& url) {
  pqxx::connection c(url);
  pqxx::nontransaction t(c);
  t.exec("TRUNCATE rowcall.command_log, rowcall.update_log, rowcall.sessions, rowcall.snapshots, rowcall.retries");
  t.exec("UPDATE rowcall.shards SET owner = NULL, suspect_at = NULL");
  t.exec("UPDATE rowcall.sweep_watermark SET xid = 0");
  t.exec("DELETE FROM rowcall.nodes");
  t.exec("INSERT INTO rowcall.kinds (kind) VALUES ('echo') ON CONFLICT DO NOTHING");
  t.exec("CHECKPOINT");
}

void fill(const std::string& url, const work& w) {
  reset(url);
  pqxx::connection c(url);
  prepare_submit(c);
  for (std::size_t i = 0; i < w.commands; i += submit_batch_commands)
    submit(c, w, i, std::min(submit_batch_commands, w.commands - i));
  pqxx::nontransaction t(c);
  t.exec("VACUUM ANALYZE rowcall.command_log");
  t.exec("CHECKPOINT");
}

void verify(const std::string& url, const work& w) {
  pqxx::connection c(url);
  pqxx::nontransaction t(c);
  const auto row = t.exec1(
      "SELECT count(*), count(*) FILTER (WHERE n = seq AND n = command_seq) FROM (SELECT seq, command_seq, row_number() "
      "OVER (PARTITION BY session_id ORDER BY seq) n FROM rowcall.update_log) u");
  if (row[0].as<std::size_t>() != w.commands || row[1].as<std::size_t>() != w.commands)
    throw std::runtime_error("the log is wrong: " + row[0].as<std::string>() + " updates, " + row[1].as<std::string>() +
                             " in order, of " + std::to_string(w.commands) + " commands");
}

std::vector<double> commit_us(const std::string& url, std::size_t count) {
  pqxx::connection c(url);
  {
    pqxx::nontransaction t(c);
    t.exec("CREATE TABLE IF NOT EXISTS bench_commit (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, data jsonb)");
    t.exec("TRUNCATE bench_commit");
  }
  c.prepare("insert", "INSERT INTO bench_commit (data) VALUES ($1)");
  const auto data = command_data(17);
  std::vector<double> us;
  us.reserve(count);
  pqxx::nontransaction t(c);
  for (std::size_t i = 0; i < count; ++i) {
    const auto start = steady::now();
    t.exec_prepared("insert", data);
    us.push_back(seconds_since(start) * 1e6);
  }
  return us;
}

double limit_sql(const std::string& url, const work& w) {
  {
    pqxx::connection c(url);
    pqxx::nontransaction t(c);
    t.exec(R"(
      CREATE OR REPLACE PROCEDURE bench_append(part int, parts int, sessions int, per_turn int) LANGUAGE plpgsql AS $$
      DECLARE
        low bigint := 0;
        appended bigint;
        mine text[] := (SELECT array_agg('echo-s' || i) FROM generate_series(0, sessions - 1) i WHERE i % parts = part);
      BEGIN
        LOOP
          INSERT INTO rowcall.update_log (seq, command_seq, session_id, type, data)
          SELECT c.seq, c.seq, s, 'echo', c.data FROM unnest(mine) s CROSS JOIN LATERAL
            (SELECT c.seq, c.data FROM rowcall.command_log c WHERE c.session_id = s AND c.seq > low ORDER BY c.seq
             LIMIT per_turn) c;
          GET DIAGNOSTICS appended = ROW_COUNT;
          COMMIT;
          EXIT WHEN appended = 0;
          low := low + per_turn;
        END LOOP;
      END $$)");
  }
  const auto start = steady::now();
  std::vector<std::thread> threads;
  for (int part = 0; part < connections; ++part)
    threads.emplace_back([&, part] {
      pqxx::connection c(url);
      pqxx::nontransaction t(c);
      const auto per_turn = std::max<std::size_t>(1, turn_commands_max / std::max<std::size_t>(1, w.sessions / connections));
      t.exec("CALL bench_append(" + std::to_string(part) + ", " + std::to_string(connections) + ", " +
             std::to_string(w.sessions) + ", " + std::to_string(per_turn) + ")");
    });
  for (auto& t : threads) t.join();
  return static_cast<double>(w.commands) / seconds_since(start);
}

double limit_client(const std::string& url, const work& w) {
  std::vector<std::unique_ptr<processor>> parts;
  for (int part = 0; part < connections; ++part) parts.push_back(std::make_unique<processor>(url, w, part));
  const auto start = steady::now();
  std::vector<std::thread> threads;
  for (auto& p : parts)
    threads.emplace_back([&] {
      while (p->turn() != 0) {
      }
    });
  for (auto& t : threads) t.join();
  return static_cast<double>(w.commands) / seconds_since(start);
}

double live_client(const std::string& url, const work& w) {
  reset(url);
  std::vector<std::unique_ptr<processor>> parts;
  for (int part = 0; part < connections; ++part) parts.push_back(std::make_unique<processor>(url, w, part));
  pqxx::connection submitter(url);
  prepare_submit(submitter);
  const auto start = steady::now();
  std::atomic<std::size_t> answered = 0;
  std::vector<std::thread> threads;
  for (auto& p : parts)
    threads.emplace_back([&] {
      while (answered < w.commands) {
        const auto n = p->turn();
        answered += n;
        if (n == 0) std::this_thread::yield();
      }
    });
  for (std::size_t i = 0; i < w.commands; i += submit_batch_commands)
    submit(submitter, w, i, std::min(submit_batch_commands, w.commands - i));
  for (auto& t : threads) t.join();
  return static_cast<double>(w.commands) / seconds_since(start);
}

}  // namespace rowcall::bench
