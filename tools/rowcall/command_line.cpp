#include <CLI/CLI.hpp>

#include <charconv>
#include <cstdint>
#include <cstdio>
#include <limits>

#include "tools/connect/command_line.hpp"
#include "tools/connect/duration.hpp"
#include "tools/rowcall/exit_code.hpp"
#include "tools/rowcall/format.hpp"
#include "tools/rowcall/options.hpp"
#include "tools/rowcall/version.hpp"

/// The one table of options. The only file of this folder that includes CLI11 (it takes seconds to compile).
namespace rowcall::tools {
namespace {

/// Everything an option can be written to before we know which subcommand was meant.
struct table {
  global_options global;
  migrate_options migrate;
  submit_options submit;
  follow_options follow;
  status_options status;
  top_options top;
  cleanup_options cleanup;
  dead_options dead;
  doctor_options doctor;
  restored_options restored;
  serve_options serve;
  demo_options demo;
  chat_options chat;
  gateway_options gateway;
  token_options token;
};

/// A whole number from `low` on, as far as its type reaches. (CLI11's own checks clamp what does not fit into 64 bits,
/// read 010 as eight, and name bounds of 300 digits.) To be used as a transform.
template <typename T>
CLI::Validator from(T low) {
  const auto check = [low](std::string& text) -> std::string {
    T value{};
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (code != std::errc{} || end != text.data() + text.size() || value < low)
      return text + " is not a whole number from " + std::to_string(low) + " to " +
             std::to_string(std::numeric_limits<T>::max());
    text = std::to_string(value);
    return {};
  };
  return {check, "INT from " + std::to_string(low)};
}

/// Of what looks again and again: often enough for people, and not so often that the database notices.
constexpr duration_rule look_interval{.shortest = milliseconds{100}};
/// Retention is counted in seconds.
constexpr duration_rule in_seconds{.step = milliseconds{1'000}};

void add_global(CLI::App& app, global_options& o) {
  add_connection_options(app, o.connection);
  app.add_option("--log-level", o.log.level, "what the log on stderr tells")
      ->check(CLI::IsMember({"trace", "debug", "info", "warn", "error", "off"}))
      ->type_name("LEVEL")
      ->capture_default_str();
  app.add_option("--log-format", o.log.format, "text for people, json for machines: one object a line")
      ->check(CLI::IsMember({"text", "json"}))
      ->type_name("FORMAT")
      ->capture_default_str();
  app.add_flag("--log-data", o.log.data, "the log may show what a failing command holds");
  app.add_option("--log-repeat-max", o.log.repeat_max, "lines of one kind in a period, the rest is counted; 0 is all")
      ->check(CLI::Range(std::size_t{0}, std::size_t{1'000'000}))
      ->type_name("N")
      ->capture_default_str();
  add_duration_option(app, "--log-repeat-period", o.log.repeat_period, "that period");
  app.add_flag("--json", o.json, "output for scripts: one JSON object a line, on stdout");
  app.add_option("--data-bytes-max", o.data_bytes_max, "largest data of one command, in bytes")
      ->check(CLI::Range(std::size_t{2}, std::size_t{16} * 1024 * 1024))
      ->type_name("BYTES")
      ->capture_default_str();
}

void add_migrate(CLI::App& app, migrate_options& o) {
  auto* sub = app.add_subcommand("migrate", "bring the database schema up to date, or back");
  sub->require_subcommand(0, 1);
  auto* up = sub->add_subcommand("up", "apply all missing migrations (also without a word)");
  up->add_flag("--force", o.force, "also while engines run that do not go with the new schema");
  up->callback([&o] { o.what = migrate_options::direction::up; });
  auto* down = sub->add_subcommand("down", "undo the last migration; --to VERSION undoes more (this deletes data)");
  down->add_option_function<int>(
          "--to", [&o](int version) { o.target = version; }, "undo everything above this version")
      ->transform(from(0))
      ->type_name("VERSION");
  down->callback([&o] { o.what = migrate_options::direction::down; });
  sub->add_subcommand("status", "list the migrations")->callback([&o] { o.what = migrate_options::direction::status; });
}

void add_submit(CLI::App& app, submit_options& o) {
  auto* sub = app.add_subcommand("submit", "store one command durably and wake its session");
  sub->add_option("session", o.session, "session id: <kind>-<name>")->required()->type_name("SESSION");
  sub->add_option("type", o.type, "command type")->required()->type_name("TYPE");
  sub->add_option("data", o.data, "JSON object; - reads it from stdin, @FILE from a file")
      ->required()
      ->type_name("JSON");
  sub->add_option_function<std::string>(
         "-k,--key", [&o](const std::string& key) { o.key = key; },
         "idempotency key: the same key in the same session is stored once, however often it is submitted")
      ->configurable(false)  // one that stays would make every later command a duplicate
      ->type_name("KEY");
  sub->add_option_function<std::string>(
         "-w,--wait",
         [&o](const std::string& text) {
           if (text == "true" || text.empty()) {
             o.wait = milliseconds{30'000};
             return;
           }
           auto parsed = parse_duration(text);
           if (!parsed)
             throw CLI::ValidationError("--wait",
                                        parsed.error().message + " (or put --wait at the end, or write --wait=10s)");
           o.wait = *parsed;
         },
         "wait for the receipt and print its updates; at most this long")
      ->expected(0, 1)
      ->type_name("[DURATION=30s]");
}

void add_follow(CLI::App& app, follow_options& o) {
  auto* sub = app.add_subcommand("follow", "print a session's updates, from any point, live");
  sub->footer(
      std::string{"Where retention has removed what comes next, the state of the last snapshot is printed in its place "
                  "(--json: an\n"
                  "object with \"gone\": true, snapshot_seq and state), and it goes on from there. That is no error, "
                  "unless --once\n"
                  "finds no snapshot after SEQ: exit code 5. An --after beyond the end of the log: 5 as well.\n\n"
                  "The options of `rowcall --help` (--database, --nats, --json, ...) may stand here as well.\n\n"} +
      exit_codes_text);
  sub->add_option("session", o.session, "session id: <kind>-<name>")->required()->type_name("SESSION");
  sub->add_option("-a,--after", o.after, "start after this update seq; 0 is the beginning")
      ->transform(from(std::int64_t{0}))
      ->configurable(false)  // of one session
      ->type_name("SEQ")
      ->capture_default_str();
  sub->add_option_function<std::uint64_t>(
         "-c,--count", [&o](std::uint64_t n) { o.count = n; }, "end after this many updates")
      ->transform(from(std::uint64_t{1}))
      ->configurable(false)
      ->type_name("N");
  sub->add_flag("--once", o.once, "end at the end of the log instead of waiting for more");
}

void add_status(CLI::App& app, status_options& o) {
  auto* sub = app.add_subcommand("status", "sessions, pending commands, nodes, retries, dead letters");
  sub->add_flag("--watch", o.watch, "again and again until Ctrl-C");
  add_duration_option(*sub, "--interval", o.interval, "how often --watch looks", look_interval);
}

void add_top(CLI::App& app, top_options& o) {
  auto* sub = app.add_subcommand("top", "live: rates, pending commands, engines, the busiest sessions; q quits");
  add_duration_option(*sub, "--interval", o.interval, "how often it looks", look_interval);
  sub->add_option("--sessions", o.sessions, "busiest sessions shown")
      ->check(CLI::Range(std::size_t{0}, std::size_t{1'000}))
      ->type_name("N")
      ->capture_default_str();
  sub->add_flag("--once", o.once, "print once and end; also when the output is no terminal");
}

void add_cleanup(CLI::App& app, cleanup_options& o) {
  auto* sub = app.add_subcommand("cleanup", "delete what is processed, old, and below a snapshot");
  add_duration_option(*sub, "--older-than", o.older_than, "the retention, for example 7d, in whole seconds", in_seconds)
      ->required()
      ->default_str("");
  sub->add_option("--chunk", o.chunk_rows, "rows of one transaction")
      ->check(CLI::Range(std::size_t{1}, std::size_t{100'000}))
      ->type_name("ROWS")
      ->capture_default_str();
}

void add_dead(CLI::App& app, dead_options& o) {
  auto* sub = app.add_subcommand("dead", "dead letters: commands that were given up");
  sub->require_subcommand(1);
  auto* list = sub->add_subcommand("list", "the newest first");
  list->callback([&o] { o.what = dead_options::verb::list; });
  list->add_option("--limit", o.limit, "at most this many")
      ->check(CLI::Range(std::size_t{1}, std::size_t{100'000}))
      ->type_name("N")
      ->capture_default_str();
  list->add_flag("--all", o.all, "resolved ones as well");
  const auto add = [&](const char* name, const char* description, dead_options::verb verb) {
    auto* one = sub->add_subcommand(name, description);
    one->callback([&o, verb] { o.what = verb; });
    one->add_option("session", o.session, "session id")->required()->type_name("SESSION");
    one->add_option("command", o.command, "seq of the command")
        ->required()
        ->transform(from(std::int64_t{1}))
        ->type_name("SEQ");
  };
  add("show", "everything about one", dead_options::verb::show);
  add("redrive", "submit it again, as a new command that is linked to it", dead_options::verb::redrive);
  add("drop", "mark it as dealt with", dead_options::verb::drop);
  auto* park =
      sub->add_subcommand("park", "make dead letters of all that waits for a kind that no engine serves any more");
  park->callback([&o] { o.what = dead_options::verb::park; });
  park->add_option("--kind", o.kind, "the kind of the sessions, which no running engine may serve")
      ->required()
      ->configurable(false)  // one that stays would be parked another time
      ->type_name("KIND");
}

void add_doctor(CLI::App& app) {
  app.add_subcommand("doctor", "check versions, schema, settings, clocks, connections, engines; says what to do")
      ->footer(std::string{"Ends with 0 when all is well, 7 when something needs attention, 1 when something is broken.\n\n"} +
               exit_codes_text);
}

void add_restored(CLI::App& app) {
  app.add_subcommand("restored", "to be run once after an older state of the database was restored, before engines start");
}

void add_serve(CLI::App& app, serve_options& o) {
  auto* sub = app.add_subcommand("serve", "run an engine until SIGTERM or Ctrl-C");
  const auto count = [&](const char* name, auto& value, auto low, auto high, const char* description) {
    using T = std::decay_t<decltype(value)>;
    sub->add_option(name, value, description)
        ->check(CLI::Range(static_cast<T>(low), static_cast<T>(high)))
        ->type_name("N")
        ->capture_default_str();
  };
  const auto duration = [&](const char* name, milliseconds& value, const char* description, duration_rule rule = {}) {
    add_duration_option(*sub, name, value, description, rule);
  };
  sub->add_option("--node", o.node, "name of this boot, unique; by default host, pid and a random part")
      ->type_name("NAME");
  count("--workers", o.workers, 1, 64, "turn workers, each with a thread and a database connection");
  count("--backlog-workers", o.backlog_workers, 0, 64, "more of them, which only work while there is a backlog");
  duration("--turn-overlap-after", o.turn_overlap_after,
           "how long what becomes ready waits for the open turn's end, to make one large turn; 0 does not wait");
  count("--scheduler-threads", o.scheduler_threads, 0, 256,
        "threads of CAF's scheduler, which the directory runs on; 0 is one per core");
  count("--turn-sessions-max", o.turn_sessions_max, 1, 100'000, "sessions of one turn");
  count("--turn-commands-max", o.turn_commands_max, 1, 1'000'000, "commands of one turn");
  count("--turn-commands-per-session-max", o.turn_commands_per_session_max, 1, 100'000,
        "commands of one session in one turn");
  count("--turn-bytes-max", o.turn_bytes_max, 1'024, 1'000'000'000, "bytes of command data in one turn");
  count("--inline-updates-bytes-max", o.inline_updates_bytes_max, 0, 512 * 1024,
        "a notice carries the updates up to this size; followers read larger ones from the log");
  duration("--sweep-interval", o.sweep_interval, "how often lost wakes are looked for");
  duration("--heartbeat-interval", o.heartbeat_interval, "how often this node says that it is alive");
  duration("--dead-after", o.dead_after, "a node that was silent for this long is dead");
  duration("--passivate-after", o.passivate_after, "an idle session leaves memory after this");
  duration("--transaction-timeout", o.transaction_timeout, "a node that is cut off keeps its shards at most this long");
  duration("--statement-timeout", o.statement_timeout, "bound on one SQL statement");
  duration(
      "--decide-timeout", o.decide_timeout,
      "a module that is at one command for longer is reported, and after three times that the process ends, so that "
      "the command is parked in the end; at most a fifth of the transaction timeout; 0 does not watch");
  count("--snapshot-interval-updates", o.snapshot_interval_updates, 1, 1'000'000,
        "updates between two snapshots of a session");
  count("--retry-attempts-max", o.retry_attempts_max, 1, 1'000, "attempts before a failing command is parked");
  duration("--retry-base", o.retry_base, "wait before the second attempt; doubled for each further one");
  duration("--retry-wait-max", o.retry_wait_max, "the longest wait between two attempts");
  count("--session-pending-max", o.session_pending_max, 0, 1'000'000'000,
        "pending commands of one session beyond which submits are refused as busy (up to 63 more); 0 is no bound");
  count("--pending-max", o.pending_max, 0, 1'000'000'000,
        "pending commands of all sessions beyond which submits are refused as busy, counted by the sweep; 0 is no bound");
  duration("--retention", o.retention, "what is processed and older is deleted, in whole seconds; 0 keeps everything",
           in_seconds);
  duration("--retention-interval", o.retention_interval, "how often the retention is applied");
  sub->add_option(
         "--metrics-listen", o.metrics_listen,
         "serve /metrics, /healthz and /readyz over HTTP here, for example 127.0.0.1:9464 (port 0 is a free one); "
         "without it there is no such port")
      ->type_name("HOST:PORT");
  duration("--metrics-status-interval", o.metrics_status_interval,
           "how often the database is asked for the pending commands that the metrics show");
  duration("--stop-timeout", o.stop_timeout, "bound on a graceful stop");
}

void add_demo(CLI::App& app, demo_options& o) {
  auto* sub =
      app.add_subcommand("demo", "play a conversation and a burst of load through a running engine, and check it");
  sub->add_option("--commands", o.commands, "commands of the burst")
      ->check(CLI::Range(std::size_t{1}, std::size_t{10'000'000}))
      ->type_name("N")
      ->capture_default_str();
  sub->add_option("--sessions", o.sessions, "sessions they are spread over")
      ->check(CLI::Range(std::size_t{1}, std::size_t{100'000}))
      ->type_name("N")
      ->capture_default_str();
  sub->add_option("--in-flight", o.in_flight, "commands that are under way at a time")
      ->check(CLI::Range(std::size_t{1}, std::size_t{100'000}))
      ->type_name("N")
      ->capture_default_str();
  sub->add_flag("--no-load", o.no_load, "only the conversation");
  add_duration_option(*sub, "--timeout", o.timeout, "bound on everything");
}

void add_chat(CLI::App& app, chat_options& o) {
  auto* sub = app.add_subcommand("chat", "talk to others in rooms, in the terminal");
  sub->add_option("-u,--user", o.user, "your name: 1 to 32 of A-Z a-z 0-9 _ -")->required()->type_name("NAME");
  sub->add_option("-r,--room", o.room, "room to enter at once; created when it does not exist")->type_name("ROOM");
  sub->add_option("--history", o.history, "messages shown on entering a room")
      ->check(CLI::Range(std::size_t{0}, std::size_t{10'000}))
      ->type_name("N")
      ->capture_default_str();
  sub->add_flag("--no-colour,--no-color", o.no_colour, "plain text (also with NO_COLOR set)");
}

void add_gateway(CLI::App& app, gateway_options& o) {
  auto* sub = app.add_subcommand("gateway", "HTTP and server-sent events for browsers, until SIGTERM or Ctrl-C");
  const auto count = [&](const char* name, std::size_t& value, std::size_t low, std::size_t high, const char* description) {
    sub->add_option(name, value, description)->check(CLI::Range(low, high))->type_name("N")->capture_default_str();
  };
  const auto rate = [&](const char* name, double& value, const char* description) {
    sub->add_option(name, value, description)->check(CLI::Range(0.1, 1e9))->type_name("N")->capture_default_str();
  };
  sub->add_option("--listen", o.listen, "address and port; port 0 is any that is free")
      ->type_name("ADDRESS:PORT")
      ->capture_default_str();
  sub->add_flag("--development", o.development, "tokens of the key that everybody knows, and a login without a password");
  sub->add_option("--token-keys", o.token_keys, "directory with the keys of tokens; looked at again every second")->type_name("DIR");
  sub->add_option("--web-root", o.web_root, "serve the pages of this directory instead of those that were built in")->type_name("DIR");
  sub->add_option("--public-origin", o.public_origin, "what browsers call this gateway behind a proxy, https://chat.example.org")
      ->type_name("ORIGIN");
  sub->add_option("--cors-origin", o.cors_origins, "another origin whose pages may use the API; may be given several times")
      ->type_name("ORIGIN");
  sub->add_flag("--insecure-cookie", o.insecure_cookie, "the cookie may go over plain HTTP (no TLS before the gateway)");
  count("--connections-max", o.connections_max, 1, 1'000'000, "open connections");
  count("--streams-max", o.streams_max, 1, 1'000'000, "open event streams");
  count("--streams-per-user-max", o.streams_per_user_max, 1, 1'000'000, "open event streams of one user");
  count("--header-bytes-max", o.header_bytes_max, 1'024, 1024 * 1024, "largest request header");
  count("--body-bytes-max", o.body_bytes_max, 1, 16 * 1024 * 1024, "largest request body");
  rate("--commands-per-s", o.commands_per_s, "commands of one user; twice as many at once");
  rate("--reads-per-s", o.reads_per_s, "pages, snapshots and streams of one user; twice as many at once");
  add_duration_option(*sub, "--header-timeout", o.header_timeout, "bound on reading a request's header");
  add_duration_option(*sub, "--body-timeout", o.body_timeout, "bound on reading a request's body");
  add_duration_option(*sub, "--idle-timeout", o.idle_timeout, "a connection without a request is closed after this");
  add_duration_option(*sub, "--write-timeout", o.write_timeout, "a reader that takes nothing for this long is dropped");
  add_duration_option(*sub, "--heartbeat", o.heartbeat, "of open streams");
  add_duration_option(*sub, "--poll-interval", o.poll_interval, "how long a lost notice can delay a stream");
  count("--reader-threads", o.reader_threads, 1, 64, "threads that read the database, each with a connection");
  count("--submit-connections", o.submit_connections, 1, 16, "connections that commands are stored through");
  add_duration_option(*sub, "--stop-timeout", o.stop_timeout, "bound on a graceful stop");
}

void add_token(CLI::App& app, token_options& o) {
  auto* sub = app.add_subcommand("token", "signed tokens for the gateway");
  sub->require_subcommand(1);
  auto* issue = sub->add_subcommand("issue", "print a new token");
  issue->callback([&o] { o.what = token_options::verb::issue; });
  auto* inspect = sub->add_subcommand("inspect", "print what stands in a token, and whether it would be accepted");
  inspect->callback([&o] { o.what = token_options::verb::inspect; });
  for (auto* one : {issue, inspect}) {
    one->add_option("--token-keys", o.keys, "directory with the keys")->envname("ROWCALL_TOKEN_KEYS")->type_name("DIR");
    one->add_flag("--development", o.development, "the key that everybody knows");
  }
  issue->add_option("--kid", o.kid, "the key to sign with; by default the last by name that can")->type_name("NAME");
  issue->add_option("-u,--user", o.user, "whose token it is; by default it names his own session")->type_name("NAME");
  issue->add_option("--submit", o.submit, "session (or prefix, echo-*) to submit to; may be given several times")->type_name("SESSION");
  issue->add_option("--follow", o.follow, "session (or prefix) to follow; may be given several times")->type_name("SESSION");
  issue->add_flag("--operator", o.is_operator, "lets into the operator's pages");
  add_duration_option(*issue, "--lifetime", o.lifetime, "how long it is valid");
  inspect->add_option("token", o.token, "the token; - reads it from stdin")->required()->type_name("TOKEN");
}

int tell(CLI::App& app, const CLI::ParseError& error, const std::vector<std::string>& arguments) {
  if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success)) return app.exit(error);
  const auto unknown = app.remaining();
  const auto fault = fault_of(app, error, arguments);
  if (app.get_subcommands().empty() && !unknown.empty())
    std::fprintf(stderr, "rowcall: there is no command '%s'\n", sanitised(unknown.front()).c_str());
  else
    std::fprintf(stderr, "rowcall: %s\n", fault.message.c_str());
  std::fprintf(stderr, "See `rowcall%s%s --help`.\n", fault.command.empty() ? "" : " ", fault.command.c_str());
  return static_cast<int>(exit_code::usage);
}

}  // namespace

std::variant<invocation, int> read_command_line(int argc, const char* const* argv) {
  CLI::App app{"Rowcall: a durable, exactly-once command/update engine on PostgreSQL and NATS.", "rowcall"};
  table t;
  app.set_version_flag("--version", std::string{"rowcall "} + version);
  // Footer and fallthrough are inherited by subcommands that are added later.
  app.footer(
      std::string{"The options of `rowcall --help` (--database, --nats, --json, ...) may stand here as well.\n\n"} +
      exit_codes_text);
  app.fallthrough();
  app.require_subcommand(1);
  add_global(app, t.global);
  add_serve(app, t.serve);
  add_migrate(app, t.migrate);
  add_submit(app, t.submit);
  add_follow(app, t.follow);
  add_status(app, t.status);
  add_top(app, t.top);
  add_cleanup(app, t.cleanup);
  add_dead(app, t.dead);
  add_doctor(app);
  add_restored(app);
  add_chat(app, t.chat);
  add_demo(app, t.demo);
  add_gateway(app, t.gateway);
  add_token(app, t.token);
  app.footer(exit_codes_text);
  finish_options(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return tell(app, error, {argv + 1, argv + argc});
  }
  const auto& name = app.get_subcommands().front()->get_name();
  const auto with = [&](auto& options) { return invocation{t.global, options}; };
  if (name == "serve") return with(t.serve);
  if (name == "migrate") return with(t.migrate);
  if (name == "submit") return with(t.submit);
  if (name == "follow") return with(t.follow);
  if (name == "status") return with(t.status);
  if (name == "top") return with(t.top);
  if (name == "cleanup") return with(t.cleanup);
  if (name == "dead") return with(t.dead);
  if (name == "restored") return with(t.restored);
  if (name == "doctor") return with(t.doctor);
  if (name == "chat") return with(t.chat);
  if (name == "gateway") return with(t.gateway);
  if (name == "token") return with(t.token);
  return with(t.demo);
}

}  // namespace rowcall::tools
