"""How a client reaches conveyord: lines over its socket, and what becomes of a call when the daemon is lost.

`conveyor.py`, which is generated, has the methods with their types and needs nothing but this file and Python 3.8.
"""

from __future__ import annotations

import concurrent.futures
import itertools
import json
import os
import queue
import socket
import subprocess
import sys
import threading
import time
from typing import Any, Dict, Generic, Mapping, NamedTuple, Optional, Sequence, Set, Tuple, Type, TypeVar, cast

Item = TypeVar("Item")

# A call outlives the daemons that it loses for half a minute from the first on, and at most ten that may have had it.
LIMIT = 30.0
MOST = 10
# A wait counts those that it loses in a row: one that has lived for some seconds ends the row.
MOST_IN_A_ROW = 20
LIVED = 5.0
FIRST_PAUSE, LONGEST_PAUSE = 0.01, 1.0
# How long a wait outlives a daemon that ended in good order, in case it is a restart.
RESTART = 5.0
# How long a daemon may take to say who it is.
PROMPT = 10.0


class Refusal(Exception):
    """The daemon refused a call. `kind` is a stable word for programs, `hint` the way out where there is one."""

    def __init__(self, error: Dict[str, Any]) -> None:
        super().__init__(error["message"])
        self.code: int = error["code"]
        self.data: Dict[str, Any] = error.get("data") or {}
        self.kind: Optional[str] = self.data.get("kind")
        self.hint: Optional[str] = self.data.get("hint")


class NoDaemon(ConnectionError):
    """No daemon answers at the socket."""


class ConnectionLost(ConnectionError):
    """The connection ended before the answer, so that nobody knows whether the call was carried out.

    It may not be sent again, or no daemon was there in time. `look_at` is the method that shows whether it was done.
    """

    def __init__(self, method: str, look_at: Optional[str]) -> None:
        told = f": {look_at} shows whether it was carried out" if look_at else ""
        super().__init__(f"the connection ended before {method} was answered{told}")
        self.method, self.look_at = method, look_at


class Closed(ConnectionError):
    """The client was closed."""

    def __init__(self) -> None:
        super().__init__("the client is closed")


class _NotSent(ConnectionError):
    """The request was not carried out: it could not be written whole."""


class _Lost(ConnectionError):
    """The connection ended after the request was written."""


class Rule(NamedTuple):
    """When a call may be sent again although its answer was lost (`x-repeat`), and how long it waits by itself."""

    safe: str
    any: Tuple[Tuple[str, str], ...] = ()
    look_at: Optional[str] = None
    timeout: Optional[float] = None

    def allows(self, params: Mapping[str, Any]) -> bool:
        """Whether it may be sent again with these parameters. `None`, `False` and the empty text are not set."""

        def is_set(name: str) -> bool:
            value = params.get(name)
            return not (value is None or value is False or value == "")

        return self.safe == "always" or any(is_set(name) == (given == "set") for given, name in self.any)


class Connection:
    """One connection. Its calls may overlap, from any thread; closing it ends them all."""

    def __init__(self, path: str, errors: Mapping[int, Type[Refusal]]) -> None:
        self._errors = errors
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._socket.connect(path)
        except OSError:
            self._socket.close()
            raise
        self._sending = threading.Lock()
        self._ids = itertools.count(1)
        # What the two threads share; never held while the socket is used.
        self._lock = threading.Lock()
        self._pending: Dict[int, concurrent.futures.Future[Any]] = {}
        self._changes: Dict[Any, queue.Queue[Any]] = {}
        self._closed = False
        threading.Thread(target=self._receive, daemon=True).start()

    def call(self, method: str, params: Mapping[str, Any], timeout: Optional[float] = None) -> Any:
        """The result of a call."""
        answer: concurrent.futures.Future[Any] = concurrent.futures.Future()
        call_id = next(self._ids)
        request = {"jsonrpc": "2.0", "id": call_id, "method": method, "params": params}
        # One line per request: json.dumps escapes the newlines within texts.
        line = json.dumps(request).encode() + b"\n"
        with self._lock:
            if self._closed:
                raise _NotSent("the connection is closed")
            self._pending[call_id] = answer
        try:
            with self._sending:
                self._socket.sendall(line)
        except OSError as error:
            with self._lock:
                self._pending.pop(call_id, None)
            raise _NotSent(str(error)) from error
        return answer.result(timeout)

    def changes(self, subscription: Any) -> queue.Queue[Any]:
        """What comes of a subscription; `None` is its end."""
        with self._lock:
            changes = self._changes.setdefault(subscription, queue.Queue())
            if self._closed:
                changes.put(None)
            return changes

    def close(self) -> None:
        """Ends the connection, and in the daemon whatever still waits on it."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # The daemon was faster.
        self._socket.close()

    @property
    def closed(self) -> bool:
        """Whether either side has ended it."""
        return self._closed

    def _receive(self) -> None:
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

    def _end(self) -> None:
        with self._lock:
            self._closed = True
            pending, self._pending = self._pending, {}
            for changes in self._changes.values():
                changes.put(None)
        for answer in pending.values():
            answer.set_exception(_Lost("the connection ended before the answer"))

    def _dispatch(self, message: Dict[str, Any]) -> None:
        if message.get("method") == "events.change":
            params = message["params"]
            self.changes(params["subscription"]).put(params["result"])
            return
        # Answers come in the order in which the calls end: the id says whose it is. Without one, a request
        # could not be read at all, or the connection itself was refused.
        with self._lock:
            answer = self._pending.pop(message["id"], None)
        if answer is None:
            print("conveyord:", message["error"]["message"], file=sys.stderr)
        elif "error" in message:
            error = message["error"]
            answer.set_exception(self._errors.get(error["code"], self._errors[0])(error))
        else:
            answer.set_result(message["result"])


class _Patience:
    """Counts the daemons that were lost, and pauses before the next, ever longer."""

    def __init__(self, closing: threading.Event, waits: bool = False) -> None:
        self._closing, self._waits = closing, waits
        self._losses = self._asked = 0
        self._first = self._last = 0.0

    @property
    def asked(self) -> bool:
        """Whether a daemon was lost that may have had the request."""
        return self._asked > 0

    @property
    def tried(self) -> bool:
        """Whether a daemon was lost."""
        return self._losses > 0

    def outlasts(self, lost: Exception) -> bool:
        """Pauses, unless this was one too many, or it has lasted too long."""
        now = time.monotonic()
        if self._losses == 0 or (self._waits and now - self._last > LIVED):
            self._losses, self._asked, self._first = 0, 0, now
        self._last = now
        pause = min(FIRST_PAUSE * 2 ** min(self._losses, 10), LONGEST_PAUSE)
        self._losses += 1
        self._asked += isinstance(lost, _Lost)
        if self._asked > (MOST_IN_A_ROW if self._waits else MOST) or now + pause > self._first + LIMIT:
            return False
        if self._closing.wait(pause):
            raise Closed
        return True


class Transport:
    """Calls over one connection, which is made by the first of them and made anew when it broke."""

    def __init__(
        self,
        errors: Mapping[int, Type[Refusal]],
        hello: Mapping[str, Any],
        root: Optional[str],
        start: Optional[Sequence[str]],
    ) -> None:
        self._errors, self._hello, self._start = errors, hello, start
        self._root = root or state_root()
        self._opening = threading.Lock()
        self._shared: Optional[Connection] = None
        # All connections: each wait and subscription has its own, since there is no other way to end those early.
        self._lock = threading.Lock()
        self._own: Set[Connection] = set()
        self._closing = threading.Event()

    def call(self, method: str, params: Mapping[str, Any], rule: Rule) -> Any:
        """The result of a call. A parameter that is `None` is left out.

        When the daemon is lost, the call is sent to the next one where that does nothing twice.
        """
        given = {name: value for name, value in params.items() if value is not None}
        if rule.timeout is not None and (method == "state.wait" or given.get("wait")):
            return self._wait(method, given, rule, rule.timeout)
        patience = _Patience(self._closing)
        while True:
            try:
                return self._connection().call(method, given)
            except ConnectionError as lost:
                self._outlast(patience, lost, method, given, rule)

    def subscribe(self, method: str, params: Mapping[str, Any]) -> Subscription[Any]:
        """Opens a subscription, on a connection of its own."""
        return Subscription(self, method, {name: value for name, value in params.items() if value is not None})

    def close(self) -> None:
        """Ends everything that is under way, in whatever thread."""
        self._closing.set()
        with self._lock:
            connections = list(self._own)
        for connection in connections:
            connection.close()

    def open_own(self, start: bool = True) -> Connection:
        """A connection that `close_own` ends, or the end of the client."""
        connection = self._open(start)
        with self._lock:
            self._own.add(connection)
        # The client may have been closed in between.
        if self._closing.is_set():
            self.close_own(connection)
            raise Closed
        return connection

    def close_own(self, connection: Connection) -> None:
        """Ends a connection of `open_own`."""
        with self._lock:
            self._own.discard(connection)
        connection.close()

    def patience(self) -> _Patience:
        """The patience of what lasts."""
        return _Patience(self._closing, waits=True)

    def _outlast(
        self, patience: _Patience, lost: ConnectionError, method: str, params: Mapping[str, Any], rule: Rule
    ) -> None:
        if self._closing.is_set():
            raise Closed from lost
        # Where none ran, none was lost. After a loss the next one is waited for, by whomever it is started.
        if isinstance(lost, NoDaemon) and not patience.tried:
            raise lost
        if isinstance(lost, _Lost) and not rule.allows(params):
            raise ConnectionLost(method, rule.look_at) from lost
        if not patience.outlasts(lost):
            raise ConnectionLost(method, rule.look_at) if patience.asked else self.no_daemon() from lost

    def _wait(self, method: str, params: Dict[str, Any], rule: Rule, longest: float) -> Any:
        """Waits, and goes on waiting at the next daemon for the time that is left."""
        whole: float = params.get("timeout", longest)
        begun = time.monotonic()
        patience = self.patience()
        connection: Optional[Connection] = None
        try:
            while True:
                # A look that does not wait fixes the turn: after a crash of the daemon nobody could tell it any more.
                looks = method == "state.wait" and "pin" not in params
                left = max(0.0, whole - (time.monotonic() - begun))
                params["timeout"] = 0.0 if looks else left
                try:
                    connection = connection or self.open_own()
                    answer = connection.call(method, params)
                except ConnectionError as lost:
                    if connection is not None:
                        self.close_own(connection)
                    connection = None
                    self._outlast(patience, lost, method, params, rule)
                    continue
                elapsed = time.monotonic() - begun
                told = answer.get("wait", answer)
                draining = told.get("draining") or told.get("outcome") == "draining"
                if draining and elapsed < whole:
                    self.close_own(connection)
                    connection = self._returning()
                if connection is None or elapsed >= whole or not (draining or looks and told["timed_out"]):
                    # The answer to the last of several calls becomes that to the whole wait.
                    told["timeout_seconds"], told["elapsed_seconds"] = whole, elapsed
                    return answer
                if "pin" in answer:
                    params["pin"] = answer["pin"]
                    params.pop("turn", None)
                    params.pop("after", None)
        finally:
            if connection is not None:
                self.close_own(connection)

    def _returning(self) -> Optional[Connection]:
        """A connection to the daemon that comes soon after one has ended in good order, if one does."""
        deadline = time.monotonic() + RESTART
        while time.monotonic() < deadline:
            if self._closing.wait(0.05):
                raise Closed
            try:
                return self.open_own(start=False)
            except Closed:
                raise
            except ConnectionError:
                pass
        return None

    def _connection(self) -> Connection:
        with self._opening:
            shared = self._shared
            if shared is None or shared.closed:
                shared = self.open_own()
                with self._lock:
                    # What an earlier one left is closed.
                    self._own = {connection for connection in self._own if not connection.closed}
                    self._shared = shared
            return shared

    def _open(self, start: bool) -> Connection:
        try:
            connection = self._connect()
        except (FileNotFoundError, ConnectionRefusedError) as error:
            if not start or self._start is None:
                raise self.no_daemon() from error
            self._start_daemon(self._start)
            try:
                connection = self._connect()
            except (FileNotFoundError, ConnectionRefusedError) as lost:
                raise _NotSent(str(lost)) from lost
        try:
            connection.call("rpc.hello", self._hello, PROMPT)
        except concurrent.futures.TimeoutError as error:
            connection.close()
            raise self.no_daemon() from error
        except _Lost as error:
            # A greeting has no effect, so another daemon may have it.
            raise _NotSent(str(error)) from error
        except Refusal:
            connection.close()
            raise
        return connection

    def _connect(self) -> Connection:
        if os.stat(self._root).st_uid != os.geteuid():
            raise NoDaemon(f"{self._root} belongs to another user")
        return Connection(os.path.join(self._root, "conveyord.sock"), self._errors)

    def no_daemon(self) -> NoDaemon:
        """The error that says so."""
        return NoDaemon(f"no conveyord answers in {self._root}; `conveyorctl daemon start` starts it")

    def _start_daemon(self, command: Sequence[str]) -> None:
        environment = {**os.environ, "CONVEYOR_STATE_ROOT": self._root}
        try:
            subprocess.run(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                check=True,
            )
        except FileNotFoundError as error:
            raise NoDaemon(f"no conveyord runs, and there is no {command[0]} to start it") from error
        except subprocess.CalledProcessError as error:
            raise NoDaemon(f"conveyord did not start: {error.stderr.decode(errors='replace').strip()}") from error


class Subscription(Generic[Item]):
    """Changes, as they come. It ends when it is closed.

    Changes are not stored. When the daemon is lost, the subscription goes on with the next one that runs (it starts
    none), and says by a change `lagged` that some may have been missed: read what you follow again.
    """

    def __init__(self, transport: Transport, method: str, params: Mapping[str, Any]) -> None:
        self._transport, self._method, self._params = transport, method, params
        self._closed = False
        patience = transport.patience()
        while True:
            try:
                self._subscribe(start=True)
                return
            except (_NotSent, _Lost) as lost:
                if not patience.outlasts(lost):
                    raise transport.no_daemon() from lost

    def __iter__(self) -> Subscription[Item]:
        return self

    def __next__(self) -> Item:
        change = self._changes.get()
        patience = self._transport.patience()
        while change is None:
            self._transport.close_own(self._connection)
            if self._closed:
                raise StopIteration
            try:
                self._subscribe(start=False)
                change = {"kind": "lagged"}
            except Closed:
                raise StopIteration from None
            except ConnectionError as lost:
                if not patience.outlasts(lost):
                    raise self._transport.no_daemon() from lost
        return cast(Item, change)

    def close(self) -> None:
        """Ends the subscription."""
        self._closed = True
        self._transport.close_own(self._connection)

    def __enter__(self) -> Subscription[Item]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _subscribe(self, start: bool) -> None:
        self._connection = self._transport.open_own(start)
        try:
            self._changes = self._connection.changes(self._connection.call(self._method, self._params))
        except BaseException:
            self._transport.close_own(self._connection)
            raise


def caller() -> Dict[str, Any]:
    """What belongs to this process, and not to the daemon."""
    names = ("CODEX_HOME", "HOME", "PATH", "TMUX", "TMUX_PANE", "TMUX_TMPDIR")
    variables = {name.lower(): os.environ[name] for name in names if os.environ.get(name)}
    return {"cwd": os.getcwd(), "pid": os.getpid(), **variables}


def state_root() -> str:
    """Where the daemon's files are, as `conveyorctl config` shows it."""
    if os.environ.get("CONVEYOR_STATE_ROOT"):
        return os.path.abspath(os.environ["CONVEYOR_STATE_ROOT"])
    if sys.platform == "darwin":
        return os.path.expanduser("~/Library/Application Support/conveyor")
    return os.path.join(os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state"), "conveyor")
