// Types of rowcall.js. Documentation: docs/rowcall-js.md.

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type Data = { [key: string]: any };
/** A seq, or the end of the log as it is now. */
export type Position = number | "end";

/** A fact in a session's log; `seq` counts from 1 without a gap. */
export interface Update {
  session: string;
  seq: number;
  /** The command that caused it. */
  command_seq: number;
  type: string;
  data: Data;
  /** The database's time, ISO 8601. */
  at: string;
}
export interface Command {
  type: string;
  data?: Data;
  /** Idempotency key, 1 to 180 bytes. */
  key?: string;
}
export interface Receipt {
  session: string;
  command_seq: number;
  /** duplicate: a command with this key was stored before; command_seq is that one's. */
  outcome: "stored" | "duplicate";
  /** With waitMs, when the command was decided in time. */
  updates?: Update[];
}
export interface Snapshot {
  session: string;
  /** 0: there is none yet, the log is whole. */
  seq: number;
  command_seq: number;
  state: Json;
  /** Of the database that it is of: another one after a restore. */
  incarnation?: string;
}
export interface Problem {
  type?: string;
  title?: string;
  status?: number;
  detail?: string;
  session?: string;
  [member: string]: any;
}

export class RowcallError extends Error {
  constructor(problem: Problem, options?: { retryAfterMs?: number; cause?: unknown });
  readonly problem: Problem;
  /** The HTTP status; 0 when there was no answer. */
  readonly status: number;
  readonly session?: string;
  readonly retryAfterMs: number;
  readonly isRetryable: boolean;
}

export function newKey(): string;

export interface BackoffOptions {
  firstMs?: number;
  lastMs?: number;
}
export type Token = string | null | ((options: { renew?: boolean }) => string | null | Promise<string | null>);
export interface RowcallOptions {
  base?: string;
  token?: Token;
  fetch?: typeof globalThis.fetch;
  timeoutMs?: number;
  backoff?: BackoffOptions;
}
export interface RequestOptions {
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal;
  timeoutMs?: number;
  anonymous?: boolean;
}
export interface SubmitOptions {
  waitMs?: number;
  signal?: AbortSignal;
}

export class Rowcall {
  constructor(options?: RowcallOptions);
  base: string;
  backoff: BackoffOptions;
  set token(token: Token);
  submit(session: string, type: string, data?: Data, options?: SubmitOptions & { key?: string }): Promise<Receipt>;
  submitAll(session: string, commands: Command[], options?: SubmitOptions): Promise<Receipt[]>;
  submitOnce(session: string, commands: (Command & { key: string })[], options?: SubmitOptions): Promise<Receipt[]>;
  me(options?: RequestOptions): Promise<{ user: string; session: string; expires_at: string; operator: boolean; development: boolean; submit?: string[]; follow?: string[] }>;
  chats(options?: { after?: string; limit?: number }): Promise<{ chats: { chat_id: string; name: string; members: number; joined: boolean }[]; more: boolean }>;
  last(session: string): Promise<{ session: string; last_seq: number; last_command_seq: number; incarnation?: string }>;
  snapshot(session: string, options?: RequestOptions): Promise<Snapshot>;
  page(session: string, after?: number, limit?: number): Promise<{ session: string; updates: Update[]; next_after: number; more: boolean; incarnation?: string }>;
  before(session: string, before?: number | "end", limit?: number): Promise<{ session: string; updates: Update[]; prev_before: number; more: boolean; gone?: boolean; incarnation?: string }>;
  signal(session: string, type: string, data?: Data): Promise<{}>;
  follow(sessions: Record<string, Position>, handlers: FollowHandlers, options?: FollowOptions): Following;
  request(method: string, path: string, options?: RequestOptions): Promise<any>;
  open(method: string, path: string, options?: RequestOptions): Promise<Response>;
}

export type FollowState = "waiting" | "connecting" | "catching-up" | "live" | "closed";
export interface Signal {
  session: string;
  type: string;
  from: string;
  data: Data;
}
export interface StreamHandlers {
  ready?(): void;
  left?(session: string): void;
  foreign?(session: string): void;
  signal?(signal: Signal): void;
  state?(state: FollowState): void;
  unauthorized?(): void;
  failed?(error: Error): void;
}
export interface FollowHandlers extends StreamHandlers {
  updates?(session: string, updates: Update[]): void;
  gone?(session: string, snapshot: Snapshot): void;
}
export interface FollowOptions {
  /** No byte for this long: the connection is dead. */
  silenceMs?: number;
  /** The same when something says that the network has changed. */
  staleMs?: number;
  backoff?: BackoffOptions;
  now?: () => number;
}
export class Following {
  constructor(client: Rowcall, sessions: Record<string, Position>, handlers: FollowHandlers, options?: FollowOptions);
  readonly state: FollowState;
  position(session: string): Position | undefined;
  add(session: string, after: Position, incarnation?: string): void;
  incarnation(session: string): string | undefined;
  remove(session: string): void;
  wake(): void;
  close(): void;
}

export class EventParser {
  feed(text: string): { event: string; data: string; id?: string }[];
}

export type Key = number | string | Key[];
export type Change = ["put", string, Key, unknown] | ["delete", string, Key];
export interface Store {
  readonly name: string;
  get(table: string, key: Key): Promise<any>;
  apply(changes: Change[]): Promise<void>;
  insert(table: string, value: object): Promise<number>;
  update<T>(table: string, keys: Key[], change: (before: T) => T | null | undefined): Promise<void>;
  list(table: string, first?: Key, last?: Key): Promise<any[]>;
  deleteRange(table: string, first: Key, last: Key): Promise<void>;
  onChange(handler: (what: any) => void): void;
  announce(what: unknown): void;
  close(): void;
}
export class MemoryStore implements Store {
  readonly name: string;
  get(table: string, key: Key): Promise<any>;
  apply(changes: Change[]): Promise<void>;
  insert(table: string, value: object): Promise<number>;
  update<T>(table: string, keys: Key[], change: (before: T) => T | null | undefined): Promise<void>;
  list(table: string, first?: Key, last?: Key): Promise<any[]>;
  deleteRange(table: string, first: Key, last: Key): Promise<void>;
  onChange(handler: (what: any) => void): void;
  announce(what: unknown): void;
  close(): void;
}
export class IndexedDbStore extends MemoryStore {
  static open(name: string): Promise<IndexedDbStore>;
}
export function openStore(name: string): Promise<Store>;

export interface OutboxEntry<Note = any> {
  id: number;
  key: string;
  session: string;
  type: string;
  data: Data;
  note: Note;
  /** When it was written, ms since 1970 by this device's clock. */
  at: number;
  state: "queued" | "stored" | "refused";
  /** A try was begun: its effect may be seen. */
  tried: boolean;
  settled?: boolean;
  command_seq?: number;
  reason?: string;
}
export interface OutboxHandlers {
  changed?(entries: OutboxEntry[]): void;
  unauthorized?(): void;
}
export interface OutboxOptions {
  locks?: LockManager;
  backoff?: BackoffOptions;
  /** 10,000 without it. */
  entriesMax?: number;
}
export class Outbox {
  static open(client: Rowcall, store: Store, handlers?: OutboxHandlers, options?: OutboxOptions): Promise<Outbox>;
  readonly entries: OutboxEntry[];
  /** add() would throw a RangeError. */
  readonly isFull: boolean;
  add(session: string, type: string, data?: Data, note?: unknown): Promise<OutboxEntry>;
  settle(id: number): Promise<void>;
  refuse(id: number, reason: string): Promise<void>;
  dismiss(id: number): Promise<void>;
  retry(id: number): Promise<void>;
  /** Of a session that is foreign now: what was stored is sent again, under its keys. */
  resend(session: string): Promise<void>;
  flush(): Promise<void>;
  close(): void;
}

export interface Kind<State = any> {
  initial(): State;
  load(saved: any): State;
  fold(state: State, update: Update): State;
}
export interface ReplicaChange<State = any> {
  state: State;
  seq: number;
  updates: Update[];
  /** Retention removed what lay between: the state comes from a snapshot. */
  jumped: boolean;
}
export interface ReplicaHandlers extends StreamHandlers {
  changed?(session: string, change: ReplicaChange): void;
}
export class Replica {
  constructor(client: Rowcall, store: Store, kinds: Record<string, Kind>, handlers?: ReplicaHandlers, options?: FollowOptions);
  readonly following: Following;
  open(session: string): Promise<void>;
  get(session: string): { state: any; seq: number; isReady: boolean } | undefined;
  sessions(): string[];
  history(session: string, first: number, last: number): Promise<{ updates: Update[]; gone: boolean }>;
  trim(session: string, count: number): Promise<void>;
  close(session: string): void;
  forget(session: string): Promise<void>;
  written(): Promise<void>;
  shutdown(): void;
}
