#include "tools/rowcall/diagnosis.hpp"

#include <algorithm>
#include <set>

#include "tools/connect/duration.hpp"
#include "tools/rowcall/format.hpp"

namespace rowcall::tools {
namespace {

using std::chrono::duration_cast;
using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr int postgres_version_min = 150000;
constexpr milliseconds round_trip_long{5};
constexpr milliseconds clock_skew_max{1'000};
/// PostgreSQL refuses commands that need an xid some 3 million before 2^31; it warns at 40 million before.
constexpr std::int64_t xid_age_max = 2'146'483'647;
constexpr std::int64_t xid_age_warning = 1'000'000'000, xid_age_error = 1'900'000'000;
/// An engine needs its workers and two or three more; a deployment at 80 % has no room for a rolling restart.
constexpr int connections_used_percent_max = 80;
constexpr int connections_free_min = 5;

class report {
 public:
  void ok(std::string area, std::string text) { add(severity::ok, std::move(area), std::move(text), {}); }
  void warning(std::string area, std::string text, std::string advice) {
    add(severity::warning, std::move(area), std::move(text), std::move(advice));
  }
  void error(std::string area, std::string text, std::string advice) {
    add(severity::error, std::move(area), std::move(text), std::move(advice));
  }
  std::vector<finding> take() { return std::move(findings_); }

 private:
  void add(severity how, std::string area, std::string text, std::string advice) {
    findings_.push_back({how, std::move(area), std::move(text), std::move(advice)});
  }
  std::vector<finding> findings_;
};

using tools::joined;
std::string joined(const std::vector<storage::postgres::schema_object>& objects) {
  std::vector<std::string> words;
  for (const auto& o : objects) words.push_back(o.kind + " " + o.name);
  return joined(words);
}

/// "0.21 ms".
std::string milliseconds_of(microseconds d) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f ms", static_cast<double>(d.count()) / 1000);
  return text;
}

void judge_server(const storage::postgres::inspection& p, report& out) {
  if (p.version_num < postgres_version_min)
    out.error("postgresql", "PostgreSQL " + p.version + " is too old",
              "Rowcall needs PostgreSQL 15 or newer: upgrade the server.");
  else
    out.ok("postgresql", "PostgreSQL " + p.version);
  if (p.is_standby)
    out.error("postgresql", "the server is a standby: nothing can be written",
              "Point --database at the primary (libpq: target_session_attrs=read-write).");
  if (p.encoding != "UTF8")
    out.error("postgresql", "the database's encoding is " + p.encoding,
              "Texts may be lost or refused: make a database with ENCODING 'UTF8' and move the data there.");
  const auto trip = "a round trip to the database takes " + milliseconds_of(p.round_trip);
  if (p.round_trip > round_trip_long)
    out.warning("round_trip", trip, "A turn needs two round trips, a submit one: run engines close to the database.");
  else
    out.ok("round_trip", trip);
}

void judge_durability(const storage::postgres::inspection& p, report& out) {
  bool is_safe = true;
  if (p.fsync != "on") {
    is_safe = false;
    out.error("durability", "fsync is off: a crash of the machine destroys the database",
              "Set fsync = on in postgresql.conf and reload.");
  }
  if (p.full_page_writes != "on") {
    is_safe = false;
    out.error("durability", "full_page_writes is off: a crash of the machine may tear pages",
              "Set full_page_writes = on in postgresql.conf and reload.");
  }
  if (p.synchronous_commit == "off") {
    is_safe = false;
    out.warning("durability", "synchronous_commit is off for new connections of this role",
                "Rowcall's own connections turn it on; what others submit with plain SQL may be acknowledged and then "
                "lost in a "
                "crash. Set synchronous_commit = on for the server, the database and the role.");
  }
  if (!p.asynchronous_committers.empty()) {
    is_safe = false;
    out.warning(
        "durability", "synchronous_commit is off for " + joined(p.asynchronous_committers),
        "Commands that they submit with plain SQL may be acknowledged and then lost in a crash: ALTER ROLE … RESET "
        "synchronous_commit (or ALTER DATABASE …).");
  }
  if (is_safe)
    out.ok("durability",
           "fsync, full_page_writes and synchronous_commit (" + p.synchronous_commit + ") keep what was acknowledged");
}

void judge_clock(const storage::postgres::inspection& p, report& out) {
  const auto skew = std::chrono::abs(p.clock_ahead);
  const auto text = "the database's clock is " + milliseconds_of(skew) +
                    (p.clock_ahead.count() < 0 ? " behind" : " ahead of") + " this machine's (±" +
                    milliseconds_of(p.clock_unsure) + ")";
  if (skew > clock_skew_max + p.clock_unsure)
    out.warning("clock", text,
                "Rowcall compares only the database's times, so nothing breaks; but logs will not fit together. Run "
                "NTP on both.");
  else
    out.ok("clock", text);
}

void judge_connections(const storage::postgres::inspection& p, report& out) {
  const auto judge = [&](const std::string& whose, int used, int max, const std::string& setting) {
    const auto text = std::to_string(used) + " of " + std::to_string(max) + " connections" + whose + " are in use";
    const auto advice =
        "An engine takes one for each turn worker and three more, each submitter and follower one: raise " + setting +
        ", or put a pooler in session mode before the clients.";
    if (max - used < connections_free_min)
      out.error("connections", text, advice);
    else if (used * 100 > max * connections_used_percent_max)
      out.warning("connections", text, advice);
    else
      out.ok("connections", text);
  };
  judge("", p.connections_used, p.connections_max, "max_connections");
  if (p.role_connections_max >= 0)
    judge(" of this role", p.role_connections_used, p.role_connections_max, "the role's CONNECTION LIMIT");
}

void judge_upkeep(const storage::postgres::inspection& p, report& out) {
  if (!p.autovacuum || !p.track_counts)
    out.error("autovacuum", std::string(p.autovacuum ? "track_counts" : "autovacuum") + " is off",
              "Without it the tables bloat, plans go wrong and the server stops before transaction ids wrap around: "
              "turn it on.");
  else if (!p.tables_without_autovacuum.empty())
    out.warning("autovacuum", "autovacuum is off for " + joined(p.tables_without_autovacuum),
                "ALTER TABLE rowcall.… RESET (autovacuum_enabled).");
  else
    out.ok("autovacuum", "autovacuum is on");

  const auto age = std::max(p.xid_age, p.multixact_age);
  const auto text = "transaction ids: " + format_count(xid_age_max - age) + " left before the server refuses writes";
  const std::string advice =
      "Find what holds the oldest transaction (the horizon, below) and VACUUM (FREEZE) the oldest tables.";
  if (age > xid_age_error)
    out.error("wraparound", text, advice);
  else if (age > xid_age_warning)
    out.warning("wraparound", text, advice);
  else
    out.ok("wraparound", text);

  for (const auto& h : p.holders) {
    if (h.kind == "transaction")
      out.warning("horizon", "a transaction is open for " + describe_duration(h.age) + ": " + sanitised(h.name),
                  "Rowcall's logs do not suffer, but nothing that retention deletes is given back until it ends. "
                  "End it: SELECT pg_terminate_backend(pid).");
    else if (h.kind == "prepared transaction")
      out.warning("horizon",
                  "a prepared transaction is open for " + describe_duration(h.age) + ": " + sanitised(h.name),
                  "COMMIT PREPARED or ROLLBACK PREPARED it.");
    else
      out.warning(
          "horizon", "the replication slot " + sanitised(h.name) + " is inactive",
          "It keeps the write-ahead log until the disk is full: start its consumer, or pg_drop_replication_slot.");
  }
  if (p.holders.empty())
    out.ok("horizon",
           p.sees_all ? "no transaction is open for long"
                      : "no transaction of this role is open for long (others are hidden: GRANT pg_read_all_stats)");
}

void judge_schema(const symptoms& s, const storage::postgres::inspection& p, report& out) {
  int version = 0;
  if (s.migrations)
    for (const auto& m : *s.migrations)
      if (m.applied) version = std::max(version, m.version);
  std::string advice;
  if (!s.schema_fits && engine::is_transient(s.schema_fits.error().code))
    advice = "Ask again.";
  else if (!s.schema_fits && s.schema_fits.error().message.find("rowcall ") == std::string::npos)
    advice = "See `rowcall migrate status`.";
  if (!s.schema_fits)
    out.error("schema", s.schema_fits.error().message, advice);
  else
    out.ok("schema", "schema version " + std::to_string(version));
  if (!p.missing.empty())
    out.error("objects", "the schema lacks " + joined(p.missing),
              "Exactly-once rests on the constraints, speed on the indexes. Make them again as "
              "Rowcall's migrations do, whose SQL is in its sources "
              "(CREATE INDEX CONCURRENTLY, ALTER TABLE … ADD CONSTRAINT); stop the engines first when a primary key is "
              "missing.");
  if (!p.invalid.empty())
    out.error("objects", "not valid: " + joined(p.invalid),
              "An index: REINDEX INDEX CONCURRENTLY rowcall.…; a constraint: ALTER TABLE … VALIDATE CONSTRAINT …; "
              "a trigger: ALTER TABLE … ENABLE TRIGGER ….");
  if (p.missing.empty() && p.invalid.empty() && version > 0)
    out.ok("objects", "every table, index, constraint and function is there and valid");
}

void judge_engines(const engine::status_report& r, const std::vector<std::string>& kinds, report& out) {
  std::set<std::string> served, versions;
  for (const auto& node : r.nodes) {
    served.insert(node.kinds.begin(), node.kinds.end());
    versions.insert(node.version);
  }
  std::vector<std::string> unserved;
  for (const auto& kind : kinds)
    if (!served.contains(kind)) unserved.push_back(kind);
  // A kind that was taken out of the list may have sessions all the same.
  for (const auto& kind : r.unserved_kinds)
    if (std::find(unserved.begin(), unserved.end(), kind) == unserved.end()) unserved.push_back(kind);
  if (r.nodes.empty())
    out.error("engines", "no engine is running", "Start one: `rowcall serve`. Until then commands wait.");
  else {
    std::string text =
        std::to_string(r.nodes.size()) + (r.nodes.size() == 1 ? " engine is" : " engines are") + " running";
    for (const auto& kind : served) {
      const auto count = std::count_if(r.nodes.begin(), r.nodes.end(), [&](const engine::node_info& n) {
        return std::find(n.kinds.begin(), n.kinds.end(), kind) != n.kinds.end();
      });
      text += ", " + std::to_string(count) + " for " + kind;
    }
    out.ok("engines", text);
  }
  if (versions.size() > 1)
    out.warning("engines",
                "engines of several versions are running: " +
                    joined(std::vector<std::string>(versions.begin(), versions.end())),
                "Fine during a rolling upgrade. Finish it.");
  if (!unserved.empty() && !r.nodes.empty()) {
    const auto text = "no running engine serves the kinds " + joined(unserved);
    const auto advice =
        "Start an engine with their modules. A kind that is gone for good: DELETE FROM rowcall.kinds WHERE kind = '…', "
        "and it gets no new sessions; those that it has go on taking commands, which wait. `rowcall "
        "dead park --kind …` makes dead letters of what waits.";
    if (r.unserved_commands > 0)
      out.error("kinds",
                text + "; " + format_count(r.unserved_commands, "command") +
                    (r.unserved_commands == 1 ? " waits" : " wait") + " for one",
                advice);
    else
      out.warning("kinds", text, advice);
  }
}

void judge_work(const engine::status_report& r, report& out) {
  constexpr milliseconds pending_long{10'000};
  const auto pending =
      format_count(r.pending_commands, "command") + (r.pending_commands == 1 ? " is pending" : " are pending");
  if (r.oldest_pending_age > pending_long && !r.nodes.empty())
    out.warning("pending", pending + ", the oldest for " + describe_duration(r.oldest_pending_age),
                "See `rowcall status --watch`: are engines overloaded, or sessions held by a failing command?");
  else
    out.ok("pending", pending);
  if (r.retrying > 0)
    out.warning(
        "retries",
        format_count(r.retrying, "session") + (r.retrying == 1 ? " is" : " are") + " held by a command that fails",
        "`rowcall status` names them (all: SELECT * FROM rowcall.retries). Mend the cause; they are tried again by "
        "themselves.");
  if (r.dead > 0)
    out.warning("dead_letters", format_count(r.dead, "command") + (r.dead == 1 ? " was" : " were") + " given up",
                "`rowcall dead list`, then `rowcall dead redrive` or `rowcall dead drop` each.");
  else
    out.ok("dead_letters", "no dead letters");
}

void judge_logs(const engine::result<std::vector<storage::postgres::damaged_session>>& found, report& out) {
  if (!found) {
    out.warning("logs", "whether commands were deleted by hand could not be seen: " + found.error().message,
                "Ask again, with a longer --statement-timeout if it took too long.");
    return;
  }
  const auto& damaged = *found;
  if (damaged.empty()) {
    out.ok("logs", "the commands of every session looked at (100,000 at most) go on where its updates end");
    return;
  }
  std::vector<std::string> ends, gaps;
  for (const auto& s : damaged) {
    const auto processed = ", processed " + std::to_string(s.processed) + ")";
    if (s.next_command)
      gaps.push_back(s.session + " (next command " + std::to_string(*s.next_command) + processed);
    else
      ends.push_back(s.session + " (commands up to " + std::to_string(s.last_command) + processed);
  }
  if (!ends.empty())
    out.error("logs",
              "commands were deleted by hand; of these sessions the next ones count as processed and never run: " +
                  joined(ends),
              "For each, give its processed number a command again: INSERT INTO rowcall.command_log (session_id, seq, "
              "type, data) VALUES ('…', PROCESSED, 'filler', '{}'). What was submitted since the deletion has not run: "
              "submit it anew. Retention is `rowcall cleanup`.");
  if (!gaps.empty())
    out.error(
        "logs",
        "numbers are missing between what these sessions have processed and their next command, which somebody has "
        "written or deleted by hand; the engine leaves them alone: " +
            joined(gaps),
        "What was inserted by hand, with nothing submitted after it, can be deleted. Otherwise fill the gap: INSERT "
        "INTO "
        "rowcall.command_log (session_id, seq, type, data) SELECT '…', n, 'filler', '{}' FROM "
        "generate_series(PROCESSED + 1, NEXT - 1) n; the session goes on with these, which its module rejects or "
        "answers.");
}

void judge_nats(const bus::nats_facts& n, std::int64_t notice_bytes_max, report& out) {
  out.ok("nats", "NATS " + n.version + " at " + n.server +
                     (n.has_jetstream ? " (its JetStream is not needed)" : " (no JetStream, none is needed)"));
  out.ok("round_trip", "a round trip to NATS takes " + milliseconds_of(n.round_trip));
  if (n.payload_bytes_max < notice_bytes_max)
    out.warning("nats_payload",
                "max_payload is " + format_count(n.payload_bytes_max) + " bytes, a notice has up to " +
                    format_count(notice_bytes_max),
                "Larger notices are not sent, and followers see those updates when they poll: raise max_payload.");
  else
    out.ok("nats_payload", "max_payload (" + format_count(n.payload_bytes_max) + " bytes) holds every notice");
  if (!n.requires_credentials)
    out.warning("nats_auth", "everybody who reaches NATS may publish and listen",
                "Nothing can be lost or forged by it (the database is the truth), but updates can be read and engines "
                "woken in vain: "
                "see docs/operations/nats.conf.");
  else
    out.ok("nats_auth", std::string("NATS asks for credentials") + (n.requires_tls ? " and TLS" : ""));
  std::vector<std::string> rights;
  if (n.may_wake) rights.push_back("wake");
  if (n.may_hear_wakes) rights.push_back("hear wakes");
  if (n.may_notify) rights.push_back("notify");
  if (n.may_hear_updates) rights.push_back("hear updates");
  if (rights.empty())
    out.error("nats_rights", "these credentials may do nothing here",
              "Allow the subjects of docs/operations/nats.conf; does --subject-prefix fit?");
  else
    out.ok("nats_rights", "these credentials may " + joined(rights));
  if (n.may_notify && n.may_hear_updates && !n.delivers)
    out.error("nats_rights", "a notice that was published did not arrive",
              "Look at the server's log: is a subject mapping in the way?");
}

}  // namespace

std::string_view to_string(severity s) {
  switch (s) {
    case severity::ok:
      return "ok";
    case severity::warning:
      return "warning";
    case severity::error:
      return "error";
  }
  return "error";
}

std::vector<finding> diagnose(const symptoms& s) {
  report out;
  if (!s.postgres) {
    const auto& why = s.postgres.error();
    if (why.code == engine::errc::not_permitted)
      out.error("postgresql", "the database at " + s.database + " does not let this role look: " + why.message,
                "Grant it what it needs (docs/operations/roles.sql; rowcall_reader is enough for the doctor), or name "
                "another role.");
    else
      out.error(
          "postgresql", "cannot reach the database at " + s.database + ": " + why.message,
          "Check --database / ROWCALL_DATABASE_URL, that the server runs, and that it lets this role in (pg_hba.conf, "
          "the right CONNECT). Engines and clients wait for it.");
  } else {
    const auto& p = *s.postgres;
    judge_server(p, out);
    judge_durability(p, out);
    judge_clock(p, out);
    judge_connections(p, out);
    judge_upkeep(p, out);
    judge_schema(s, p, out);
    if (s.status && *s.status) {
      judge_engines(**s.status, s.kinds, out);
      judge_work(**s.status, out);
      if (s.damaged) judge_logs(*s.damaged, out);
    } else if (s.status) {
      out.error("engines", "the state of the engines can not be read: " + s.status->error().message,
                "A role that watches needs what docs/operations/roles.sql gives to rowcall_reader.");
    }
  }
  if (!s.bus)
    out.error("nats", "cannot use NATS at " + s.nats + ": " + s.bus.error().message,
              "Without it everything still flows, at the pace of the sweep (1 s). Check --nats / ROWCALL_NATS_URL and "
              "the credentials.");
  else
    judge_nats(*s.bus, s.notice_bytes_max, out);
  return out.take();
}

severity worst_of(const std::vector<finding>& findings) {
  auto worst = severity::ok;
  for (const auto& f : findings) worst = std::max(worst, f.how);
  return worst;
}

}  // namespace rowcall::tools
