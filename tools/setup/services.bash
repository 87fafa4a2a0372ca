# Starts and stops private PostgreSQL and NATS servers: sourced by `run` and by tests/support/servers.
#
# Nothing here touches a system cluster or a system service: every server has its own data directory, its own port and
# socket, and is stopped by its own process id. `initdb` and `postgres` refuse to run as root; root becomes `postgres`.
# shellcheck shell=bash

say() { printf '%s\n' "$*"; }

die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# The directory of the newest PostgreSQL server's programs.
postgres_bindir() {
  local found
  found=$(printf '%s\n' /usr/lib/postgresql/*/bin/postgres | sort -V | tail -n 1)
  [[ -x $found ]] || return 1
  dirname "$found"
}

nats_server_program() {
  PATH="$PATH:/usr/sbin:/sbin:/usr/local/sbin" command -v nats-server
}

# Runs a command as the user who may run PostgreSQL: `postgres` when we are root, else ourselves. Keeps the process id.
as_database_user() {
  if ((EUID == 0)); then
    setpriv --reuid=postgres --regid=postgres --init-groups -- "$@"
  else
    "$@"
  fi
}

# database_directory PATH: makes an empty directory that belongs to the database user.
database_directory() {
  mkdir -p "$1"
  chmod 0700 "$1"
  if ((EUID == 0)); then chown postgres:postgres "$1"; fi
}

# True when the database user can reach and write PATH (a clone under /root can not be reached by `postgres`).
database_user_reaches() { (cd / && as_database_user test -w "$1" -a -x "$1") 2>/dev/null; }

# A TCP port of 127.0.0.1 that nobody listens on, below the range that outgoing connections take theirs from.
free_port() {
  local port
  for _ in {1..100}; do
    port=$((10000 + RANDOM % 20000))
    if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
      printf '%s\n' "$port"
      return 0
    fi
  done
  return 1
}

# wait_until SECONDS COMMAND…: polls until the command succeeds; 1 when it did not in time.
wait_until() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < deadline)) || return 1
    sleep 0.02
  done
}

# The value of KEY in a file of KEY=VALUE lines; empty when there is none.
value_of() {
  [[ -r $1 ]] || return 0
  sed -n "s/^$2=//p" "$1" | tail -n 1
}

# The first line of a file; empty when there is none.
first_line() { if [[ -r $1 ]]; then head -n 1 "$1"; fi; }

# True when process PID lives and MARK (its data directory, say) is in its command line: a pid file may outlive its process.
process_is() {
  [[ -n $1 && -r /proc/$1/cmdline ]] && tr '\0' ' ' 2>/dev/null <"/proc/$1/cmdline" | grep -qF -- "$2"
}

process_is_gone() { ! process_is "$1" "$2"; }

# stop_process PID MARK SIGNAL SECONDS: the signal, then SIGKILL when it is still there after SECONDS.
stop_process() {
  process_is "$1" "$2" || return 0
  kill "-$3" "$1" 2>/dev/null || return 0
  if ! wait_until "$4" process_is_gone "$1" "$2"; then
    kill -KILL "$1" 2>/dev/null || true
    wait_until 5 process_is_gone "$1" "$2"
  fi
}

# postgres_init DATA_DIR durable|fast [SETTING…]: a new cluster with the superuser `rowcall`, trusting local connections
# only. fast: not synced to the disk, for tests.
postgres_init() {
  local data=$1 bin output sync=
  if [[ $2 == fast ]]; then sync=--no-sync; fi
  shift 2
  bin=$(postgres_bindir) || die "PostgreSQL is not installed; run tools/setup/packages"
  database_directory "$data"
  output=$(cd / && as_database_user "$bin/initdb" -D "$data" -U rowcall -E UTF8 --locale=C.UTF-8 --auth=trust ${sync:+"$sync"} 2>&1) ||
    die "initdb failed: $output"
  (($# == 0)) || printf '%s\n' "$@" | as_database_user tee -a "$data/postgresql.conf" >/dev/null
}

# postgres_start DATA_DIR SOCKET_DIR PORT LOG [OPTION…]: sets postgres_pid; 1 when it does not come up (see LOG). Without a
# SOCKET_DIR only on TCP.
postgres_start() {
  local data=$1 sockets=$2 port=$3 log=$4 bin
  shift 4
  bin=$(postgres_bindir) || die "PostgreSQL is not installed; run tools/setup/packages"
  postgres_pid=
  # A server that was killed leaves a pid file; postgres itself removes a stale one, unless the pid is in use again.
  local other
  other=$(first_line "$data/postmaster.pid")
  if [[ -n $other ]]; then
    if process_is "$other" "$data"; then
      printf 'a server (process %s) already runs on %s\n' "$other" "$data" >>"$log"
      return 1
    fi
    rm -f "$data/postmaster.pid"
  fi
  (
    cd /
    if ((EUID == 0)); then
      exec setsid setpriv --reuid=postgres --regid=postgres --init-groups -- \
        "$bin/postgres" -D "$data" -p "$port" -k "$sockets" "$@"
    else
      exec setsid "$bin/postgres" -D "$data" -p "$port" -k "$sockets" "$@"
    fi
  ) </dev/null >>"$log" 2>&1 &
  postgres_pid=$!
  local deadline=$((SECONDS + 60))
  # (A stranger's server on the same port would answer as well; then ours ends, with its reason in the log.)
  until "$bin/pg_isready" -q -h "${sockets:-127.0.0.1}" -p "$port"; do
    if ! kill -0 "$postgres_pid" 2>/dev/null || ((SECONDS >= deadline)); then
      kill -QUIT "$postgres_pid" 2>/dev/null || true
      return 1
    fi
    sleep 0.02
  done
  kill -0 "$postgres_pid" 2>/dev/null
}

# nats_start PORT NAME LOG [OPTION…]: sets nats_pid; 1 when it does not come up (see LOG). NAME marks the process.
# It shares the machine with everything else, so it gets a quarter of the cores: Go's scheduler would otherwise search for work on
# cores that others wait for (docs/decisions/0003).
nats_start() {
  local port=$1 name=$2 log=$3 program
  shift 3
  program=$(nats_server_program) || die "nats-server is not installed; run tools/setup/packages"
  GOMAXPROCS=${GOMAXPROCS-$((($(nproc) + 3) / 4))} setsid "$program" -a 127.0.0.1 -p "$port" --name "$name" "$@" </dev/null >>"$log" 2>&1 &
  nats_pid=$!
  local deadline=$((SECONDS + 20))
  until (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
    if ! kill -0 "$nats_pid" 2>/dev/null || ((SECONDS >= deadline)); then
      kill -KILL "$nats_pid" 2>/dev/null || true
      return 1
    fi
    sleep 0.02
  done
  # Somebody else may have taken the port between the choice and the start: then ours has ended.
  kill -0 "$nats_pid" 2>/dev/null
}
