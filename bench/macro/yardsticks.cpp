#include "bench/macro/yardsticks.hpp"

#include <libpq-fe.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <pqxx/pqxx>
#include <stdexcept>
#include <thread>

#include "engine/types.hpp"
#include "storage/postgres/stores.hpp"

namespace rowcall::bench {
namespace {

using steady = std::chrono::steady_clock;
double seconds_since(steady::time_point start) { return std::chrono::duration<double>(steady::now() - start).count(); }

constexpr std::size_t submit_batch_commands = 1'000;
/// As the engine's defaults.
constexpr int turn_commands_max = 4'096;
constexpr int turn_commands_per_session_max = 256;
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

/// One command for each of these sessions.
void submit(engine::command_store& store, const std::vector<std::size_t>& batch) {
  std::vector<engine::command_request> commands;
  for (const auto i : batch)
    commands.push_back({engine::session_id::parse(session_name(i)).value(), "say", command_data(i), std::nullopt});
  if (auto stored = store.submit(commands); !stored) throw std::runtime_error("submit: " + stored.error().message);
}

/// As many sessions of a backlog a turn as fill it: each is done before the next ones begin, as long as it fits into a
/// turn.
std::size_t turn_sessions(const work& w) {
  const std::size_t per_session = std::clamp<std::size_t>(w.commands / w.sessions, 1, turn_commands_per_session_max);
  return std::max<std::size_t>(1, turn_commands_max / per_session);
}

struct close_connection {
  void operator()(PGconn* c) const { PQfinish(c); }
};
struct clear_result {
  void operator()(PGresult* r) const { PQclear(r); }
};
using result_ptr = std::unique_ptr<PGresult, clear_result>;

/// Escapes what COPY's text format wants escaped. (The work's data has nothing of it; a yardstick must not know.)
void append_copy_text(std::string& out, const char* text, std::size_t size) {
  const auto is_special = [](char c) { return c == '\\' || c == '\t' || c == '\n' || c == '\r'; };
  if (std::none_of(text, text + size, is_special)) {
    out.append(text, size);
    return;
  }
  for (const char* c = text; c != text + size; ++c) {
    if (!is_special(*c))
      out += *c;
    else
      out.append(*c == '\\' ? "\\\\" : *c == '\t' ? "\\t" : *c == '\n' ? "\\n" : "\\r");
  }
}

/// One connection's share of the sessions, by shard, with the cursors it knows. The turn of an engine without the
/// engine: on libpq itself, since libpqxx's copies of every value were a fifth of the loop's time.
class processor {
 public:
  processor(const std::string& url, const work& w, int part) : connection_(PQconnectdb(url.c_str())) {
    if (PQstatus(connection_.get()) != CONNECTION_OK) throw std::runtime_error(PQerrorMessage(connection_.get()));
    std::vector<int> shards;
    for (int s = part; s < engine::shard_count_default; s += connections) shards.push_back(s);
    lock_ = "BEGIN; SELECT shard, owner, epoch FROM rowcall.shards WHERE shard = ANY ('" + number_array(shards) +
            "') FOR NO KEY UPDATE SKIP LOCKED";
    for (std::size_t i = 0; i < w.sessions; ++i) {
      const auto shard =
          engine::shard_of(engine::session_id::parse(session_name(i)).value(), engine::shard_count_default);
      if (shard % connections == part) sessions_.push_back({session_name(i), i, 0});
    }
    expect(PQprepare(connection_.get(), "fetch",
                     "SELECT q.ord, c.seq, c.type, c.data::text FROM unnest($1::text[], $2::bigint[]) WITH ORDINALITY "
                     "q (session_id, cursor, ord) CROSS JOIN LATERAL (SELECT c.seq, c.type, c.data FROM "
                     "rowcall.command_log c WHERE c.session_id = q.session_id AND c.seq > q.cursor ORDER BY c.seq "
                     "LIMIT $3::bigint) c LIMIT $4::bigint",
                     0, nullptr),
           PGRES_COMMAND_OK);
  }

  struct session {
    std::string name;
    std::size_t index;  ///< in W
    std::int64_t cursor;
  };
  const std::vector<session>& sessions() const { return sessions_; }

  /// One turn over the sessions [first, first + count). Returns how many commands it answered.
  std::size_t turn(std::size_t first, std::size_t count) {
    std::vector<std::string> names;
    std::vector<std::int64_t> cursors;
    for (std::size_t i = first; i < std::min(first + count, sessions_.size()); ++i) {
      names.push_back(sessions_[i].name);
      cursors.push_back(sessions_[i].cursor);
    }
    exec(lock_.c_str(), PGRES_TUPLES_OK);
    const std::string parameters[] = {text_array(names), number_array(cursors),
                                      std::to_string(turn_commands_per_session_max), std::to_string(turn_commands_max)};
    const char* values[] = {parameters[0].c_str(), parameters[1].c_str(), parameters[2].c_str(), parameters[3].c_str()};
    const auto rows =
        expect(PQexecPrepared(connection_.get(), "fetch", 4, values, nullptr, nullptr, 0), PGRES_TUPLES_OK);
    const int n = PQntuples(rows.get());
    if (n == 0) {
      exec("ROLLBACK", PGRES_COMMAND_OK);
      return 0;
    }
    exec("COPY rowcall.update_log (seq, command_seq, session_id, type, data) FROM STDIN", PGRES_COPY_IN);
    lines_.clear();
    for (int r = 0; r < n; ++r) {
      const auto text = [&](int column) { return PQgetvalue(rows.get(), r, column); };
      auto& s = sessions_[first + std::strtoul(text(0), nullptr, 10) - 1];
      s.cursor = std::strtoll(text(1), nullptr, 10);
      const auto seq_bytes = static_cast<std::size_t>(PQgetlength(rows.get(), r, 1));
      lines_.append(text(1), seq_bytes).append("\t").append(text(1), seq_bytes).append("\t");
      lines_.append(s.name).append("\techo\t");
      append_copy_text(lines_, text(3), static_cast<std::size_t>(PQgetlength(rows.get(), r, 3)));
      lines_ += '\n';
    }
    if (PQputCopyData(connection_.get(), lines_.data(), static_cast<int>(lines_.size())) != 1 ||
        PQputCopyEnd(connection_.get(), nullptr) != 1)
      throw std::runtime_error(PQerrorMessage(connection_.get()));
    expect(PQgetResult(connection_.get()), PGRES_COMMAND_OK);
    while (result_ptr(PQgetResult(connection_.get()))) {
    }
    exec("COMMIT", PGRES_COMMAND_OK);
    return static_cast<std::size_t>(n);
  }

 private:
  result_ptr exec(const char* sql, ExecStatusType wanted) { return expect(PQexec(connection_.get(), sql), wanted); }
  result_ptr expect(PGresult* got, ExecStatusType wanted) {
    result_ptr owned(got);
    if (PQresultStatus(got) != wanted) throw std::runtime_error(PQerrorMessage(connection_.get()));
    return owned;
  }

  std::unique_ptr<PGconn, close_connection> connection_;
  std::vector<session> sessions_;
  std::string lock_, lines_;
};

}  // namespace

void reset(const std::string& url) {
  pqxx::connection c(url);
  pqxx::nontransaction t(c);
  t.exec("TRUNCATE rowcall.command_log, rowcall.update_log, rowcall.sessions, rowcall.snapshots, rowcall.retries");
  t.exec("UPDATE rowcall.shards SET owner = NULL, suspect_at = NULL");
  t.exec("UPDATE rowcall.sweep_watermark SET xid = 0, settled_xid = 0");
  t.exec("DELETE FROM rowcall.nodes");
  t.exec("INSERT INTO rowcall.kinds (kind) VALUES ('echo') ON CONFLICT DO NOTHING");
  t.exec("CHECKPOINT");
}

void store(const std::string& url, std::size_t first_session, const work& w) {
  // As many transactions as submitters would make of it, roughly: the sweep reads by transaction.
  constexpr std::size_t chunk = 20'000;
  const auto text = [](std::size_t n) { return std::to_string(n); };
  const std::string index = text(first_session) + " + i % " + text(w.sessions);
  pqxx::connection c(url);
  pqxx::nontransaction t(c);
  t.exec("INSERT INTO rowcall.sessions (session_id) SELECT 'echo-s' || i FROM generate_series(" + text(first_session) +
         ", " + text(first_session + w.sessions - 1) + ") i");
  for (std::size_t i = 0; i < w.commands; i += chunk)
    t.exec("INSERT INTO rowcall.command_log (seq, session_id, type, data) SELECT 1 + i / " + text(w.sessions) +
           ", 'echo-s' || (" + index + "), 'say', jsonb_build_object('chat_id', 's' || (" + index +
           "), 'text', repeat('x', 80), 'sender', 'u') FROM generate_series(" + text(i) + ", " +
           text(std::min(i + chunk, w.commands) - 1) + ") i");
}

void fill(const std::string& url, const work& w) {
  reset(url);
  store(url, 0, w);
  pqxx::connection c(url);
  pqxx::nontransaction t(c);
  t.exec("VACUUM ANALYZE rowcall.command_log");
  t.exec("CHECKPOINT");
}

void verify(const std::string& url, const work& w) {
  pqxx::connection c(url);
  pqxx::nontransaction t(c);
  const auto row = t.exec1(
      "SELECT count(*), count(*) FILTER (WHERE n = seq AND n = command_seq) FROM (SELECT seq, command_seq, "
      "row_number() "
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
      CREATE OR REPLACE PROCEDURE bench_append(part int, parts int, sessions int, sessions_a_turn int, per_session int) LANGUAGE plpgsql AS $$
      DECLARE
        low bigint;
        appended bigint;
        mine text[] := (SELECT array_agg('echo-s' || i) FROM generate_series(0, sessions - 1) i WHERE i % parts = part);
        now_due text[];
      BEGIN
        FOR head IN 1 .. cardinality(mine) BY sessions_a_turn LOOP
          now_due := mine[head : head + sessions_a_turn - 1];
          low := 0;
          LOOP
            INSERT INTO rowcall.update_log (seq, command_seq, session_id, type, data)
            SELECT c.seq, c.seq, s, 'echo', c.data FROM unnest(now_due) s CROSS JOIN LATERAL
              (SELECT c.seq, c.data FROM rowcall.command_log c WHERE c.session_id = s AND c.seq > low ORDER BY c.seq
               LIMIT per_session) c;
            GET DIAGNOSTICS appended = ROW_COUNT;
            COMMIT;
            EXIT WHEN appended = 0;
            low := low + per_session;
          END LOOP;
        END LOOP;
      END $$)");
  }
  const auto start = steady::now();
  std::vector<std::thread> threads;
  for (int part = 0; part < connections; ++part)
    threads.emplace_back([&, part] {
      pqxx::connection c(url);
      pqxx::nontransaction t(c);
      t.exec("CALL bench_append(" + std::to_string(part) + ", " + std::to_string(connections) + ", " +
             std::to_string(w.sessions) + ", " + std::to_string(turn_sessions(w)) + ", " +
             std::to_string(turn_commands_per_session_max) + ")");
    });
  for (auto& t : threads) t.join();
  return static_cast<double>(w.commands) / seconds_since(start);
}

double limit_client(const std::string& url, const work& w) {
  std::vector<std::unique_ptr<processor>> parts;
  for (int part = 0; part < connections; ++part) parts.push_back(std::make_unique<processor>(url, w, part));
  const auto sessions = turn_sessions(w);
  const auto start = steady::now();
  std::vector<std::thread> threads;
  for (auto& p : parts)
    threads.emplace_back([&] {
      for (std::size_t first = 0; first < p->sessions().size(); first += sessions)
        while (p->turn(first, sessions) != 0) {
        }
    });
  for (auto& t : threads) t.join();
  return static_cast<double>(w.commands) / seconds_since(start);
}

double live_client(const std::string& url, const work& w) {
  reset(url);
  struct client {
    client(const std::string& url, const work& w, int part)
        : processing(url, w, part), submitting(storage::postgres::make_command_store({.url = url})) {}
    processor processing;
    std::unique_ptr<engine::command_store> submitting;

    /// Submits so many commands, round robin over its sessions, and answers each batch before the next one.
    void run(std::size_t commands) {
      const auto& mine = processing.sessions();
      for (std::size_t at = 0; at < commands;) {
        std::vector<std::size_t> batch;
        for (; at < commands && batch.size() < submit_batch_commands; ++at)
          batch.push_back(mine[at % mine.size()].index);
        submit(*submitting, batch);
        // The whole share of the sessions: the batch touched most of it.
        for (std::size_t open = batch.size(); open > 0;) open -= processing.turn(0, mine.size());
      }
    }
  };
  std::vector<std::unique_ptr<client>> clients;
  std::size_t commands = 0;
  for (int part = 0; part < connections; ++part) {
    auto& c = *clients.emplace_back(std::make_unique<client>(url, w, part));
    c.run(c.processing.sessions().size());  // as in the engine's figure, each session has had one command before
    commands += w.commands / w.sessions * c.processing.sessions().size();
  }
  const auto start = steady::now();
  std::vector<std::thread> threads;
  for (auto& c : clients)
    threads.emplace_back([&] { c->run(w.commands / w.sessions * c->processing.sessions().size()); });
  for (auto& t : threads) t.join();
  return static_cast<double>(commands) / seconds_since(start);
}

}  // namespace rowcall::bench
