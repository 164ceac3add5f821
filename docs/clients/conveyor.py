#!/usr/bin/env python3
"""A client of conveyord in the standard library of Python, and a tour of it.

    python3 conveyor.py SESSION

The tour makes a task, is refused, follows a change, and then waits at the inbox of SESSION for an item, or until Ctrl-C.
"""

import concurrent.futures
import itertools
import json
import os
import queue
import shutil
import socket
import subprocess
import sys
import threading
import time

# How many seconds an item that was taken with a lease is kept for its acknowledgement.
LEASE = 15


class RpcError(Exception):
    """A refusal. `kind` is a stable word for programs, `hint` the way out where there is one."""

    def __init__(self, error):
        super().__init__(error["message"])
        data = error.get("data") or {}
        self.code, self.kind, self.hint = error["code"], data.get("kind"), data.get("hint")


class Client:
    """One connection. Its calls may overlap, from any thread; closing it ends them all."""

    def __init__(self, path):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(path)
        self._sending = threading.Lock()
        self._ids = itertools.count(1)
        # What the two threads share; never held while the socket is used.
        self._lock = threading.Lock()
        self._pending = {}
        self._changes = {}
        self._closed = False
        threading.Thread(target=self._receive, daemon=True).start()

    def start(self, method, **params):
        """Sends a call and returns the future of its result."""
        answer = concurrent.futures.Future()
        request = {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": params}
        # One line per request: json.dumps escapes the newlines within texts.
        line = json.dumps(request).encode() + b"\n"
        with self._lock:
            if self._closed:
                raise ConnectionError("the connection is closed")
            self._pending[request["id"]] = answer
        with self._sending:
            self._socket.sendall(line)
        return answer

    def call(self, method, **params):
        """The result of a call. Raises RpcError when it is refused, ConnectionError when the daemon is gone."""
        return self.start(method, **params).result()

    def changes(self, **filters):
        """Subscribes, and returns an iterator of changes that ends with the connection."""
        subscription = self.call("events.subscribe", **filters)
        return iter(self._queue(subscription).get, None)

    def close(self):
        """Ends the connection, and in the daemon whatever still waits on it."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # The daemon was faster.
        self._socket.close()

    def _queue(self, subscription):
        with self._lock:
            changes = self._changes.setdefault(subscription, queue.Queue())
            if self._closed:
                changes.put(None)
            return changes

    def _receive(self):
        # In bytes: a line ends at b"\n" and nowhere else.
        try:
            for line in self._socket.makefile("rb"):
                # A last line without its end was cut off with the connection.
                if line.endswith(b"\n"):
                    self._dispatch(json.loads(line))
        except OSError:
            pass  # Closed, by either side.
        finally:
            self._end()

    def _end(self):
        with self._lock:
            self._closed = True
            pending, self._pending = self._pending, {}
            for changes in self._changes.values():
                changes.put(None)
        for answer in pending.values():
            answer.set_exception(ConnectionError("the connection is closed"))

    def _dispatch(self, message):
        if message.get("method") == "events.change":
            params = message["params"]
            self._queue(params["subscription"]).put(params["result"])
            return
        # Answers come in the order in which the calls end: the id says whose it is. Without one, a request
        # could not be read at all, or the connection itself was refused.
        with self._lock:
            answer = self._pending.pop(message["id"], None)
        if answer is None:
            print("conveyord:", message["error"]["message"], file=sys.stderr)
        elif "error" in message:
            answer.set_exception(RpcError(message["error"]))
        else:
            answer.set_result(message["result"])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def socket_path():
    """Where the daemon listens; `conveyorctl config` shows the state root."""
    if os.environ.get("CONVEYOR_STATE_ROOT"):
        return os.environ["CONVEYOR_STATE_ROOT"] + "/conveyord.sock"
    if sys.platform == "darwin":
        return os.path.expanduser("~/Library/Application Support/conveyor/conveyord.sock")
    state = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return state + "/conveyor/conveyord.sock"


def again(deadline, work):
    """Does work over a connection. When the daemon is lost, does it again over one to the next daemon, until the deadline.

    Only for what may be done twice: docs/openrpc.json says it of each method by `x-repeat`.
    """
    pause = 0.01
    while True:
        try:
            with Client(socket_path()) as client:
                return work(client)
        except OSError:
            if time.monotonic() + pause > deadline:
                raise
        # Leave this out where the daemon is not yours to start; another client or the system may start it.
        if shutil.which("conveyorctl"):
            quiet = dict(stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            subprocess.run(["conveyorctl", "daemon", "start"], **quiet)
        time.sleep(pause)
        pause = min(2 * pause, 1)


def take(session, seconds):
    """Waits for an item, shows it, and takes it out of the inbox: in this order, so that it is not lost with us."""
    end = time.monotonic() + seconds

    def wait(client):
        left = max(0, end - time.monotonic())
        return client.call("inbox.take", session=session, consume_next=True, lease=True, wait=True, timeout=left)

    inbox = again(end, wait)
    if inbox["wait"].get("draining"):
        sys.exit("conveyord ended before an item came")
    item = inbox["consumed"]
    if item is None:
        print("nothing came")
        return
    print("item", item["signal_type"], "-", item["payload"].get("message"), flush=True)
    # Whatever becomes of the daemon now, we live and finish this. One that was carried out is accepted once more.
    again(time.monotonic() + LEASE, lambda client: client.call("inbox.acknowledge", lease=inbox["lease"]))
    print("acknowledged")


def tour(session):
    with Client(socket_path()) as conveyor:
        protocol = conveyor.call("rpc.hello", client_version="tour", protocol=1)["protocol"]
        print("protocol", protocol["major"])

        changes = conveyor.changes(kinds=["task"])
        task = conveyor.call("task.create", name="tour-python", goal="Show a client")
        print("created", task["name"])
        change = next(changes)
        print("change", change["kind"], change["state"], change["task_id"] == task["id"])

        try:
            conveyor.call("cycle.run", task="tour-python")
        except RpcError as error:
            print("refused", error.code, error.kind, "-", error.hint)

        # Sent together, on one connection; each future gets the answer with its own id.
        calls = [conveyor.start("task.list"), conveyor.start("session.list"), conveyor.start("daemon.status")]
        print("answered", [type(call.result()).__name__ for call in calls])
        conveyor.call("task.finish", task="tour-python", reason="shown")

    # A wait has a connection of its own: there is no other way to end it early than to close that.
    try:
        print("waiting", flush=True)
        take(session, seconds=3600)
    except KeyboardInterrupt:
        print("cancelled")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        tour(sys.argv[1])
    except RpcError as error:
        sys.exit(f"{error.kind}: {error}\nhint: {error.hint}")
    except OSError as error:
        sys.exit(f"conveyord does not answer at {socket_path()}: {error}\nstart it with: conveyorctl daemon start")
