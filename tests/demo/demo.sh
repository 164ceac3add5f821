#!/usr/bin/env bash
# The main job from end to end, for a person to watch: a manager supervises a worker until its task
# is done. `make demo` builds first, then runs this.
#
# Everything happens in a folder of its own, with a tmux server and a daemon of its own, and is gone
# afterwards. In the panes runs the real Codex in the offline lab (tests/lab) where there is one:
# $CODEX_BIN, target/codex, or on PATH; DEMO_CODEX=standin wants the stand-in nevertheless.
# Each step's answer is checked; the first that is not as it should be ends the demo with exit 1.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
target=$(cd "$root" && cargo metadata --format-version 1 --no-deps --locked | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
export PATH="$target/debug:$PATH"
# Not in TMPDIR: on macOS its path is too long for a socket's.
world=$(mktemp -d /tmp/conveyor-demo.XXXXXX)
lab() { "$root/tests/lab/codex-lab" "$world" "$@"; }

bold= plain=
if [ -t 1 ]; then bold=$(printf '\033[1m') plain=$(printf '\033[0m'); fi
title() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
note() { printf '    %s\n' "$*"; }
fail() { printf '\ndemo: FAILED: %s\n' "$*" >&2; exit 1; }

clean_up() {
  local status=$?
  [ -z "${waiting:-}" ] || kill "$waiting" 2>/dev/null || true
  conveyorctl --no-start daemon stop > /dev/null 2>&1 || true
  tmux kill-server 2> /dev/null || true
  [ ! -d "$world/run" ] || lab down > /dev/null || true
  rm -rf "$world"
  exit $status
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# Runs a verb, shows it, and keeps its answer for `get`.
ctl() {
  printf '    $ conveyorctl'; printf ' %q' "$@"; printf '\n'
  conveyorctl "$@" > "$world/answer" || fail "conveyorctl $1 was refused"
}
get() { json-get "$1" < "$world/answer"; }
expect() { # PATH VALUE
  local seen
  seen=$(get "$1") || fail "the answer lacks $1: $(cat "$world/answer")"
  [ "$seen" = "$2" ] || fail "$1 should be $2, and is $seen"
  note "$1: $seen"
}

# The world: the folders that tests/lab/codex-lab lays out, and a state root beside them.
mkdir -p "$world"/{state,tmux,tmp,user/.codex,project}
chmod 700 "$world"/{state,tmux,user/.codex}
world=$(cd "$world" && pwd -P)
export HOME="$world/user" CODEX_HOME="$world/user/.codex" TMPDIR="$world/tmp" TMUX_TMPDIR="$world/tmux"
export CONVEYOR_STATE_ROOT="$world/state" LANG=C.UTF-8 TERM="${TERM:-xterm-256color}"
unset TMUX TMUX_PANE CONVEYOR_DISPATCH CONVEYOR_WATCH WORKERCTL_STATE_ROOT

# Sets CODEX_BIN to the real Codex to use; fails when there is none.
find_codex() {
  [ "${DEMO_CODEX:-}" != standin ] || return 1
  command -v python3 > /dev/null || return 1 # the scripted model needs it
  local candidate found=
  for candidate in "$root"/target/codex/*/node_modules/.bin/codex "$(command -v codex || true)" "${CODEX_BIN:-}"; do
    if [ -n "$candidate" ] && [ -x "$candidate" ]; then found=$candidate; fi
  done
  [ -n "$found" ] && export CODEX_BIN=$found
}

start_pane() { # NAME
  if [ -n "$codex" ]; then
    lab worker "$1"
  else
    tmux -f /dev/null new-session -d -s "codex-$1" -x 120 -y 40 -c "$world/project" \
      codex-standin --replay "$root/tests/fixtures/rollouts/greeting.jsonl"
  fi
}
pane_pid() { tmux display-message -p -t "=codex-$1:" '#{pane_pid}'; }
type_into() { # NAME TEXT
  printf '%s' "$2" | tmux load-buffer -b demo -
  tmux paste-buffer -d -p -r -b demo -t "=codex-$1:"
  tmux send-keys -t "=codex-$1:" Enter
}
wait_for_composer() { # NAME
  local tries=200
  until [[ $(tmux capture-pane -p -t "=codex-$1:") == *$'\n› '* ]]; do
    tries=$((tries - 1)); [ $tries -gt 0 ] || fail "no composer in the pane of $1"
    sleep 0.1
  done
}

title "1. A daemon of its own"
ctl daemon start
note "state root: $CONVEYOR_STATE_ROOT"

title "2. A worker and a manager, each in a tmux pane"
if find_codex; then
  codex=$("$CODEX_BIN" --version 2> /dev/null | tail -n 1)
  note "this is the real Codex ($codex), with a scripted model behind it: no account, no network"
  lab up | sed 's/^/    /'
else
  codex=
  note "no Codex on this machine: a stand-in replays a recorded rollout, and keeps its file open as Codex does"
fi
start_pane worker; start_pane manager
wait_for_composer worker; wait_for_composer manager

title "3. Both are registered"
ctl register-worker --name worker --pid "$(pane_pid worker)" --tmux-session codex-worker
expect communication.receive_style push
ctl register-manager --name manager --pid "$(pane_pid manager)" --tmux-session codex-manager
expect communication.receive_style push

title "4. A task is created, and the pair is bound to it"
ctl tasks --create greeting --goal "A greeting is written"
expect created true
ctl bind --task greeting --worker worker --manager manager
expect worker worker

title "5. The manager waits for its inbox; the worker is given work"
note '$ conveyorctl manager-inbox greeting --consume-next --wait --timeout 40 --json  (in the background)'
conveyorctl manager-inbox greeting --consume-next --wait --timeout 40 --json > "$world/inbox" &
waiting=$!
until [ "$(conveyorctl daemon status | json-get waiting_calls)" = 1 ]; do
  kill -0 "$waiting" 2> /dev/null || fail "the waiting inbox call ended at once"
  sleep 0.05
done
note "typed into the worker's pane: write a greeting"
type_into worker "write a greeting"
wait "$waiting" || fail "the waiting inbox call was refused"
waiting=
note "the inbox call returned:"
mv "$world/inbox" "$world/answer"
expect consumed.signal_type worker_task_complete
expect wait.timed_out false

title "6. The manager looks: state and pane"
ctl cycle greeting
expect state idle
expect worker_state done
expect turn.outcome done
expect pane_signal.captured true
note "the worker's answer: $(get manager_context.worker_receipt.last_agent_message)"

title "7. The manager nudges; the worker's own rollout proves the delivery"
ctl session-nudge worker "please say it once more"
expect outcome delivered
note "proof: $(get proof)"

title "8. The worker finishes again, and the manager's inbox tells"
ctl manager-inbox greeting --consume-next --wait --timeout 40 --json
expect consumed.signal_type worker_task_complete
expect wait.timed_out false

title "9. The task is finished"
ctl finish-task greeting --reason "the greeting is written, twice"
expect finish true

title "10. What happened, from the record"
ctl replay greeting --format compact
sed 's/^/    /' "$world/answer"

title "The main job is done, from end to end."
