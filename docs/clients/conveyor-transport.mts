// How a client reaches conveyord: lines over its socket, and what becomes of a call when the daemon is lost.
//
// `conveyor.mts`, which is generated, has the methods with their types and needs nothing but this file and Node.

import { execFile } from "node:child_process";
import { stat } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { homedir } from "node:os";
import { resolve as absolute } from "node:path";
import { StringDecoder } from "node:string_decoder";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

// A call outlives the daemons that it loses for half a minute from the first on, and at most ten that may have had it.
const LIMIT = 30_000;
const MOST = 10;
// A wait counts those that it loses in a row: one that has lived for some seconds ends the row.
const MOST_IN_A_ROW = 20;
const LIVED = 5_000;
const FIRST_PAUSE = 10;
const LONGEST_PAUSE = 1_000;
// How long a wait outlives a daemon that ended in good order, in case it is a restart.
const RESTART = 5_000;
// How long a daemon may take to say who it is.
const PROMPT = 10_000;

export interface ErrorObject {
  code: number;
  message: string;
  data?: { kind?: string; hint?: string; [fact: string]: unknown };
}

/** The daemon refused a call. `kind` is a stable word for programs, `hint` the way out where there is one. */
export class Refusal extends Error {
  readonly code: number;
  readonly kind: string | undefined;
  readonly hint: string | undefined;
  readonly data: { readonly [fact: string]: unknown };

  constructor(error: ErrorObject) {
    super(error.message);
    this.name = new.target.name;
    this.code = error.code;
    this.data = error.data ?? {};
    this.kind = error.data?.kind;
    this.hint = error.data?.hint;
  }
}

/** There is no connection: no daemon answers, or it was lost. */
export class ConnectionError extends Error {
  constructor(message: string) {
    super(message);
    this.name = new.target.name;
  }
}

/** No daemon answers at the socket. */
export class NoDaemon extends ConnectionError {}

/**
 * The connection ended before the answer, so that nobody knows whether the call was carried out. It may not be sent
 * again, or no daemon was there in time. `lookAt` is the method that shows whether it was done.
 */
export class ConnectionLost extends ConnectionError {
  readonly method: string;
  readonly lookAt: string | undefined;

  constructor(method: string, lookAt: string | undefined) {
    const told = lookAt === undefined ? "" : `: ${lookAt} shows whether it was carried out`;
    super(`the connection ended before ${method} was answered${told}`);
    this.method = method;
    this.lookAt = lookAt;
  }
}

/** The client was closed. */
export class Closed extends ConnectionError {
  constructor() {
    super("the client is closed");
  }
}

/** The request was not carried out: it could not be written whole. */
class NotSent extends ConnectionError {}

/** The connection ended after the request was written. */
class Lost extends ConnectionError {}

/** When a call may be sent again although its answer was lost (`x-repeat`), and how long it waits by itself. */
export interface Rule {
  readonly safe: "always" | "if" | "never";
  readonly any?: readonly { readonly set?: string; readonly unset?: string }[];
  readonly lookAt?: string;
  readonly timeout?: number;
}

/** How a client finds its daemon. */
export interface ClientOptions {
  /** Where the daemon's files are; by default as for `conveyorctl`. */
  stateRoot?: string;
  /** What starts a daemon that does not run; `null` where that is not this client's business. */
  start?: readonly [string, ...string[]] | null;
}

/** How a call that lasts is ended early. */
export interface CallOptions {
  /** Ends the wait, here and in the daemon. The call rejects with the signal's reason. */
  signal?: AbortSignal;
}

type Params = { readonly [name: string]: unknown };
type ErrorTypes = { readonly [code: number]: new (error: ErrorObject) => Refusal };

interface Message {
  id?: number | null;
  method?: string;
  params?: { subscription: unknown; result: unknown };
  result?: unknown;
  error?: ErrorObject;
}

/** Whether a call may be sent again with these parameters. `null`, `false` and the empty text are not set. */
function allows(rule: Rule, params: Params): boolean {
  const isSet = (name: string) => ![undefined, null, false, ""].includes(params[name] as null);
  return (
    rule.safe === "always" ||
    (rule.any ?? []).some(({ set, unset }) => (set !== undefined ? isSet(set) : !isSet(unset ?? "")))
  );
}

/** What came and was not asked for yet, or who asks for what has not come yet. */
class Queue {
  readonly #items: unknown[] = [];
  #wake: () => void = () => {};
  #ended = false;

  push(item: unknown): void {
    this.#items.push(item);
    this.#wake();
  }

  end(): void {
    this.#ended = true;
    this.#wake();
  }

  /** The next item; `undefined` at the end. */
  async next(): Promise<unknown> {
    while (this.#items.length === 0 && !this.#ended) await new Promise<void>((resolve) => (this.#wake = resolve));
    return this.#items.shift();
  }
}

interface Pending {
  resolve(result: unknown): void;
  reject(error: Error): void;
}

/** One connection. Its calls may overlap; closing it ends them all. */
export class Connection {
  readonly #socket: Socket;
  readonly #errors: ErrorTypes;
  readonly #pending = new Map<number, Pending>();
  readonly #subscriptions = new Map<unknown, Queue>();
  #nextId = 1;
  #rest = "";

  private constructor(socket: Socket, errors: ErrorTypes) {
    this.#socket = socket;
    this.#errors = errors;
    // A character may be cut in two between chunks.
    const decoder = new StringDecoder("utf8");
    socket.on("data", (chunk) => this.#receive(decoder.write(chunk)));
    socket.on("error", () => {}); // "close" follows.
    socket.on("close", () => this.#ended());
  }

  static open(path: string, errors: ErrorTypes): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const socket = connect(path);
      socket.once("error", reject);
      socket.once("connect", () => {
        socket.off("error", reject);
        resolve(new Connection(socket, errors));
      });
    });
  }

  get closed(): boolean {
    return this.#socket.destroyed;
  }

  /** The result of a call. */
  call(method: string, params: Params): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.closed) return reject(new NotSent("the connection is closed"));
      const id = this.#nextId++;
      this.#pending.set(id, { resolve, reject });
      // One line per request: JSON.stringify escapes the newlines within texts.
      this.#socket.write(JSON.stringify({ jsonrpc: "2.0", id, method, params }) + "\n", (error) => {
        if (error && this.#pending.delete(id)) reject(new NotSent(error.message));
      });
    });
  }

  /** What comes of a subscription. */
  changes(subscription: unknown): Queue {
    const queue = this.#subscriptions.get(subscription) ?? new Queue();
    this.#subscriptions.set(subscription, queue);
    if (this.closed) queue.end();
    return queue;
  }

  /** Ends the connection, and in the daemon whatever still waits on it. */
  close(): void {
    this.#socket.destroy();
  }

  // Not node:readline: it also ends lines at U+2028, which may stand within a JSON text.
  #receive(text: string): void {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) this.#dispatch(JSON.parse(line) as Message);
  }

  #dispatch({ id, method, params, result, error }: Message): void {
    if (method === "events.change" && params) return this.changes(params.subscription).push(params.result);
    // Answers come in the order in which the calls end: the id says whose it is. Without one, a request could
    // not be read at all, or the connection itself was refused.
    const pending = this.#pending.get(id ?? 0);
    this.#pending.delete(id ?? 0);
    if (!pending) return console.error("conveyord:", error?.message);
    if (!error) return pending.resolve(result);
    const type = this.#errors[error.code] ?? this.#errors[0] ?? Refusal;
    pending.reject(new type(error));
  }

  #ended(): void {
    for (const { reject } of this.#pending.values()) reject(new Lost("the connection ended before the answer"));
    this.#pending.clear();
    for (const queue of this.#subscriptions.values()) queue.end();
  }
}

/** Counts the daemons that were lost, and pauses before the next, ever longer. */
class Patience {
  readonly #closing: AbortSignal;
  readonly #waits: boolean;
  #losses = 0;
  #asked = 0;
  #first = 0;
  #last = 0;

  constructor(closing: AbortSignal, waits: boolean) {
    this.#closing = closing;
    this.#waits = waits;
  }

  /** Whether a daemon was lost, and whether one that may have had the request. */
  get tried(): boolean {
    return this.#losses > 0;
  }

  get asked(): boolean {
    return this.#asked > 0;
  }

  /** Pauses, unless this was one too many, or it has lasted too long. */
  async outlasts(lost: unknown): Promise<boolean> {
    const now = performance.now();
    if (!this.tried || (this.#waits && now - this.#last > LIVED)) {
      this.#losses = this.#asked = 0;
      this.#first = now;
    }
    this.#last = now;
    const pause = Math.min(FIRST_PAUSE * 2 ** Math.min(this.#losses, 10), LONGEST_PAUSE);
    this.#losses += 1;
    if (lost instanceof Lost) this.#asked += 1;
    if (this.#asked > (this.#waits ? MOST_IN_A_ROW : MOST) || now + pause > this.#first + LIMIT) return false;
    await quietly(sleep(pause, undefined, { signal: this.#closing }));
    return true;
  }
}

/** Ends like the promise, or early when its signal was aborted: whoever looks at the signal says so. */
async function quietly(pause: Promise<void>): Promise<void> {
  await pause.catch(() => {});
}

/** Calls over one connection, which is made by the first of them and made anew when it broke. */
export class Transport {
  readonly #errors: ErrorTypes;
  readonly #hello: Params;
  readonly #root: string;
  readonly #start: readonly [string, ...string[]] | null;
  readonly #closing = new AbortController();
  // All connections: each wait and subscription has its own, since there is no other way to end those early.
  readonly #own = new Set<Connection>();
  #shared: Promise<Connection> | undefined;

  constructor(errors: ErrorTypes, hello: Params, options: ClientOptions) {
    this.#errors = errors;
    this.#hello = hello;
    this.#root = absolute(options.stateRoot ?? stateRoot());
    this.#start = options.start === undefined ? ["conveyorctl", "daemon", "start"] : options.start;
  }

  /**
   * The result of a call. When the daemon is lost, the call is sent to the next one where that does nothing twice.
   */
  async call<R>(method: string, params: object, rule: Rule, options: CallOptions = {}): Promise<R> {
    const given = { ...params } as { [name: string]: unknown };
    if (rule.timeout !== undefined && (method === "state.wait" || given["wait"])) {
      return (await this.#wait(method, given, rule, rule.timeout, options.signal)) as R;
    }
    const patience = this.patience(false);
    for (;;) {
      try {
        const connection = await this.#connection();
        return (await connection.call(method, given)) as R;
      } catch (lost) {
        await this.#outlast(patience, lost, method, given, rule);
      }
    }
  }

  /** Opens a subscription, on a connection of its own. */
  async subscribe<T>(method: string, params: object): Promise<Subscription<T>> {
    const subscription = new Subscription<T>(this, method, { ...params });
    await subscription.open();
    return subscription;
  }

  /** Ends everything that is under way. */
  close(): void {
    this.#closing.abort();
    for (const connection of this.#own) connection.close();
  }

  /** A connection that ends with `closeOwn`, or with the client. */
  async openOwn(start: boolean): Promise<Connection> {
    const connection = await this.#open(start);
    this.#own.add(connection);
    // The client may have been closed meanwhile.
    if (this.#closing.signal.aborted) {
      this.closeOwn(connection);
      throw new Closed();
    }
    return connection;
  }

  closeOwn(connection: Connection | undefined): void {
    if (connection) this.#own.delete(connection);
    connection?.close();
  }

  patience(waits: boolean): Patience {
    return new Patience(this.#closing.signal, waits);
  }

  noDaemon(): NoDaemon {
    return new NoDaemon(`no conveyord answers in ${this.#root}; \`conveyorctl daemon start\` starts it`);
  }

  async #outlast(patience: Patience, lost: unknown, method: string, params: Params, rule: Rule): Promise<void> {
    if (!(lost instanceof ConnectionError)) throw lost;
    if (this.#closing.signal.aborted) throw new Closed();
    // Where none ran, none was lost. After a loss the next one is waited for, by whomever it is started.
    if (lost instanceof NoDaemon && !patience.tried) throw lost;
    if (lost instanceof Lost && !allows(rule, params)) throw new ConnectionLost(method, rule.lookAt);
    if (await patience.outlasts(lost)) return;
    throw patience.asked ? new ConnectionLost(method, rule.lookAt) : this.noDaemon();
  }

  /** Waits, and goes on waiting at the next daemon for the time that is left. */
  async #wait(
    method: string,
    params: { [name: string]: unknown },
    rule: Rule,
    longest: number,
    signal: AbortSignal | undefined,
  ): Promise<unknown> {
    const whole = (params["timeout"] as number | undefined) ?? longest;
    const begun = performance.now();
    const patience = this.patience(true);
    let connection: Connection | undefined;
    const abort = () => this.closeOwn(connection);
    signal?.addEventListener("abort", abort);
    try {
      for (;;) {
        // A look that does not wait fixes the turn: after a crash of the daemon nobody could tell it any more.
        const looks = method === "state.wait" && params["pin"] === undefined;
        const left = Math.max(0, whole - (performance.now() - begun) / 1000);
        params["timeout"] = looks ? 0 : left;
        let answer: WaitAnswer;
        try {
          signal?.throwIfAborted();
          connection ??= await this.openOwn(true);
          signal?.throwIfAborted();
          answer = (await connection.call(method, params)) as WaitAnswer;
        } catch (lost) {
          this.closeOwn(connection);
          connection = undefined;
          signal?.throwIfAborted();
          await this.#outlast(patience, lost, method, params, rule);
          continue;
        }
        const elapsed = (performance.now() - begun) / 1000;
        const told = answer.wait ?? answer;
        const draining = told.draining || told.outcome === "draining";
        if (draining && elapsed < whole) {
          this.closeOwn(connection);
          connection = await this.#returning();
        }
        if (connection === undefined || elapsed >= whole || !(draining || (looks && told.timed_out))) {
          // The answer to the last of several calls becomes that to the whole wait.
          Object.assign(told, { timeout_seconds: whole, elapsed_seconds: elapsed });
          return answer;
        }
        if (answer.pin !== undefined) {
          params["pin"] = answer.pin;
          delete params["turn"];
          delete params["after"];
        }
      }
    } finally {
      signal?.removeEventListener("abort", abort);
      this.closeOwn(connection);
    }
  }

  /** A connection to the daemon that comes soon after one has ended in good order, if one does. */
  async #returning(): Promise<Connection | undefined> {
    const deadline = performance.now() + RESTART;
    while (performance.now() < deadline) {
      await quietly(sleep(50, undefined, { signal: this.#closing.signal }));
      try {
        return await this.openOwn(false);
      } catch (error) {
        if (error instanceof Closed || !(error instanceof ConnectionError)) throw error;
      }
    }
    return undefined;
  }

  /** The connection that there is, else a new one. Calls that come meanwhile share the attempt. */
  async #connection(): Promise<Connection> {
    const shared = (this.#shared ??= this.openOwn(true));
    const connection = await shared.catch((error: unknown) => {
      this.#forget(shared);
      throw error;
    });
    if (!connection.closed) return connection;
    this.#forget(shared);
    this.closeOwn(connection);
    return this.#connection();
  }

  #forget(shared: Promise<Connection>): void {
    if (this.#shared === shared) this.#shared = undefined;
  }

  async #open(start: boolean): Promise<Connection> {
    if (this.#closing.signal.aborted) throw new Closed();
    let connection = await this.#connect();
    if (connection === undefined) {
      if (!start || this.#start === null) throw this.noDaemon();
      await this.#startDaemon(this.#start);
      connection = await this.#connect();
      if (connection === undefined) throw new NotSent("the daemon ended again");
    }
    const made = connection;
    let silent = false;
    const timer = setTimeout(() => {
      silent = true;
      made.close();
    }, PROMPT);
    try {
      await made.call("rpc.hello", this.#hello);
      return made;
    } catch (error) {
      made.close();
      if (silent) throw this.noDaemon();
      // A greeting has no effect, so another daemon may have it.
      throw error instanceof Lost ? new NotSent(error.message) : error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** A connection to the daemon that runs, if one does. */
  async #connect(): Promise<Connection | undefined> {
    try {
      const { uid } = await stat(this.#root);
      if (uid !== process.geteuid?.()) throw new NoDaemon(`${this.#root} belongs to another user`);
      return await Connection.open(`${this.#root}/conveyord.sock`, this.#errors);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "ENOENT" || code === "ECONNREFUSED") return undefined;
      throw error;
    }
  }

  async #startDaemon([program, ...args]: readonly [string, ...string[]]): Promise<void> {
    try {
      const env = { ...process.env, CONVEYOR_STATE_ROOT: this.#root };
      const child = promisify(execFile)(program, args, { env });
      child.child.stdin?.end();
      await child;
    } catch (error) {
      const { code, stderr, message } = error as NodeJS.ErrnoException & { stderr?: string };
      if (code === "ENOENT") throw new NoDaemon(`no conveyord runs, and there is no ${program} to start it`);
      throw new NoDaemon(`conveyord did not start: ${(stderr || message).trim()}`);
    }
  }
}

/** What the answers to waits have in common. */
interface WaitAnswer {
  wait?: WaitAnswer;
  draining?: boolean;
  outcome?: string;
  timed_out?: boolean;
  pin?: unknown;
}

/**
 * Changes, as they come. It ends when it is closed.
 *
 * Changes are not stored. When the daemon is lost, the subscription goes on with the next one that runs (it starts
 * none), and says by a change `lagged` that some may have been missed: read what you follow again.
 */
export class Subscription<T> implements AsyncIterable<T> {
  readonly #transport: Transport;
  readonly #method: string;
  readonly #params: Params;
  #connection: Connection | undefined;
  #changes = new Queue();
  #closed = false;

  constructor(transport: Transport, method: string, params: Params) {
    this.#transport = transport;
    this.#method = method;
    this.#params = params;
  }

  /** Subscribes for the first time. */
  async open(): Promise<void> {
    const patience = this.#transport.patience(true);
    for (;;) {
      try {
        return await this.#subscribe(true);
      } catch (lost) {
        if (!(lost instanceof NotSent || lost instanceof Lost)) throw lost;
        if (!(await patience.outlasts(lost))) throw this.#transport.noDaemon();
      }
    }
  }

  /** The next change; `undefined` at the end. */
  async next(): Promise<T | undefined> {
    const change = await this.#changes.next();
    if (change !== undefined) return change as T;
    const patience = this.#transport.patience(true);
    while (!this.#closed) {
      try {
        await this.#subscribe(false);
        return { kind: "lagged" } as T;
      } catch (lost) {
        if (lost instanceof Closed) return undefined;
        if (!(lost instanceof ConnectionError)) throw lost;
        if (!(await patience.outlasts(lost))) throw this.#transport.noDaemon();
      }
    }
    return undefined;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    try {
      for (let change = await this.next(); change !== undefined; change = await this.next()) yield change;
    } finally {
      this.close();
    }
  }

  /** Ends the subscription. */
  close(): void {
    this.#closed = true;
    this.#transport.closeOwn(this.#connection);
  }

  async #subscribe(start: boolean): Promise<void> {
    this.#transport.closeOwn(this.#connection);
    this.#connection = await this.#transport.openOwn(start);
    this.#changes = this.#connection.changes(await this.#connection.call(this.#method, this.#params));
    // It may have been closed meanwhile.
    if (this.#closed) this.close();
  }
}

/** What belongs to this process, and not to the daemon. */
export function caller(): { [name: string]: string | number } {
  const names = ["CODEX_HOME", "HOME", "PATH", "TMUX", "TMUX_PANE", "TMUX_TMPDIR"];
  const variables = names.flatMap((name) => (process.env[name] ? [[name.toLowerCase(), process.env[name]]] : []));
  return { cwd: process.cwd(), pid: process.pid, ...Object.fromEntries(variables) };
}

/** Where the daemon's files are, as `conveyorctl config` shows it. */
export function stateRoot(): string {
  const { CONVEYOR_STATE_ROOT: root, XDG_STATE_HOME: state } = process.env;
  if (root) return root;
  if (process.platform === "darwin") return `${homedir()}/Library/Application Support/conveyor`;
  return `${state || `${homedir()}/.local/state`}/conveyor`;
}
