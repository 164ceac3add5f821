#!/usr/bin/env bash
# A session at a terminal, as a person would have it, from starting a pair to the replay of its task. `record` beside this
# runs it in a terminal of its own and keeps what is printed; it is not for running by hand.
#
# Codex is real, and works in the offline lab: the model behind it is a script, and does what stands in [[brackets]].
# Only Conveyor's own output is printed. Nothing of what Codex draws gets in.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
world=$1
lab() { "$root/tests/lab/codex-lab" "$world" "$@"; }
fail() { printf 'session: %s\n' "$*" >&2; exit 1; }

clean_up() {
  local status=$?
  conveyorctl --no-start daemon stop > /dev/null 2>&1 || true
  tmux kill-server 2> /dev/null || true
  lab down > /dev/null 2>&1 || true
  exit $status
}
trap clean_up EXIT
trap 'exit 130' INT TERM

mkdir -p "$world"/{tmux,tmp,user/.codex/rules,project,bin}
chmod 700 "$world"/{tmux,user/.codex}
export HOME="$world/user" CODEX_HOME="$world/user/.codex" TMPDIR="$world/tmp" TMUX_TMPDIR="$world/tmux"
export LANG=C.UTF-8 TERM=xterm-256color FAKE_MODEL_KEY=dummy
unset TMUX TMUX_PANE CONVEYOR_STATE_ROOT CONVEYOR_DISPATCH CONVEYOR_WATCH WORKERCTL_STATE_ROOT XDG_STATE_HOME
lab up > /dev/null || fail "the lab does not start"
printf '#!/bin/sh\nexec %q "$@"\n' "$CODEX_BIN" > "$world/bin/codex"
chmod +x "$world/bin/codex"
export PATH="$world/bin:$PATH"
# As the README has it.
echo 'prefix_rule(pattern=[["conveyorctl", "printf"]], decision="allow")' > "$CODEX_HOME/rules/conveyor.rules"
cd "$world/project"
conveyorctl daemon start > /dev/null 2>&1 || fail "the daemon does not start"

pause() { sleep "$1"; }
prompt() { printf '\033[1;32m$\033[0m '; }
# Types a line as a person does. What is typed further down is shorter than what was thought of before.
type_line() {
  local at
  prompt
  pause 0.6
  for ((at = 0; at < ${#1}; at++)); do printf '%s' "${1:at:1}"; pause 0.018; done
  pause 0.3
  printf '\n'
}
say() { type_line "# $*"; }
run() {
  type_line "$1"
  eval "${2:-$1}" || fail "refused: $1"
  pause 1.6
}
# Runs silently until it succeeds.
until_it() {
  local tries=300
  until eval "$1" > /dev/null 2>&1; do
    tries=$((tries - 1)); [ $tries -gt 0 ] || fail "in vain: $1"
    pause 0.1
  done
}

say "A worker and a manager, both Codex, for one task"
run 'conveyorctl pair --task greeting --worker-name worker --manager-name manager \
    --task-goal "greeting.txt holds a friendly greeting" --task-prompt "[[run: echo Hello > greeting.txt]]" \
    --manager-acceptance "greeting.txt is friendly" --sandbox workspace-write --ask-for-approval on-request'
until_it 'conveyorctl wait greeting --until done --turn last --timeout 30'
until_it 'conveyorctl wait --session manager --until idle --turn last --timeout 30'

say "Where does it stand?"
if conveyorctl status > /dev/null 2>&1; then run 'conveyorctl status'; else run 'conveyorctl tasks'; fi
run 'cat greeting.txt'

say "That could be friendlier. The text waits for nothing in its way, and is proven by the worker's own record"
run 'conveyorctl session-nudge worker "[[run: echo Hello, dear reader > greeting.txt]]"'
until_it 'conveyorctl wait greeting --until done --turn last --timeout 30'
run 'cat greeting.txt'

say "The worker asks for something that its sandbox forbids. Nobody answers that by accident"
run 'conveyorctl session-nudge worker "[[ask: cp greeting.txt ../published.txt]]"'
until_it 'conveyorctl approvals list greeting | grep pending'
run 'conveyorctl approvals list greeting'
run 'conveyorctl session-nudge worker "another thought"'
run 'conveyorctl manager-config greeting --permit worker_session.approve > /dev/null'
approval=$(conveyorctl approvals list greeting --json | sed -n 's/.*"id": *"\(approval-[^"]*\)".*/\1/p' | head -n 1)
run "conveyorctl approvals accept $approval --task greeting --reason 'it was asked for'"
until_it '[ -f ../published.txt ]'
until_it 'conveyorctl wait greeting --until done --turn last --timeout 30'

say "Done. What was agreed on before is looked at, and the reason is kept"
run 'conveyorctl criteria greeting --satisfy 1 --proof "greeting.txt says: Hello, dear reader"'
run 'conveyorctl finish-task greeting --reason "greeting.txt is friendly, and published" --stop-worker --stop-manager'

say "Weeks later: why is it as it is?"
run 'conveyorctl replay greeting --format compact'
prompt
pause 1
printf '\n'
