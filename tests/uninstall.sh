#!/usr/bin/env bash
# What `make uninstall` does. The programs undo what they have set up themselves, so they go last.
#
#     tests/uninstall.sh BINDIR MANDIR BASHDIR ZSHDIR FISHDIR
set -euo pipefail

bin=$1 man=$2 bash=$3 zsh=$4 fish=$5

if [ -x "$bin/conveyorctl" ]; then
  # Without its service manager a service cannot be ended: then nothing is removed.
  "$bin/conveyorctl" daemon uninstall
  "$bin/conveyorctl" --no-start daemon stop
  "$bin/conveyorctl" uninstall-skills ||
    { echo "uninstall: the skills are still there; with \`make install\` first this version removes them" >&2; exit 1; }
  root=$("$bin/conveyorctl" --no-start daemon status | sed -n 's/^ *"state_root": "\(.*\)",*$/\1/p') || true
fi
rm -f "$bin"/{conveyord,conveyorctl,conveyor}
rm -f "$man"/conveyorctl.1 "$man"/conveyorctl-*.1 "$man"/conveyor.1
for name in conveyorctl conveyor; do
  rm -f "$bash/$name" "$zsh/_$name" "$fish/$name.fish"
done
echo "removed conveyord, conveyorctl and conveyor from $bin, with manual pages and completions"
if [ -n "${root:-}" ] && [ -d "$root" ]; then
  echo "kept the database with all history: $root"
fi
rule=${CODEX_HOME:-$HOME/.codex}/rules/conveyor.rules
if [ -f "$rule" ]; then echo "kept the rule that lets conveyorctl out of Codex's sandbox: $rule"; fi
