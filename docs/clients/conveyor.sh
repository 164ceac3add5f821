#!/bin/sh
# conveyord from a shell: calls with curl, changes with nc (or socat), JSON with jq; and a tour of it.
#
#     sh conveyor.sh SESSION
#
# The tour makes a task, is refused, follows a change, and then waits at the inbox of SESSION for an item, or until Ctrl-C.
set -eu

[ $# -eq 1 ] || { echo "usage: sh conveyor.sh SESSION" >&2; exit 2; }

# Where the daemon listens; `conveyorctl config` shows the state root.
if [ -n "${CONVEYOR_STATE_ROOT:-}" ]; then root=$CONVEYOR_STATE_ROOT
elif [ "$(uname)" = Darwin ]; then root="$HOME/Library/Application Support/conveyor"
else root=${XDG_STATE_HOME:-$HOME/.local/state}/conveyor
fi
socket=$root/conveyord.sock

# request METHOD [PARAMS]: a request as one line. A POST answers one call, so any id will do.
request() {
  jq -cn --arg method "$1" --argjson params "${2:-"{}"}" '{jsonrpc: "2.0", id: 1, method: $method, params: $params}'
}

# post METHOD [PARAMS]: carries out a call and prints its answer, with the result or the error in it.
post() {
  request "$@" | curl -sS --unix-socket "$socket" -H 'content-type: application/json' -d @- http://localhost/
}

# call METHOD [PARAMS]: prints the result; fails with the error's kind and hint.
call() {
  post "$@" | jq -e 'if .error then
      "\(.error.data.kind): \(.error.message)\nhint: \(.error.data.hint // "none")\n" | halt_error(1)
    else .result end'
}

# start: another daemon after one was lost. Leave it out where the daemon is not yours to start; another client or the
# system may start it.
start() { conveyorctl daemon start >/dev/null 2>&1 || sleep 1; }

# again SECONDS METHOD [PARAMS]: as `call`, for what may be done twice (docs/openrpc.json says it by `x-repeat`): when
# the daemon is lost, the next one is asked, for so many seconds.
again() {
  end=$(($(date +%s) + $1))
  shift
  until post "$@" >"$folder/again" 2>/dev/null; do
    [ "$(date +%s)" -lt "$end" ] || return 1
    start
  done
  jq -e 'if .error then "\(.error.data.kind): \(.error.message)\n" | halt_error(1) else .result end' "$folder/again"
}

hello=$(call rpc.hello '{"client_version": "tour", "protocol": 1}') || exit 1
[ "$hello" ] || {
  echo "conveyord does not answer at $socket; start it with: conveyorctl daemon start" >&2
  exit 1
}
echo "$hello" | jq -r '"protocol \(.protocol.major)"'

# A subscription is a connection on which lines go on coming. HTTP has no way for that, and nc does: what it
# reads on standard input is sent, what comes is printed. A client that ends its input has ended its
# subscriptions too, so both pipes are held open here.
follow() {
  mkfifo "$folder/to" "$folder/from"
  if command -v nc >/dev/null; then set -- nc -U "$socket"; else set -- socat - "UNIX-CONNECT:$socket"; fi
  "$@" <"$folder/to" >"$folder/from" &
  exec 3>"$folder/to" 4<"$folder/from"
  request events.subscribe '{"kinds": ["task"]}' >&3
  read -r subscribed <&4
}
can_follow() { command -v nc || command -v socat; } >/dev/null
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
if can_follow; then follow; fi

task=$(call task.create '{"name": "tour-shell", "goal": "Show a client"}')
echo "created $(echo "$task" | jq -r .name)"
if can_follow; then
  read -r line <&4
  echo "$line" | jq -r --argjson task "$task" '.params.result | "change \(.kind) \(.state) \(.task_id == $task.id)"'
  exec 3>&- 4<&-
else
  echo "no changes: neither nc nor socat is installed"
fi

# Refused: the answer has an error in place of the result. HTTP's own status is 200 all the same.
post cycle.run '{"task": "tour-shell"}' | jq -r '.error | "refused \(.code) \(.data.kind) - \(.data.hint)"'
call task.finish '{"task": "tour-shell", "reason": "shown"}' >/dev/null

# A wait ends early when its connection is closed, here by the end of curl. It runs in the background, since a
# shell heeds a trap only between commands and in `wait`. When the daemon is lost, the next one is asked for the time
# that is left.
trap 'kill $!; cancelled=yes' INT
echo waiting
end=$(($(date +%s) + 3600))
while
  left=$((end - $(date +%s)))
  request inbox.take "$(jq -cn --arg session "$1" --argjson timeout "$((left > 0 ? left : 0))" \
    '{session: $session, consume_next: true, lease: true, wait: true, timeout: $timeout}')" >"$folder/request"
  curl -sS --unix-socket "$socket" -H 'content-type: application/json' -d @"$folder/request" http://localhost/ \
    >"$folder/answer" 2>/dev/null &
  ! wait $!
do
  if [ "${cancelled:-}" ]; then echo cancelled; exit; fi
  [ "$left" -gt 0 ] || { echo "the connection to conveyord was lost" >&2; exit 1; }
  start
done
jq -r 'if .error then "\(.error.data.kind): \(.error.message)\n" | halt_error(1)
  elif .result.wait.draining then "conveyord ended before an item came\n" | halt_error(1)
  elif .result.consumed then "item \(.result.consumed.signal_type) - \(.result.consumed.payload.message)"
  else "nothing came" end' "$folder/answer"

# The item is shown, and only now taken out of the inbox: it is not lost with us. Whatever becomes of the daemon, we live
# and finish this within the 15 seconds of the lease. An acknowledgement that was carried out is accepted once more.
trap - INT
lease=$(jq -c '.result | select(.lease) | {lease}' "$folder/answer")
if [ "$lease" ]; then
  again 15 inbox.acknowledge "$lease" >/dev/null
  echo acknowledged
fi
