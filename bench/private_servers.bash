# For the scripts of bench/: a PostgreSQL and a NATS of their own. Source it after `root` is set.
# shellcheck source-path=SCRIPTDIR source=../tools/setup/services.bash
source "$root/tools/setup/services.bash"

# private_servers NAME ROWCALL [SETTING…]: starts both, with PostgreSQL's settings, brings the schema up with the program ROWCALL,
# exports ROWCALL_DATABASE_URL and ROWCALL_NATS_URL, and sets base (a directory for the script's files), postgres_pid and nats_pid.
# All of it ends with the script, before which `also_stop` is called if the script has defined it.
private_servers() {
  local name=$1 rowcall=$2 port
  shift 2
  base=$(mktemp -d "/tmp/rowcall-$name-XXXXXX")
  chmod 0755 "$base"
  trap stop_private_servers EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  postgres_init "$base/data" durable "max_connections = 50" "listen_addresses = ''" "$@" >&2
  database_directory "$base/socket"
  chmod 0755 "$base/socket"
  postgres_start "$base/data" "$base/socket" 5432 "$base/postgres.log" || { cat "$base/postgres.log" >&2; die "PostgreSQL did not start"; }
  postgres_pid=$(first_line "$base/data/postmaster.pid")
  port=$(free_port)
  nats_start "$port" "$base/nats.conf" "$base/nats.log" || { cat "$base/nats.log" >&2; die "nats-server did not start"; }
  export ROWCALL_DATABASE_URL="postgresql://rowcall@/postgres?host=$base/socket&port=5432" ROWCALL_NATS_URL="nats://127.0.0.1:$port"
  "$rowcall" migrate up >&2
}

# built_programs TARGET…: sets build and rowcall. ROWCALL_BUILD names a build whose programs are used as they are; without it these
# are made in build/release.
built_programs() {
  build=${ROWCALL_BUILD-}
  if [[ -z $build ]]; then
    build=$root/build/release
    [[ ${ROWCALL_INSTALL-} == no ]] || "$root/tools/setup/packages" --tests >&2
    (cd "$root" && cmake --preset release -DROWCALL_TESTS=OFF) >/dev/null
    ninja -C "$build" "$@" >&2
  fi
  rowcall=$build/tools/rowcall/rowcall
}

# start_engine [OPTION…]: `rowcall serve` on the private servers, sets engine (its pid); base/engine.log is its log.
start_engine() {
  "$rowcall" serve "$@" >"$base/engine.log" 2>&1 &
  engine=$!
  wait_until 20 grep -q "info ready" "$base/engine.log" || { cat "$base/engine.log" >&2; die "the engine did not become ready"; }
}
stop_engine() { stop_process "${engine-}" "$rowcall" TERM 10; }

# What a server for benchmarks has: room for the work, and no checkpoint in the middle of it.
roomy=("shared_buffers = 512MB" "max_wal_size = 8GB" "checkpoint_timeout = 30min")

# shellcheck disable=SC2317 # called by the trap
stop_private_servers() {
  if declare -F also_stop >/dev/null; then also_stop; fi
  stop_process "$(first_line "$base/data/postmaster.pid")" "$base" INT 10
  stop_process "${nats_pid-}" "$base" INT 5
  rm -rf "$base"
}
