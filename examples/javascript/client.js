#!/usr/bin/env node
/**
 * Submits commands and follows sessions; prints one JSON object a line.
 *
 *   client.js submit SESSION TYPE JSON [--key KEY] [--wait SECONDS]
 *   client.js follow SESSION [--after SEQ] [--count N]
 *
 * Reads ROWCALL_DATABASE_URL, ROWCALL_NATS_URL and ROWCALL_SUBJECT_PREFIX, as `rowcall` itself does. Exit code: 0, 1 when the
 * command was refused, 2 for wrong arguments, 3 when --wait saw no receipt in time.
 */

import { writeSync } from 'node:fs';
import { parseArgs } from 'node:util';

import { Client, Refused } from './rowcall.js';

const usage = `usage: client.js submit SESSION TYPE JSON [--key KEY] [--wait SECONDS]
       client.js follow SESSION [--after SEQ] [--count N]`;

const say = (what) => writeSync(1, `${JSON.stringify(what)}\n`);

function refuse(text) {
  console.error(`client.js: ${text}`);
  return 2;
}

async function submit(client, [session, type, text], { key, wait }) {
  let data;
  try {
    data = JSON.parse(text);
  } catch (error) {
    return refuse(`this is no JSON: ${error.message}`);
  }
  let stored;
  try {
    stored = await client.submit(session, type, data, { key });
  } catch (error) {
    if (/^2[23]/.test(error.code)) return refuse(error.message); // a check of the table says what is wrong
    if (!(error instanceof Refused)) throw error;
    say({ outcome: error.message });
    return 1;
  }
  say(stored);
  if (wait === undefined) return 0;
  const updates = await client.receipt(session, stored.seq, { timeoutMs: Number(wait) * 1000 });
  updates.forEach(say);
  return updates.length > 0 ? 0 : 3;
}

async function follow(client, [session], { after = '0', count = '0' }) {
  let left = Number(count);
  for await (const item of client.follow(session, { after: Number(after) })) {
    say(item);
    if (!item.gone && --left === 0) return 0;
  }
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { key: { type: 'string' }, wait: { type: 'string' }, after: { type: 'string' }, count: { type: 'string' } },
});
const [action, ...rest] = positionals;
const actions = { submit: [submit, 3], follow: [follow, 1] };
if (!Object.hasOwn(actions, action ?? '') || rest.length !== actions[action][1]) {
  console.error(usage);
  process.exit(2);
}
if (!process.env.ROWCALL_DATABASE_URL) {
  console.error('ROWCALL_DATABASE_URL is not set (after ./run up:  set -a; . .run/env; set +a)');
  process.exit(2);
}
if (rest[0].length > 64 || !/^[A-Za-z0-9_]{1,32}-[A-Za-z0-9_-]+$/.test(rest[0]))
  process.exit(refuse(`'${rest[0]}' is no session id: <kind>-<name>, 3 to 64 of A-Z a-z 0-9 _ -`));
const client = new Client({
  databaseUrl: process.env.ROWCALL_DATABASE_URL,
  natsUrl: process.env.ROWCALL_NATS_URL ?? 'nats://127.0.0.1:4222',
  prefix: process.env.ROWCALL_SUBJECT_PREFIX,
});
const code = await actions[action][0](client, rest, values);
await client.close();
process.exit(code);
