#!/usr/bin/env bash
# Checks the dependencies by deny.toml: licences, doubles and sources, and advisories where the database can be had. It
# takes the cargo-deny on PATH, else builds one below the target folder, which stays there. What cannot be had is said,
# and skipped.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
readonly version=0.20.2
folder=$PWD/target/cargo-deny

skip() { printf '    skipped: %s\n' "$*"; }
# Not every system has timeout(1).
within() { if command -v timeout > /dev/null; then timeout "$@"; else shift; "$@"; fi; }

if command -v cargo-deny >/dev/null; then
  deny=(cargo-deny)
else
  deny=("$folder/bin/cargo-deny")
  if [ "$("${deny[0]}" --version 2>/dev/null)" != "cargo-deny $version" ]; then
    # Not optimised: it runs for a second, and is built in a third of the time.
    mkdir -p "$folder"
    CARGO_PROFILE_DEV_DEBUG=0 within 420 cargo install --debug --locked --quiet --root "$folder" --target-dir "$folder/build" \
      "cargo-deny@$version" > "$folder/install.log" 2>&1 ||
      { skip "cargo-deny $version cannot be built, or not within 7 minutes: $(tail -n 1 "$folder/install.log")"; exit 0; }
    rm -rf "$folder/build"
  fi
fi

"${deny[@]}" --locked check licenses bans sources
if within 120 "${deny[@]}" --locked fetch db > /dev/null 2>&1; then
  "${deny[@]}" --locked check advisories
else
  skip "advisories: the database at github.com/rustsec/advisory-db cannot be fetched"
fi
