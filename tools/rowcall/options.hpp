#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "engine/types.hpp"
#include "tools/connect/connect.hpp"
#include "tools/rowcall/logging.hpp"

/// What the command line, the environment and the configuration file amount to. Plain structs; the defaults are here.
namespace rowcall::tools {

using std::chrono::milliseconds;

struct global_options {
  connection_options connection;
  log_options log;
  bool json = false;                                                    ///< output for scripts: one JSON object a line
  std::size_t data_bytes_max = engine::command_data_bytes_max_default;  ///< of one command's data
};

struct migrate_options {
  enum class direction { up, down, status };
  direction what = direction::up;
  std::optional<int> target;  ///< down: the version to go back to; without one, the last migration is undone
  bool force = false;         ///< up: also while engines run that do not go with the new schema
};

struct submit_options {
  std::string session, type, data;
  std::optional<std::string> key;
  std::optional<milliseconds> wait;  ///< set: wait for the receipt, at most this long
};

struct follow_options {
  std::string session;
  std::int64_t after = 0;              ///< the update seq after which to start
  std::optional<std::uint64_t> count;  ///< end after this many updates
  bool once = false;                   ///< end at the end of the log instead of waiting for more
};

struct status_options {
  bool watch = false;
  milliseconds interval{1'000};
};

struct top_options {
  milliseconds interval{2'000};
  std::size_t sessions = 10;  ///< of the busiest, shown
  bool once = false;          ///< one screen, then the end
};

struct cleanup_options {
  milliseconds older_than{0};
  std::size_t chunk_rows = 2'000;
};

struct dead_options {
  enum class verb { list, show, redrive, drop, park };
  verb what = verb::list;
  std::string session;
  std::int64_t command = 0;
  std::size_t limit = 100;
  bool all = false;  ///< list: resolved ones as well
  std::string kind;  ///< park: of the sessions
};

struct doctor_options {};

struct restored_options {};

/// Bounds and times of an engine; see actors/engine_node.hpp for what each does.
struct serve_options {
  std::string node;           ///< name of this boot; empty = host name, pid and a random part
  int workers = 2;            ///< turn workers, each with a thread and a connection of its own
  int backlog_workers = 1;    ///< more of them, which only work while there is a backlog
  milliseconds turn_overlap_after{10};  ///< how long what becomes ready waits for the open turn's end
  int scheduler_threads = 0;            ///< of CAF's scheduler, which the directory runs on; 0 = one per core
  std::size_t turn_sessions_max = 1'024;
  std::size_t turn_commands_max = 4'096;
  std::size_t turn_commands_per_session_max = 256;
  std::size_t turn_bytes_max = 4 * 1024 * 1024;
  std::size_t inline_updates_bytes_max = 8 * 1024;  ///< a notice with more data than this makes followers read the log
  milliseconds sweep_interval{1'000};
  milliseconds heartbeat_interval{250};
  milliseconds dead_after{750};             ///< a node without a heartbeat for this long is dead
  milliseconds passivate_after{30'000};     ///< an idle session's state leaves memory
  milliseconds transaction_timeout{5'000};  ///< a stopped node keeps its shards at most this long
  milliseconds statement_timeout{30'000};
  milliseconds decide_timeout{1'000};  ///< for one command; three times that ends the process; 0 = nobody watches
  int snapshot_interval_updates = 256;
  int retry_attempts_max = 10;
  milliseconds retry_base{100};
  milliseconds retry_wait_max{60'000};
  std::int64_t session_pending_max = 1'000'000;  ///< of one session, 0 = none
  std::int64_t pending_max = 10'000'000;         ///< of all sessions, 0 = none
  milliseconds retention{0};  ///< 0 = keep everything
  milliseconds retention_interval{10'000};
  milliseconds stop_timeout{10'000};  ///< SIGTERM to exit
  std::string metrics_listen;  ///< HOST:PORT of /metrics, /healthz and /readyz; port 0 = a free one; empty = none
  milliseconds metrics_status_interval{10'000};  ///< how often the database is asked for what the metrics show of it
};

struct demo_options {
  bool no_load = false;
  std::size_t commands = 50'000;
  std::size_t sessions = 1'000;
  std::size_t in_flight = 2'000;  ///< commands submitted and not yet seen by their follower
  milliseconds timeout{120'000};  ///< the whole demo
};

struct chat_options {
  std::string user;
  std::string room;          ///< entered at the start (created when it does not exist); empty = none
  std::size_t history = 50;  ///< messages shown on entering a room
  bool no_colour = false;
};

/// See gateway/config.hpp for what each bound does.
struct gateway_options {
  std::string listen = "127.0.0.1:8080";  ///< address:port; port 0 is any that is free
  bool development = false;
  std::string token_keys;  ///< directory of the keys that tokens are checked with
  std::string web_root;    ///< empty: the pages that were built in
  std::string public_origin;
  std::vector<std::string> cors_origins;
  bool insecure_cookie = false;
  std::size_t connections_max = 16'000, streams_max = 12'000, streams_per_user_max = 20;
  std::size_t header_bytes_max = 16 * 1024, body_bytes_max = 1024 * 1024;
  double commands_per_s = 200, reads_per_s = 200;
  milliseconds header_timeout{10'000}, body_timeout{30'000}, idle_timeout{75'000}, write_timeout{10'000};
  milliseconds heartbeat{20'000};
  milliseconds poll_interval{10'000};
  std::size_t reader_threads = 4;
  std::size_t submit_connections = 2;
  milliseconds stop_timeout{10'000};
};

struct token_options {
  enum class verb { issue, inspect };
  verb what = verb::issue;
  std::string keys;  ///< directory of keys
  bool development = false;
  std::string kid;   ///< the key to sign with; empty: the last by name that can
  std::string user;
  std::vector<std::string> submit, follow;
  bool is_operator = false;
  milliseconds lifetime{3'600'000};
  std::string token;  ///< inspect: `-` reads it from stdin
};

struct invocation {
  global_options global;
  std::variant<migrate_options, submit_options, follow_options, status_options, top_options, cleanup_options,
               dead_options, doctor_options, restored_options, serve_options, demo_options, chat_options,
               gateway_options, token_options>
      action;
};

/// Reads the command line (with environment and configuration file). An int is the exit code of a run that ends here:
/// help, version, or an error that has been told.
std::variant<invocation, int> read_command_line(int argc, const char* const* argv);

}  // namespace rowcall::tools
