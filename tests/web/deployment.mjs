// A whole deployment for the browser to talk to: PostgreSQL, NATS, engine and gateway as processes of the test's own, each of
// which can be killed and started again. ROWCALL_BINARY and ROWCALL_TEST_SERVERS are set by CTest (tests/support/README.md).
import { spawn, spawnSync } from "node:child_process";
import { appendFileSync, chmodSync, closeSync, existsSync, mkdtempSync, openSync, readFileSync, readdirSync, readlinkSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { freePort } from "./ports.mjs";

const START_MS = 60_000;

function setting(name) {
  const file = process.env.ROWCALL_TEST_SERVERS;
  if (!file || !existsSync(file)) throw new Error("ROWCALL_TEST_SERVERS names no file: see tests/support/README.md");
  const line = readFileSync(file, "utf8").split("\n").find((l) => l.startsWith(`${name}=`));
  if (!line) throw new Error(`${file} has no ${name}`);
  return line.slice(name.length + 1);
}
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
async function until(condition, what) {
  const deadline = Date.now() + START_MS;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`not in time: ${what}`);
    await pause(20);
  }
}
/** Whether a process works in this folder. */
const isAnyIn = (folder) =>
  readdirSync("/proc").some((pid) => {
    try {
      return /^\d+$/.test(pid) && readlinkSync(`/proc/${pid}/cwd`) === folder;
    } catch {
      return false; // it has ended meanwhile
    }
  });
const hasEnded = (child) => child.exitCode !== null || child.signalCode !== null;

export class Deployment {
  #base = realpathSync(mkdtempSync(join(tmpdir(), "rowcall-web-")));
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
    await this.#startOnFreePort("postgres", () => this.startPostgres());
    await this.#startOnFreePort("nats", () => this.startNats());
    this.run("migrate", "up");
    await this.startEngine();
    await this.#startOnFreePort("gateway", () => this.startGateway());
  }
  /** Somebody else may take the port between the choice and the start: then another one. */
  async #startOnFreePort(name, start) {
    for (let attempt = 1; ; ++attempt) {
      this.#ports[name] = await freePort();
      try {
        return await start();
      } catch (error) {
        if (attempt === 3) throw error;
        await this.kill(name);
      }
    }
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

  /** Starts it, until it says so in its log. What answers on its port may be another's. */
  async #start(name, program, args, says) {
    const said = this.log(name).length;
    const log = openSync(join(this.#base, `${name}.log`), "a");
    const child = spawn(program, args, { cwd: "/", env: this.#environment, stdio: ["ignore", log, log] });
    closeSync(log);
    this.#children[name] = child;
    try {
      await until(() => {
        if (hasEnded(child)) throw new Error(`${name} has ended`);
        return says.test(this.log(name).slice(said));
      }, `the start of ${name}`);
    } catch (error) {
      throw new Error(`${error.message}:\n${this.log(name).slice(said).slice(-2000)}`, { cause: error });
    }
  }
  async startPostgres() {
    const data = join(this.#base, "data");
    const bin = join(setting("POSTGRES_BIN"), "postgres");
    rmSync(join(data, "postmaster.pid"), { force: true });
    const args = [bin, "-D", data, "-p", String(this.#ports.postgres)];
    // setpriv becomes postgres, which takes its own children along when this process dies.
    const asUser = process.getuid() === 0 ? ["--reuid=postgres", "--regid=postgres", "--init-groups"] : [];
    await this.#start("postgres", "setpriv", [...asUser, "--pdeathsig", "QUIT", "--", ...args], /database system is ready to accept connections/);
  }
  async startNats() {
    const path = `${process.env.PATH}:/usr/sbin:/usr/local/sbin`;
    const program = path.split(":").map((d) => join(d, "nats-server")).find(existsSync);
    await this.#start("nats", "setpriv", ["--pdeathsig", "KILL", "--", program, "-a", "127.0.0.1", "-p", String(this.#ports.nats)], /Server is ready/);
  }
  async startEngine() {
    await this.#start("engine", "setpriv", ["--pdeathsig", "KILL", "--", process.env.ROWCALL_BINARY, "serve"], /(^| )ready$/m);
  }
  async startGateway() {
    const args = ["gateway", "--development", "--listen", `127.0.0.1:${this.#ports.gateway}`, ...this.gatewayOptions];
    await this.#start("gateway", "setpriv", ["--pdeathsig", "KILL", "--", process.env.ROWCALL_BINARY, ...args], /(^| )ready$/m);
    this.url = `http://127.0.0.1:${this.#ports.gateway}`;
  }
  /** SIGKILL, to the end of the process and of what it had started. */
  async kill(name) {
    const child = this.#children[name];
    if (!child || hasEnded(child)) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await ended;
    // Backends of a killed postmaster notice it by themselves, and hold its shared memory until then: the next one would not start.
    if (name === "postgres") await until(() => !isAnyIn(join(this.#base, "data")), "the end of PostgreSQL's backends");
  }
  async stop() {
    for (const name of ["gateway", "engine", "nats"]) await this.kill(name);
    const postgres = this.#children.postgres;
    if (postgres && !hasEnded(postgres)) {
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
