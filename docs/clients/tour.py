#!/usr/bin/env python3
"""A tour of the client for Python.

    python3 tour.py SESSION

It makes a task, is refused, follows a change, and then waits at the inbox of SESSION for an item, or until Ctrl-C.
"""

import sys
from concurrent.futures import ThreadPoolExecutor

from conveyor import Conveyor, ConveyorError


def take(client: Conveyor, session: str, seconds: float) -> None:
    """Waits for an item, shows it, and takes it out of the inbox: in this order, so that it is not lost with us."""
    inbox = client.inbox.take(session=session, consume_next=True, lease=True, wait=True, timeout=seconds)
    item = inbox["consumed"]
    if item is None:
        sys.exit("conveyord ended before an item came" if inbox["wait"]["draining"] else "nothing came")
    print("item", item["signal_type"], "-", item["payload"].get("message"), flush=True)
    # Whatever becomes of the daemon now, we live and finish this: the next one knows the lease too.
    client.inbox.acknowledge(lease=inbox["lease"])
    print("acknowledged")


def tour(client: Conveyor, session: str) -> None:
    print("protocol", client.rpc.hello(client_version="tour", protocol=1)["protocol"]["major"])

    with client.events.subscribe(kinds=["task"]) as changes:
        task = client.task.create(name="tour-python", goal="Show a client")
        print("created", task["name"])
        change = next(changes)
        print("change", change["kind"], change.get("state"), change.get("task_id") == task["id"])

    try:
        client.cycle.run(task="tour-python")
    except ConveyorError as error:
        print("refused", error.code, error.kind, "-", error.hint)
        if not error.is_kind("not_bound"):
            raise

    # Sent side by side, on one connection.
    with ThreadPoolExecutor() as pool:
        tasks, sessions = pool.submit(client.task.list), pool.submit(client.session.list)
        print("answered", len(tasks.result()) > 0, len(sessions.result()) > 0, client.daemon.status()["running"])
    client.task.finish(task="tour-python", reason="shown")

    try:
        print("waiting", flush=True)
        take(client, session, seconds=3600)
    except KeyboardInterrupt:
        print("cancelled")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        with Conveyor() as client:
            tour(client, sys.argv[1])
    except ConveyorError as error:
        sys.exit(f"{error.kind}: {error}\nhint: {error.hint}")
    except ConnectionError as error:
        sys.exit(str(error))
