#!/usr/bin/env bash
# Installs what building and testing need and this machine lacks: tmux, and a C compiler for the
# bundled SQLite. Rust is expected to be there.
set -euo pipefail

missing=()
command -v tmux >/dev/null || missing+=(tmux)
# On macOS `cc` is always there: without the command line tools it only offers to install them.
if [ "$(uname)" = Darwin ]; then xcode-select -p >/dev/null 2>&1 || missing+=(cc)
else command -v cc >/dev/null || missing+=(cc)
fi
command -v cargo >/dev/null || { echo "setup: Rust is missing; install it from https://rustup.rs" >&2; exit 1; }
[ ${#missing[@]} -gt 0 ] || exit 0

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif command -v sudo >/dev/null; then sudo "$@"
  else echo "setup: installing ${missing[*]} needs root, and there is no sudo" >&2; exit 1
  fi
}

echo "setup: installing ${missing[*]}"
if [ "$(uname)" = Darwin ]; then
  for tool in "${missing[@]}"; do
    case $tool in
      cc) xcode-select --install || true
          echo "setup: finish the installation of the command line tools, then try again" >&2; exit 1 ;;
      tmux) command -v brew >/dev/null || { echo "setup: install tmux, for example with https://brew.sh" >&2; exit 1; }
            brew install tmux ;;
    esac
  done
elif command -v apt-get >/dev/null; then
  packages=()
  for tool in "${missing[@]}"; do
    case $tool in cc) packages+=(build-essential) ;; *) packages+=("$tool") ;; esac
  done
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}"
else
  echo "setup: please install ${missing[*]} with this system's package manager" >&2
  exit 1
fi
