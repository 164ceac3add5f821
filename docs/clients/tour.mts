// A tour of the client for TypeScript.
//
//     node tour.mts SESSION        (Node 22.18 or later; for an older one see README.md)
//
// It makes a task, is refused, follows a change, and then waits at the inbox of SESSION for an item, or until Ctrl-C.

import { Conveyor, ConveyorError } from "./conveyor.mts";

/** Waits for an item, shows it, and takes it out of the inbox: in this order, so that it is not lost with us. */
async function take(client: Conveyor, session: string, seconds: number, signal: AbortSignal): Promise<void> {
  const inbox = await client.inbox.take(
    { session, consume_next: true, lease: true, wait: true, timeout: seconds },
    { signal },
  );
  const { consumed: item, lease, wait } = inbox;
  if (wait.draining) throw new Error("conveyord ended before an item came");
  if (item === null || lease === undefined) return console.log("nothing came");
  console.log("item", item.signal_type, "-", (item.payload as { message?: string }).message);
  // Whatever becomes of the daemon now, we live and finish this: the next one knows the lease too.
  await client.inbox.acknowledge({ lease });
  console.log("acknowledged");
}

async function tour(client: Conveyor, session: string): Promise<void> {
  const { protocol } = await client.rpc.hello({ client_version: "tour", protocol: 1 });
  console.log("protocol", protocol.major);

  const changes = await client.events.subscribe({ kinds: ["task"] });
  const task = await client.task.create({ name: "tour-typescript", goal: "Show a client" });
  console.log("created", task.name);
  const change = await changes.next();
  console.log("change", change?.kind, change?.state, change?.task_id === task.id);
  changes.close();

  try {
    await client.cycle.run({ task: "tour-typescript" });
  } catch (error) {
    if (!(error instanceof ConveyorError && error.isKind("not_bound"))) throw error;
    console.log("refused", error.code, error.kind, "-", error.hint);
  }

  // Sent together, on one connection.
  const [tasks, sessions, status] = await Promise.all([
    client.task.list(),
    client.session.list(),
    client.daemon.status(),
  ]);
  console.log("answered", tasks.length > 0, sessions.length > 0, status.running);
  await client.task.finish({ task: "tour-typescript", reason: "shown" });

  const cancel = new AbortController();
  process.once("SIGINT", () => cancel.abort());
  try {
    console.log("waiting");
    await take(client, session, 3600, cancel.signal);
  } catch (error) {
    if (!cancel.signal.aborted) throw error;
    console.log("cancelled");
  }
}

const [session] = process.argv.slice(2);
if (session === undefined) {
  console.error("usage: node tour.mts SESSION");
  process.exit(2);
}
const client = new Conveyor();
try {
  await tour(client, session);
} catch (error) {
  if (error instanceof ConveyorError) console.error(`${error.kind}: ${error.message}\nhint: ${error.hint}`);
  else console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
} finally {
  client.close();
}
