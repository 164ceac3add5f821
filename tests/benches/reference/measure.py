#!/usr/bin/env python3
"""Measure agent-conveyor 0.1.0 with the work of our own benches.

Started by `make bench-reference`, which writes the rollouts. The package is installed into a virtual environment
below the target folder. Each work gets a new state root. The figures go into a file that the benches show beside
ours; works that were not asked for keep theirs.

The reference has no daemon: each call is a process, nothing watches a file, and its Dispatch and its inbox poll.
"""

import argparse
import contextlib
import json
import math
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
import venv

PACKAGE = "agent-conveyor==0.1.0"
COMMAND = "conveyor"
RUNS = 30
SAMPLES_OF_LATENCY = 15


class World:
    """A state root of its own, and the reference run in it."""

    def __init__(self, program):
        self.program = program
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="cv-", dir="/tmp"))
        for folder in ("state", "tmux", "codex"):
            (self.root / folder).mkdir(mode=0o700)
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.root),
            "CODEX_HOME": str(self.root / "codex"),
            "WORKERCTL_STATE_ROOT": str(self.root / "state"),
            "TMUX_TMPDIR": str(self.root / "tmux"),
            "LANG": "C.UTF-8",
            "TERM": "xterm-256color",
        }

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # Fails when no server was started.
        self.tmux("kill-server")
        shutil.rmtree(self.root)

    def tmux(self, *arguments):
        return subprocess.run(["tmux", "-f", "/dev/null", *arguments], env=self.environment, capture_output=True)

    def start(self, *arguments):
        return subprocess.Popen(
            [self.program, *arguments],
            env=self.environment,
            cwd=self.root,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def time(self, *arguments):
        """Seconds and peak memory in bytes of one call, from its start to its exit."""
        begun = time.perf_counter()
        process = self.start(*arguments)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            sys.exit(f"{' '.join(arguments)} ended with {process.returncode}")
        return seconds, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)

    def new_rollout(self, name):
        """A short rollout, as a session leaves it after one turn."""
        path = self.root / f"rollout-{name}.jsonl"
        meta = {"id": str(uuid.uuid4()), "cwd": str(self.root),
                "originator": "codex_cli", "cli_version": "0.130.0"}
        path.write_text(line("session_meta", meta))
        return path

    def register(self, role, name, rollout, *more):
        self.time(f"register-{role}", "--name", name, "--pid", str(os.getpid()), "--codex-session", str(rollout),
                  "--cwd", str(self.root), *more)

    def pair(self, number=0, worker=None, *more):
        worker = worker or self.new_rollout(f"worker-{number}")
        self.register("worker", f"worker-{number}", worker, *more)
        self.register("manager", f"manager-{number}", self.new_rollout(f"manager-{number}"))
        self.time("tasks", "--create", f"task-{number}", "--goal", "It is done")
        self.time("bind", "--task", f"task-{number}", "--worker", f"worker-{number}",
                  "--manager", f"manager-{number}")
        return worker


def line(kind, payload):
    return json.dumps({"timestamp": "2026-05-01T10:00:05.000Z", "type": kind, "payload": payload}) + "\n"


def milliseconds(seconds):
    """The result of a work that is a time."""
    ordered = sorted(seconds)
    rank = max(math.ceil(len(ordered) * 0.99), 1)
    figures = [statistics.median(ordered), ordered[rank - 1], ordered[0]]
    median, p99, least = (f"{figure * 1000:.0f}" for figure in figures)
    return {"figure": f"median {median} ms, p99 {p99}, min {least} ({len(ordered)} runs)",
            "median_ms": figures[0] * 1000}


def sessions(make, _inputs):
    with make() as world:
        world.pair()
        yield "sessions", milliseconds([world.time("sessions")[0] for _ in range(RUNS)])


def cycle(make, _inputs):
    with make() as world:
        world.pair()
        result = milliseconds([world.time("cycle", "task-0")[0] for _ in range(RUNS)])
        yield "cycle-rpc", dict(result, figure=result["figure"] + ", a process each")
        yield "cycle-cli", result


def cycle_pane(make, _inputs):
    with make() as world:
        world.tmux("new-session", "-d", "-s", "codex", "-x", "100", "-y", "30", "cat")
        world.pair(0, None, "--tmux-session", "codex")
        result = milliseconds([world.time("cycle", "task-0")[0] for _ in range(RUNS)])
        yield "cycle-pane", dict(result, figure=result["figure"] + ", a process each")


def latency(make, _inputs):
    """With the intervals that are its defaults. Nothing in it reads a file by itself: it is told to, by a process
    that is started as soon as the line is written."""
    with make() as world, contextlib.ExitStack() as stack:
        rollout = world.pair()
        watch = world.start("dispatch", "--watch")
        stack.callback(watch.wait)
        stack.callback(watch.kill)
        times = []
        with rollout.open("a") as file:
            for number in range(SAMPLES_OF_LATENCY):
                waiting = world.start("manager-inbox", "task-0", "--wait", "--consume-next", "--timeout", "50")
                # Until it waits, and out of step with the intervals.
                time.sleep(1 + 0.37 * number % 2)
                begun = time.perf_counter()
                file.write(line("event_msg", {"type": "task_complete", "turn_id": str(number),
                                              "last_agent_message": "The next step is done."}))
                file.flush()
                world.time("ingest", "worker-0")
                if waiting.wait() != 0:
                    sys.exit("manager-inbox failed")
                times.append(time.perf_counter() - begun)
        result = milliseconds(times)
        figure = result["figure"] + ", default intervals, a process told to read the file"
        for work in ("latency-1", "latency-cli"):
            yield work, dict(result, figure=figure)


def ingest(make, inputs):
    size = os.path.getsize(inputs["mixed"])
    speeds, peaks = [], []
    for _ in range(3):
        with make() as world:
            world.register("worker", "worker", inputs["mixed"])
            seconds, peak = world.time("ingest", "worker")
            speeds.append(size / 1e6 / seconds)
            peaks.append(peak / 2**20)
    yield "ingest", {"figure": f"median {statistics.median(speeds):.0f} MB/s, peak {max(peaks):.0f} MiB (3 runs)"}


def routing(make, inputs):
    with make() as world:
        for number, rollout in enumerate(inputs["completions"]):
            world.pair(number, rollout)
            world.time("ingest", f"worker-{number}")
        seconds, _ = world.time("dispatch", "--once", "--limit", "10000")
    yield "routing", {"figure": f"{seconds:.1f} s (1 run)", "median_ms": seconds * 1000}


def history(make, inputs):
    with contextlib.ExitStack() as stack:
        worlds = []
        for rollout in inputs["histories"]:
            world = stack.enter_context(make())
            world.pair(0, rollout)
            world.time("ingest", "worker-0")
            worlds.append(world)
        # In turn, so that whatever else goes on in the machine is in all figures alike.
        rounds = [[world.time("cycle", "task-0")[0] for world in worlds] for _ in range(RUNS)]
        for work, times in zip(("history-10k", "history-100k", "history-1m"), zip(*rounds)):
            yield work, milliseconds(times)


WORKS = {
    "sessions": sessions,
    "cycle-rpc cycle-cli": cycle,
    "cycle-pane": cycle_pane,
    "latency-1 latency-cli": latency,
    "ingest": ingest,
    "routing": routing,
    "history": history,
}


def install(folder):
    program = folder / "bin" / COMMAND
    if not program.exists():
        venv.create(folder, with_pip=True, clear=True)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "install", PACKAGE], check=True)
    return str(program)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", required=True, type=pathlib.Path, help="JSON file that names the rollouts")
    parser.add_argument("--venv", required=True, type=pathlib.Path, help="where the package is installed")
    parser.add_argument("--results", required=True, type=pathlib.Path, help="JSON file for the figures")
    parser.add_argument("work", nargs="*", help="only works whose names contain one of these")
    arguments = parser.parse_args()
    inputs = json.loads(arguments.inputs.read_text())
    program = install(arguments.venv)
    results = json.loads(arguments.results.read_text()) if arguments.results.exists() else {}
    for names, measure in WORKS.items():
        if arguments.work and not any(part in names for part in arguments.work):
            continue
        for name, result in measure(lambda: World(program), inputs):
            print(f"{name:13} {result['figure']}", flush=True)
            results[name] = result
            arguments.results.write_text(json.dumps(results, indent=2, sort_keys=True) + "\n")


main()
