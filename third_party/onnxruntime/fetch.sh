#!/usr/bin/env bash
# fetch.sh FOLDER   Puts ONNX Runtime there: include/ and lib/. README.md says where they come from.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=scripts/common.sh
. "$here/../../scripts/common.sh"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$1/include" "$1/lib" "$work/wheel" "$work/headers"

# The tags are given, so that the Python of this machine does not choose another wheel: only the C library inside is used.
python3 -m pip download --disable-pip-version-check --no-deps --only-binary=:all: --require-hashes \
  --implementation cp --python-version 3.12 --abi cp312 --platform manylinux_2_28_x86_64 \
  --requirement "$here/requirements.txt" --dest "$work"
python3 -m zipfile -e "$work"/onnxruntime-*.whl "$work/wheel"
cp "$work"/wheel/onnxruntime/capi/libonnxruntime.so.* "$1/lib/"
cp "$work/wheel/onnxruntime/LICENSE" "$work/wheel/onnxruntime/ThirdPartyNotices.txt" "$1/"
ln -s "$(basename "$1"/lib/libonnxruntime.so.*)" "$1/lib/libonnxruntime.so.1"
ln -s libonnxruntime.so.1 "$1/lib/libonnxruntime.so"

"$root/scripts/apt-install" --suite trixie --fetch "$work/headers" libonnxruntime-dev
cp "$work"/headers/usr/include/onnxruntime/*.h "$1/include/"
(cd "$1/include" && sha256sum --check --strict --quiet "$here/headers.sha256") \
  || die "the headers in Debian's libonnxruntime-dev are not those that this version of aloft was made with"
