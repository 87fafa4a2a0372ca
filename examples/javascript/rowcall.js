/**
 * A Rowcall client in JavaScript, written from docs/protocol.md alone: `pg` for the truth, `nats` for the hints.
 *
 *   const client = new Client({ databaseUrl, natsUrl });
 *   const { seq, outcome } = await client.submit('echo-a', 'say', { text: 'hello' }, { key: 'greeting-1' });
 *   const updates = await client.receipt('echo-a', seq);
 *   for await (const update of client.follow('echo-a', { after: 17 })) console.log(update);   // 18, 19, … live, for ever
 *
 * PostgreSQL or NATS may go away and come back at any time; without NATS everything takes up to a second longer.
 *
 * Seqs are JavaScript numbers: exact up to 2^53. So are the numbers in `data`; where 64-bit integers matter there, select
 * `data::text` and parse it with something that keeps them.
 */

import { connect } from 'nats';
import pg from 'pg';

const PAGE = 500; // updates read at once
const POLL_MS = 1000; // how long a lost notice can go unnoticed
const RETRY_MS = 500; // between two attempts to reach a server
const FLUSH_MS = 1000; // how long NATS is waited for; what is missed then is found by polling

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Resolves with the promise, or after `ms`; never rejects. */
function settled(promise, ms) {
  let timer;
  const timeout = new Promise((resolve) => (timer = setTimeout(resolve, ms)));
  return Promise.race([promise.catch(() => {}), timeout]).finally(() => clearTimeout(timer));
}

/** The connection is lost, or the server is going down or coming up: not the statement's fault. */
function isLost(error) {
  const isFromServer = error.severity !== undefined;
  return !isFromServer || /^(08|40|57P0)/.test(error.code);
}

/** The command was not stored: its session's kind is unknown, or too much is pending. */
export class Refused extends Error {}

export class Client {
  #pool;
  #nats; // a promise: it is connected when it resolves, and stays so through reconnects
  #prefix;
  #inboxes = new Set();
  #isAway = false; // so that an outage is told once

  constructor({ databaseUrl, natsUrl, prefix = 'rowcall' }) {
    this.#prefix = prefix;
    this.#pool = new pg.Pool({ connectionString: databaseUrl, max: 4, application_name: 'rowcall example' });
    this.#pool.on('error', () => {}); // an idle connection that broke: the next query takes a new one
    this.#nats = this.#connect(natsUrl);
    this.#nats.catch((error) => console.error(`NATS: ${error.message}; going on without it`));
  }

  async #connect(urls) {
    const servers = urls.split(',').map((url) => new URL(url.trim()));
    const connection = await connect({
      servers: servers.map((url) => `${url.hostname}:${url.port || 4222}`),
      user: servers[0].username ? decodeURIComponent(servers[0].username) : undefined,
      pass: servers[0].username ? decodeURIComponent(servers[0].password) : undefined,
      waitOnFirstConnect: true,
      maxReconnectAttempts: -1,
      reconnectTimeWait: RETRY_MS,
      pingInterval: 5000,
    });
    this.#watch(connection);
    return connection;
  }

  /** What was published while the connection was away was not heard: everybody looks. */
  async #watch(connection) {
    for await (const { type } of connection.status())
      if (type === 'reconnect') for (const inbox of this.#inboxes) inbox.look();
  }

  async close() {
    await settled(
      this.#nats.then((connection) => connection.drain()), // also sends a wake that is still under way
      FLUSH_MS,
    );
    await this.#pool.end();
  }

  /**
   * Stores a command durably: its seq, and 'stored' or, when the key was there, 'duplicate'.
   *
   * Tries again while the database is away. Only with a key also when the answer to COMMIT was lost: without one nobody knows
   * whether the command is there, and the error is thrown.
   */
  async submit(session, type, data, { key = null, retryMs = 10_000 } = {}) {
    const deadline = Date.now() + retryMs;
    for (;;) {
      let isInDoubt = false;
      let connection;
      try {
        connection = await this.#pool.connect();
        isInDoubt = true;
        // One statement outside of BEGIN is a transaction: when its answer is here, the command is durable.
        const { rows } = await connection.query(
          'SELECT seq, outcome FROM rowcall.submit_batch($1::text[], $2::text[], $3::text[], $4::text[])',
          [[session], [type], [JSON.stringify(data)], [key]],
        );
        connection.release();
        this.#tell(null);
        const [{ seq, outcome }] = rows;
        if (seq === null) throw new Refused(outcome);
        this.#wake(session, seq); // only now: an engine that hears of a command must find it
        return { seq: Number(seq), outcome };
      } catch (error) {
        if (error instanceof Refused) throw error;
        connection?.release(error);
        if (!isLost(error) || (isInDoubt && key === null) || Date.now() >= deadline) throw error;
        this.#tell(error);
        await pause(RETRY_MS);
      }
    }
  }

  /** Best effort: without it the engine's sweep finds the command within about a second. */
  #wake(session, seq) {
    this.#nats
      .then((connection) => connection.publish(`${this.#prefix}.wake.${session}`, JSON.stringify({ last: Number(seq) })))
      .catch(() => {});
  }

  /**
   * Yields every update after `after`, each once, in order, without a gap, live and for ever. `{ gone: true, seq, state }` says
   * that this goes no further: retention has removed what came next, or an older state of the database was restored and all that
   * was told is void. `state` is the session's state after update `seq` (null and 0: its log is whole), its updates go on after it.
   */
  async *follow(session, { after = 0 } = {}) {
    const inbox = await this.#subscribe(session);
    try {
      let position = after;
      let incarnation = null; // of the database that the position is from
      let mustRead = true; // after the subscription, so that nothing falls between
      let polledAt = 0;
      for (;;) {
        if (mustRead || Date.now() >= polledAt + POLL_MS) {
          polledAt = Date.now();
          // The incarnation and the updates are of one moment; without updates it stands alone.
          const rows = await this.#read(
            `SELECT i.incarnation, u.seq, u.command_seq, u.type, u.data
             FROM rowcall.incarnation i LEFT JOIN rowcall.updates_after($1, $2, $3) u ON true ORDER BY u.seq`,
            [session, position, PAGE],
          );
          mustRead = rows === null || rows.length === PAGE;
          if (rows === null) {
            await pause(RETRY_MS); // the database is away
            continue;
          }
          const page = rows.filter((row) => row.seq !== null);
          const readFrom = rows[0].incarnation;
          incarnation ??= readFrom;
          if (readFrom !== incarnation || (page.length > 0 && Number(page[0].seq) !== position + 1)) {
            mustRead = true;
            const snapshot = await this.#snapshot(session);
            if (snapshot === null) continue;
            position = snapshot.seq;
            incarnation = readFrom;
            yield { gone: true, ...snapshot };
            continue;
          }
          for (const row of page) {
            position = Number(row.seq);
            yield { seq: position, command_seq: Number(row.command_seq), type: row.type, data: row.data };
          }
          continue;
        }
        const notice = await inbox.next(polledAt + POLL_MS - Date.now());
        if (notice === LOOK) {
          mustRead = true;
        } else if (notice !== null && notice.session === session && notice.last > position) {
          if (notice.first === position + 1 && notice.updates) {
            for (const { seq, command_seq, type, data } of notice.updates) {
              position = seq;
              yield { seq, command_seq, type, data };
            }
          } else {
            mustRead = true;
          }
        }
      }
    } finally {
      inbox.close();
    }
  }

  async #snapshot(session) {
    const sql = 'SELECT seq, state FROM rowcall.snapshots WHERE session_id = $1 ORDER BY seq DESC LIMIT 1';
    const rows = await this.#read(sql, [session]);
    // Retention only removes what a snapshot covers; after a restore there may be none.
    return rows && { seq: Number(rows[0]?.seq ?? 0), state: rows[0]?.state ?? null };
  }

  /** Waits until the command is done: its updates, the first of which may be a rejection. Empty at the timeout. */
  async receipt(session, seq, { timeoutMs = 10_000 } = {}) {
    const deadline = Date.now() + timeoutMs;
    const inbox = await this.#subscribe(session);
    try {
      for (;;) {
        const rows = await this.#read('SELECT seq, command_seq, type, data FROM rowcall.updates_of($1, $2)', [session, seq]);
        if (rows !== null && rows.length > 0)
          return rows.map((row) => ({ ...row, seq: Number(row.seq), command_seq: Number(row.command_seq) }));
        const left = deadline - Date.now();
        if (left <= 0) return [];
        if (rows === null) await pause(Math.min(left, RETRY_MS));
        else await inbox.next(Math.min(left, POLL_MS / 4));
      }
    } finally {
      inbox.close();
    }
  }

  /** The rows, or null while the database is away. */
  async #read(sql, values) {
    try {
      const { rows } = await this.#pool.query(sql, values);
      this.#tell(null);
      return rows;
    } catch (error) {
      if (!isLost(error)) throw error;
      this.#tell(error);
      return null;
    }
  }

  #tell(error) {
    // The reasons of several addresses that were tried come without a message of their own.
    if (error && !this.#isAway) console.error(`PostgreSQL is away, trying again: ${error.message || error.code}`);
    this.#isAway = error !== null;
  }

  /** Resolves when the server knows of the subscription. Without a server it is made with the first connection. */
  async #subscribe(session) {
    const inbox = new Inbox(() => this.#inboxes.delete(inbox));
    this.#inboxes.add(inbox);
    const subscribed = this.#nats.then(async (connection) => {
      inbox.listen(connection, `${this.#prefix}.updates.${session}`);
      await connection.flush();
      inbox.look();
    });
    await settled(subscribed, FLUSH_MS);
    return inbox;
  }
}

/** "Something may have been missed: read." */
const LOOK = Symbol('look');

/** The notices of one subscription that nobody has taken yet. */
class Inbox {
  #waiting = [];
  #arrived = () => {};
  #onClose;
  #subscription;
  #isClosed = false;

  constructor(onClose) {
    this.#onClose = onClose;
  }

  listen(connection, subject) {
    if (this.#isClosed) return;
    this.#subscription = connection.subscribe(subject, {
      callback: (error, message) => {
        if (error) return;
        try {
          this.#put(message.json());
        } catch {
          // no notice of ours
        }
      },
    });
  }

  look() {
    this.#put(LOOK);
  }

  /** The next notice, LOOK, or null when nothing came within `ms`. */
  async next(ms) {
    if (this.#waiting.length === 0) {
      await settled(new Promise((resolve) => (this.#arrived = resolve)), Math.max(0, ms));
      this.#arrived = () => {};
    }
    return this.#waiting.shift() ?? null;
  }

  close() {
    this.#isClosed = true;
    this.#subscription?.unsubscribe();
    this.#onClose();
  }

  #put(notice) {
    this.#waiting.push(notice);
    this.#arrived();
  }
}
