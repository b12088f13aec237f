#!/usr/bin/env bash
# build.sh JOBS FOLDER    Builds the library and puts it there: include/ and lib/.
# build.sh --check-cargo  Succeeds where the cargo found first is new enough.
# build.sh --needs        Prints the oldest Rust that will do.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

needs=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$here/Cargo.toml")

cargo_is_new_enough() {
  local have
  have=$(cargo --version 2> /dev/null | cut -d ' ' -f 2) || return 1
  [[ $(printf '%s\n' "$needs" "$have" | sort -V | head -n 1) == "$needs" ]]
}

case ${1:-} in
  --needs) echo "$needs" ;;
  --check-cargo) cargo_is_new_enough ;;
  *)
    work=$(mktemp -d "$2.build.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    mkdir -p "$2/lib"
    ALOFT_WASMTIME_INCLUDE_DIR=$2/include cargo build --manifest-path "$here/Cargo.toml" \
      --release --locked --jobs "$1" --target-dir "$work"
    cp "$work/release/libaloft_wasmtime.a" "$2/lib/"
    ;;
esac
