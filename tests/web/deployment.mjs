// A whole deployment for the browser to talk to: PostgreSQL, NATS, engine and gateway as processes of the test's own, each of
// which can be killed and started again. ROWCALL_BINARY and ROWCALL_TEST_SERVERS are set by CTest (tests/support/README.md).
import { spawn, spawnSync } from "node:child_process";
import { appendFileSync, chmodSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const START_MS = 60_000;

function setting(name) {
  const file = process.env.ROWCALL_TEST_SERVERS;
  if (!file || !existsSync(file)) throw new Error("ROWCALL_TEST_SERVERS names no file: see tests/support/README.md");
  const line = readFileSync(file, "utf8").split("\n").find((l) => l.startsWith(`${name}=`));
  if (!line) throw new Error(`${file} has no ${name}`);
  return line.slice(name.length + 1);
}
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
async function until(condition, what, process) {
  const deadline = Date.now() + START_MS;
  while (!(await condition())) {
    if (Date.now() > deadline || (process && process.exitCode !== null)) throw new Error(`${what} did not start`);
    await pause(20);
  }
}
function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer().on("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}
const listens = (port) =>
  new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.on("connect", () => (socket.destroy(), resolve(true))).on("error", () => resolve(false));
  });

export class Deployment {
  #base = mkdtempSync(join(tmpdir(), "rowcall-web-"));
  #children = {};
  #ports = {};
  url = null;

  static async start(options = {}) {
    const deployment = new Deployment();
    process.on("exit", () => deployment.#killAll());
    for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));
    try {
      await deployment.#create(options);
    } catch (error) {
      const logs = ["postgres", "nats", "engine", "gateway"].map((name) => `--- ${name}\n${deployment.log(name).slice(-2000)}`);
      await deployment.stop();
      throw new Error(`${error.message}\n${logs.join("\n")}`, { cause: error });
    }
    return deployment;
  }
  async #create({ gateway = [] }) {
    this.gatewayOptions = gateway;
    chmodSync(this.#base, 0o755);
    const data = join(this.#base, "data");
    if (spawnSync("cp", ["-a", setting("POSTGRES_TEMPLATE"), data]).status !== 0) throw new Error("the cluster could not be copied");
    appendFileSync(join(data, "postgresql.conf"), "\nfsync = off\nfull_page_writes = off\nsynchronous_commit = off\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = ''\nmax_connections = 60\nshared_buffers = 32MB\n");
    for (const name of ["postgres", "nats", "gateway"]) this.#ports[name] = await freePort();
    await this.startPostgres();
    await this.startNats();
    this.run("migrate", "up");
    await this.startEngine();
    await this.startGateway();
  }

  get #environment() {
    return {
      ...process.env,
      ROWCALL_DATABASE_URL: `postgresql://rowcall@127.0.0.1:${this.#ports.postgres}/postgres`,
      ROWCALL_NATS_URL: `nats://127.0.0.1:${this.#ports.nats}`,
    };
  }
  /** `rowcall …` to its end. */
  run(...args) {
    const { status, stderr, stdout } = spawnSync(process.env.ROWCALL_BINARY, args, { env: this.#environment, encoding: "utf8" });
    if (status !== 0) throw new Error(`rowcall ${args.join(" ")}: ${stderr}`);
    return stdout;
  }
  sql(statement) {
    const { status, stdout, stderr } = spawnSync("psql", ["-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", this.#environment.ROWCALL_DATABASE_URL, "-c", statement], { encoding: "utf8" });
    if (status !== 0) throw new Error(stderr);
    return stdout.trim();
  }
  log(name) {
    const file = join(this.#base, `${name}.log`);
    return existsSync(file) ? readFileSync(file, "utf8") : "";
  }

  #spawn(name, program, args) {
    const log = openSync(join(this.#base, `${name}.log`), "a");
    const child = spawn(program, args, { cwd: "/", env: this.#environment, stdio: ["ignore", log, log] });
    this.#children[name] = child;
    return child;
  }
  async startPostgres() {
    const data = join(this.#base, "data");
    const bin = join(setting("POSTGRES_BIN"), "postgres");
    rmSync(join(data, "postmaster.pid"), { force: true });
    const args = [bin, "-D", data, "-p", String(this.#ports.postgres)];
    // setpriv becomes postgres, which takes its own children along when this process dies.
    const asUser = process.getuid() === 0 ? ["--reuid=postgres", "--regid=postgres", "--init-groups"] : [];
    const child = this.#spawn("postgres", "setpriv", [...asUser, "--pdeathsig", "QUIT", "--", ...args]);
    await until(() => spawnSync(join(setting("POSTGRES_BIN"), "pg_isready"), ["-q", "-h", "127.0.0.1", "-p", String(this.#ports.postgres)]).status === 0, "PostgreSQL", child);
  }
  async startNats() {
    const path = `${process.env.PATH}:/usr/sbin:/usr/local/sbin`;
    const program = path.split(":").map((d) => join(d, "nats-server")).find(existsSync);
    const child = this.#spawn("nats", "setpriv", ["--pdeathsig", "KILL", "--", program, "-a", "127.0.0.1", "-p", String(this.#ports.nats)]);
    await until(() => listens(this.#ports.nats), "nats-server", child);
  }
  async startEngine() {
    const said = this.log("engine").length;
    const child = this.#spawn("engine", "setpriv", ["--pdeathsig", "KILL", "--", process.env.ROWCALL_BINARY, "serve"]);
    await until(() => /(^| )ready$/m.test(this.log("engine").slice(said)), "the engine", child);
  }
  async startGateway() {
    const child = this.#spawn("gateway", "setpriv", [
      "--pdeathsig", "KILL", "--", process.env.ROWCALL_BINARY, "gateway", "--development", "--listen", `127.0.0.1:${this.#ports.gateway}`, ...this.gatewayOptions,
    ]);
    await until(() => listens(this.#ports.gateway), "the gateway", child);
    this.url = `http://127.0.0.1:${this.#ports.gateway}`;
  }
  /** SIGKILL, to the end of the process and of what it had started. */
  async kill(name) {
    const child = this.#children[name];
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await ended;
    // Backends of a killed postmaster notice it by themselves, and hold its shared memory until then.
    if (name === "postgres") await until(() => spawnSync("pgrep", ["-f", join(this.#base, "data")]).status !== 0 && true, "the end of PostgreSQL");
  }
  async stop() {
    for (const name of ["gateway", "engine", "nats"]) await this.kill(name);
    const postgres = this.#children.postgres;
    if (postgres && postgres.exitCode === null && postgres.signalCode === null) {
      const ended = new Promise((resolve) => postgres.once("exit", resolve));
      postgres.kill("SIGQUIT");
      await ended;
    }
    rmSync(this.#base, { recursive: true, force: true });
  }
  #killAll() {
    for (const child of Object.values(this.#children)) child.kill("SIGKILL");
    rmSync(this.#base, { recursive: true, force: true });
  }
}
