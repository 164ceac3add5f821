// A client of conveyord in Node's standard library, and a tour of it.
//
//     node conveyor.mts SESSION        (Node 22.18 or later; for an older one see README.md)
//
// The tour makes a task, is refused, follows a change, and then waits at the inbox of SESSION for an item, or
// until Ctrl-C.

import { spawnSync } from "node:child_process";
import { connect, type Socket } from "node:net";
import { homedir } from "node:os";
import { StringDecoder } from "node:string_decoder";
import { setTimeout as sleep } from "node:timers/promises";

/** How many milliseconds an item that was taken with a lease is kept for its acknowledgement. */
const LEASE = 15_000;

/** What this tour calls. docs/openrpc.json has all methods, and types can be generated from it. */
interface Methods {
  "rpc.hello": { params: { client_version: string; protocol: number }; result: { protocol: { major: number } } };
  "daemon.status": { params: {}; result: { running: boolean; waiting_calls: number } };
  "session.list": { params: {}; result: { name: string }[] };
  "task.create": { params: { name: string; goal: string }; result: { id: string; name: string } };
  "task.list": { params: {}; result: { id: string; name: string; state: string }[] };
  "task.finish": { params: { task: string; reason: string }; result: { finish: boolean } };
  "cycle.run": { params: { task: string }; result: { state: string } };
  "inbox.take": {
    params: { session: string; consume_next: boolean; lease: boolean; wait: boolean; timeout: number };
    result: {
      consumed: { signal_type: string; payload: { message?: string } } | null;
      lease?: string;
      wait: { draining?: boolean };
    };
  };
  "inbox.acknowledge": { params: { lease: string }; result: { consumed_now: boolean } };
  "events.subscribe": { params: { kinds: string[] }; result: number | string };
}

interface Change {
  kind: string;
  task_id?: string;
  state?: string;
  /** Of `lagged`: how many changes were missed. Look at the rows again. */
  count?: number;
}

interface ErrorObject {
  code: number;
  message: string;
  data?: { kind?: string; hint?: string };
}

interface Message {
  id?: number | null;
  method?: string;
  params?: { subscription: number | string; result: Change };
  result?: unknown;
  error?: ErrorObject;
}

/** A refusal. `kind` is a stable word for programs, `hint` the way out where there is one. */
class RpcError extends Error {
  readonly code: number;
  readonly kind: string | undefined;
  readonly hint: string | undefined;

  constructor(error: ErrorObject) {
    super(error.message);
    this.code = error.code;
    this.kind = error.data?.kind;
    this.hint = error.data?.hint;
  }
}

class ConnectionClosed extends Error {
  constructor() {
    super("the connection is closed");
  }
}

/** What came and was not asked for yet, or who asks for what has not come yet. */
class Queue<T> {
  private readonly items: T[] = [];
  private wake: () => void = () => {};
  private ended = false;

  push(item: T): void {
    this.items.push(item);
    this.wake();
  }

  end(): void {
    this.ended = true;
    this.wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    for (;;) {
      const item = this.items.shift();
      if (item !== undefined) yield item;
      else if (this.ended) return;
      else await new Promise<void>((resolve) => (this.wake = resolve));
    }
  }
}

interface Pending {
  resolve(result: unknown): void;
  reject(error: Error): void;
}

/** One connection. Its calls may overlap; closing it ends them all. */
class Client {
  private readonly socket: Socket;
  private readonly pending = new Map<number, Pending>();
  private readonly subscriptions = new Map<number | string, Queue<Change>>();
  private nextId = 1;
  private rest = "";

  private constructor(socket: Socket) {
    this.socket = socket;
    // A character may be cut in two between chunks.
    const decoder = new StringDecoder("utf8");
    socket.on("data", (chunk) => this.receive(decoder.write(chunk)));
    socket.on("error", () => {}); // "close" follows.
    socket.on("close", () => this.ended());
  }

  static connect(path: string): Promise<Client> {
    return new Promise((resolve, reject) => {
      const socket = connect(path);
      socket.once("error", reject);
      socket.once("connect", () => {
        socket.off("error", reject);
        resolve(new Client(socket));
      });
    });
  }

  /** The result of a call. Rejects with RpcError or ConnectionClosed. */
  call<M extends keyof Methods>(method: M, params: Methods[M]["params"]): Promise<Methods[M]["result"]> {
    return new Promise((resolve, reject) => {
      if (this.socket.destroyed) return reject(new ConnectionClosed());
      const id = this.nextId++;
      this.pending.set(id, { resolve: resolve as (result: unknown) => void, reject });
      // One line per request: JSON.stringify escapes the newlines within texts.
      this.socket.write(JSON.stringify({ jsonrpc: "2.0", id, method, params }) + "\n");
    });
  }

  /** Subscribes, and returns the changes; they end with the connection. */
  async changes(kinds: string[]): Promise<AsyncGenerator<Change>> {
    const subscription = await this.call("events.subscribe", { kinds });
    return this.queue(subscription)[Symbol.asyncIterator]();
  }

  /** Ends the connection, and in the daemon whatever still waits on it. */
  close(): void {
    this.socket.destroy();
  }

  private queue(subscription: number | string): Queue<Change> {
    const queue = this.subscriptions.get(subscription) ?? new Queue<Change>();
    this.subscriptions.set(subscription, queue);
    if (this.socket.destroyed) queue.end();
    return queue;
  }

  // Not node:readline: it also ends lines at U+2028, which may stand within a JSON text.
  private receive(text: string): void {
    const lines = (this.rest + text).split("\n");
    this.rest = lines.pop() ?? "";
    for (const line of lines) this.dispatch(JSON.parse(line) as Message);
  }

  private dispatch(message: Message): void {
    if (message.method === "events.change" && message.params) {
      this.queue(message.params.subscription).push(message.params.result);
      return;
    }
    // Answers come in the order in which the calls end: the id says whose it is. Without one, a request could
    // not be read at all, or the connection itself was refused.
    const pending = this.pending.get(message.id ?? 0);
    this.pending.delete(message.id ?? 0);
    if (!pending) console.error("conveyord:", message.error?.message);
    else if (message.error) pending.reject(new RpcError(message.error));
    else pending.resolve(message.result);
  }

  private ended(): void {
    for (const { reject } of this.pending.values()) reject(new ConnectionClosed());
    this.pending.clear();
    for (const queue of this.subscriptions.values()) queue.end();
  }
}

/** Where the daemon listens; `conveyorctl config` shows the state root. */
function socketPath(): string {
  const { CONVEYOR_STATE_ROOT: root, XDG_STATE_HOME: state } = process.env;
  if (root) return `${root}/conveyord.sock`;
  if (process.platform === "darwin") return `${homedir()}/Library/Application Support/conveyor/conveyord.sock`;
  return `${state || `${homedir()}/.local/state`}/conveyor/conveyord.sock`;
}

/**
 * Does work over a connection. When the daemon is lost, does it again over one to the next daemon, until the deadline.
 * Only for what may be done twice: docs/openrpc.json says it of each method by `x-repeat`.
 */
async function again<T>(deadline: number, work: (client: Client) => Promise<T>, cancel?: AbortSignal): Promise<T> {
  for (let pause = 10; ; pause = Math.min(2 * pause, 1000)) {
    try {
      const client = await Client.connect(socketPath());
      const close = () => client.close();
      cancel?.addEventListener("abort", close);
      try {
        return await work(client);
      } finally {
        cancel?.removeEventListener("abort", close);
        close();
      }
    } catch (error) {
      if (error instanceof RpcError || cancel?.aborted || performance.now() + pause > deadline) throw error;
    }
    // Leave this out where the daemon is not yours to start; another client or the system may start it.
    spawnSync("conveyorctl", ["daemon", "start"], { stdio: "ignore" });
    await sleep(pause);
  }
}

/** Waits for an item, shows it, and takes it out of the inbox: in this order, so that it is not lost with us. */
async function take(session: string, seconds: number, cancel: AbortSignal): Promise<void> {
  const end = performance.now() + 1000 * seconds;
  const wait = (client: Client) => {
    const timeout = Math.max(0, (end - performance.now()) / 1000);
    return client.call("inbox.take", { session, consume_next: true, lease: true, wait: true, timeout });
  };
  const { consumed, lease, wait: waited } = await again(end, wait, cancel);
  if (waited.draining) throw new Error("it ended before an item came");
  if (consumed === null || lease === undefined) return console.log("nothing came");
  console.log("item", consumed.signal_type, "-", consumed.payload.message);
  // Whatever becomes of the daemon now, we live and finish this. One that was carried out is accepted once more.
  await again(performance.now() + LEASE, (client) => client.call("inbox.acknowledge", { lease }));
  console.log("acknowledged");
}

async function tour(session: string): Promise<void> {
  const conveyor = await Client.connect(socketPath());
  const { protocol } = await conveyor.call("rpc.hello", { client_version: "tour", protocol: 1 });
  console.log("protocol", protocol.major);

  const changes = await conveyor.changes(["task"]);
  const task = await conveyor.call("task.create", { name: "tour-typescript", goal: "Show a client" });
  console.log("created", task.name);
  const { value: change } = await changes.next();
  console.log("change", change?.kind, change?.state, change?.task_id === task.id);

  try {
    await conveyor.call("cycle.run", { task: "tour-typescript" });
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    console.log("refused", error.code, error.kind, "-", error.hint);
  }

  // Sent together, on one connection; each promise gets the answer with its own id.
  const [tasks, sessions, status] = await Promise.all([
    conveyor.call("task.list", {}),
    conveyor.call("session.list", {}),
    conveyor.call("daemon.status", {}),
  ]);
  console.log("answered", Array.isArray(tasks), Array.isArray(sessions), status.running);
  await conveyor.call("task.finish", { task: "tour-typescript", reason: "shown" });
  conveyor.close();

  // A wait has a connection of its own: there is no other way to end it early than to close that.
  const cancel = new AbortController();
  process.once("SIGINT", () => cancel.abort());
  try {
    console.log("waiting");
    await take(session, 3600, cancel.signal);
  } catch (error) {
    if (!cancel.signal.aborted) throw error;
    console.log("cancelled");
  }
}

const [session] = process.argv.slice(2);
if (session === undefined) {
  console.error("usage: node conveyor.mts SESSION");
  process.exit(2);
}
try {
  await tour(session);
} catch (error) {
  if (error instanceof RpcError) console.error(`${error.kind}: ${error.message}\nhint: ${error.hint}`);
  else console.error(`conveyord at ${socketPath()}: ${error}\nstart it with: conveyorctl daemon start`);
  process.exit(1);
}
