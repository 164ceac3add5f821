#!/usr/bin/env bash
# Type-checks and lints the workspace for macOS on another system. Nothing is linked or run, so C code is not compiled:
# a stand-in for the compiler makes empty files. Where rustup is there it adds the target to the toolchain. What cannot
# be had is said, and the check is skipped.
#
#     tests/check-macos.sh [TARGET]        # aarch64-apple-darwin
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
target=${1:-aarch64-apple-darwin}
folder=$PWD/target/check-macos
version=$(rustc --version | cut -d ' ' -f 2)
extra=()

skip() { printf '    skipped: %s\n' "$*"; exit 0; }

# The standard library of the target: rustup's compiled one, else its source as Debian packages it, of the same version.
has_library() { [ -d "$(rustc --print sysroot)/lib/rustlib/$target/lib" ]; }

library_of_rustup() {
  command -v rustup >/dev/null && timeout 300 rustup target add "$target" >/dev/null 2>&1 && has_library
}

library_of_debian() {
  local source=$folder/rust-src/usr/lib/rustlib/src/rust/library
  [ -d "/usr/lib/rustlib/src/rust/library" ] && dpkg -s rust-src 2>/dev/null | grep -q "^Version: $version" &&
    source=/usr/lib/rustlib/src/rust/library
  if [ ! -d "$source" ]; then
    command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || return 1
    # A state of its own, so that nothing of this machine changes and no root is needed.
    local apt=$folder/apt
    mkdir -p "$apt"/{lists/partial,cache/archives/partial} "$folder/rust-src"
    echo "deb http://deb.debian.org/debian trixie-backports main" > "$apt/sources.list"
    local options=(-o "Dir::State=$apt" -o "Dir::State::lists=$apt/lists" -o "Dir::Cache=$apt/cache"
      -o "Dir::Etc::sourcelist=$apt/sources.list" -o Dir::Etc::sourceparts=- -o APT::Sandbox::User=root)
    (
      cd "$apt"
      timeout 300 apt-get "${options[@]}" -qq update &&
        timeout 300 apt-get "${options[@]}" -qq download "rust-src=$version*" &&
        dpkg-deb -x rust-src_*.deb "$folder/rust-src"
    ) >/dev/null 2>&1 || return 1
  fi
  export RUSTC_BOOTSTRAP=1 __CARGO_TESTS_ONLY_SRC_ROOT=$source
  extra=(-Zbuild-std)
}

if [ "$(uname)" = Darwin ] && rustc -vV | grep -q "^host: $target"; then
  skip "this is $target: make lint checks it"
fi
has_library || library_of_rustup || library_of_debian ||
  skip "there is neither a standard library of Rust $version for $target nor its source in trixie-backports"
command -v ar >/dev/null || skip "there is no ar"

mkdir -p "$folder/bin"
cat > "$folder/bin/cc" <<'CC'
#!/bin/sh
# Says that it is clang, with the options of Unix, and makes empty files.
before=
for word in "$@"; do
  if [ "$word" = '-?' ]; then exit 1; fi
  if [ "$word" = -E ]; then echo clang; exit 0; fi
  if [ "$before" = -o ]; then : > "$word"; fi
  before=$word
done
CC
chmod +x "$folder/bin/cc"
name=${target//-/_}
export "CC_$name=$folder/bin/cc" "AR_$name=ar" SDKROOT=/nonexistent
"${CARGO:-cargo}" clippy ${extra[@]+"${extra[@]}"} --target "$target" --target-dir "$folder/target" \
  --workspace --all-targets --locked -- -D warnings
