# `./dev setup`: packages of Debian, and what Debian 12 does not have. Sourced by ./dev.
# shellcheck shell=bash disable=SC2154  # `root` and `cache` are of common.sh
#
# What is fetched or built lies in the cache folder under a name with a digest of everything that defines it, so that a
# second run finds it and a changed pin makes a new one. build/deps/ links to what this checkout uses; CMake looks there.

# The packages that packages.txt names and this machine lacks.
missing_packages() {
  local wanted
  mapfile -t wanted < <(sed 's/ *#.*//; /^$/d' "$root/scripts/packages.txt")
  comm -23 <(printf '%s\n' "${wanted[@]}" | sort) \
    <(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "${wanted[@]}" 2> /dev/null \
      | sed -n 's/^installed //p' | sort)
}

ensure_packages() {
  command -v dpkg-query > /dev/null \
    || die "this is not Debian 12; scripts/packages.txt lists what to install by other means"
  local missing
  mapfile -t missing < <(missing_packages)
  ((${#missing[@]} == 0)) && return
  ((EUID == 0)) || die "these packages are missing; as root: apt-get install --no-install-recommends ${missing[*]}"
  step "installing ${#missing[@]} packages" packages "$root/scripts/apt-install" "${missing[@]}"
}

# Wasmtime's crate needs a newer Rust than Debian 12 has under the names cargo and rustc; Debian keeps a recent one for
# building browsers.
ensure_cargo() {
  "$root/third_party/wasmtime/build.sh" --check-cargo && return
  ((EUID == 0)) || die "no cargo of at least $("$root/third_party/wasmtime/build.sh" --needs): install one with rustup,\
 or as root Debian's packages cargo-web and rustc-web from bookworm-security"
  step "installing a recent Rust" rust "$root/scripts/apt-install" --suite bookworm-security cargo-web rustc-web
  hash -r
  "$root/third_party/wasmtime/build.sh" --check-cargo \
    || die "the cargo found first is still too old: $(command -v cargo)"
}

# The folder in the cache for NAME as the given files define it.
keyed_folder() {
  local name=$1
  shift
  echo "$cache/$name-$(cd "$root" && { uname -m; sha256sum "$@"; } | sha256sum | cut -c 1-12)"
}

# provide NAME FOLDER TEXT COMMAND...   Makes build/deps/NAME a link to FOLDER, which `COMMAND... FOLDER` makes where it is
# not yet in the cache. The lock lets several runs share the work; a run that is cut short leaves nothing half-made.
provide() {
  local name=$1 folder=$2 what=$3
  shift 3
  if [[ ! -d $folder ]]; then
    mkdir -p "$cache"
    exec {lock}> "$cache/$name.lock"
    flock -n "$lock" || { echo "waiting for another run that makes $name" >&2; flock "$lock"; }
    if [[ ! -d $folder ]]; then
      rm -rf "$folder.partial"*
      mkdir "$folder.partial"
      step "$what" "$name" "$@" "$folder.partial"
      mv "$folder.partial" "$folder"
    fi
    exec {lock}>&-
  fi
  link_dependency "$name" "$folder"
}

link_dependency() {
  local link=$root/build/deps/$1
  [[ -L $link && $(readlink "$link") == "$2" ]] && return
  mkdir -p "$root/build/deps"
  ln -sfn "$2" "$link"
}

ensure_wasmtime() {
  if [[ -n ${WASMTIME_ROOT:-} ]]; then
    [[ -f $WASMTIME_ROOT/include/wasmtime.h ]] || die "WASMTIME_ROOT=$WASMTIME_ROOT has no include/wasmtime.h"
    link_dependency wasmtime "$(realpath "$WASMTIME_ROOT")"
    return
  fi
  local folder
  folder=$(cd "$root" && keyed_folder wasmtime third_party/wasmtime/{Cargo.toml,Cargo.lock,build.rs,build.sh} \
    third_party/wasmtime/include/* third_party/wasmtime/src/*)
  [[ -d $folder ]] || ensure_cargo
  provide wasmtime "$folder" "building Wasmtime (minutes, once)" "$root/third_party/wasmtime/build.sh" "$(job_count)"
}

ensure_onnxruntime() {
  if [[ -n ${ONNXRUNTIME_ROOT:-} ]]; then
    compgen -G "$ONNXRUNTIME_ROOT/lib/libonnxruntime.so*" > /dev/null \
      || die "ONNXRUNTIME_ROOT=$ONNXRUNTIME_ROOT has no lib/libonnxruntime.so"
    link_dependency onnxruntime "$(realpath "$ONNXRUNTIME_ROOT")"
    return
  fi
  provide onnxruntime "$(cd "$root" && keyed_folder onnxruntime third_party/onnxruntime/{fetch.sh,headers.sha256,requirements.txt})" \
    "fetching ONNX Runtime" "$root/third_party/onnxruntime/fetch.sh"
}

ensure_video() {
  provide video "$(keyed_folder video scripts/fetch-video)" "fetching the test video" "$root/scripts/fetch-video"
}

ensure_servers() {
  provide servers "$(keyed_folder servers scripts/fetch-servers)" "fetching servers for the tests" "$root/scripts/fetch-servers"
}

ensure_validators() {
  provide validators "$(keyed_folder validators scripts/fetch-validators third_party/kubernetes-validate/requirements.txt)" \
    "fetching what checks deploy/" "$root/scripts/fetch-validators"
  provide sarif-schema "$(keyed_folder sarif-schema scripts/fetch-sarif-schema third_party/sarif-schema/requirements.txt)" \
    "fetching the schema of SARIF" "$root/scripts/fetch-sarif-schema"
}

# Debian's npm brings a nodejs; another one that is there already goes with its own npm.
ensure_npm() {
  command -v npm > /dev/null && return
  ((EUID == 0)) || die "npm is missing; as root: apt-get install --no-install-recommends npm"
  step "installing npm" npm "$root/scripts/apt-install" npm
}

ensure_uplot() {
  local folder
  folder=$(keyed_folder uplot third_party/uplot/{fetch.sh,package-lock.json})
  [[ -d $folder ]] || ensure_npm
  provide uplot "$folder" "fetching uPlot" "$root/third_party/uplot/fetch.sh"
}

# Pages of the documentation, for `./dev docs` alone.
ensure_mkdocs() {
  provide mkdocs "$(keyed_folder mkdocs scripts/fetch-mkdocs third_party/mkdocs/requirements.txt)" \
    "fetching MkDocs" "$root/scripts/fetch-mkdocs"
}

ensure_doxygen() {
  command -v doxygen > /dev/null && return
  ((EUID == 0)) || die "doxygen is missing; as root: apt-get install --no-install-recommends doxygen"
  step "installing doxygen" doxygen "$root/scripts/apt-install" doxygen
}

# Another kind of processor, for `./dev test --only arm64` alone.
ensure_arm64() {
  provide arm64 "$(keyed_folder arm64 scripts/fetch-arm64 third_party/onnxruntime/requirements-arm64.txt)" \
    "fetching libraries for 64-bit ARM" "$root/scripts/fetch-arm64"
}

# What packages are tried in. Not part of the set-up: only the long tests and `./dev package --check` have it.
ensure_clean_root() {
  provide clean-root "$(keyed_folder clean-root scripts/clean-root)" "making a clean Debian 12 (minutes, once)" "$root/scripts/clean-root"
}

# Compilers for guests in other languages: for the tests, since applications have their own.
ensure_guest_languages() {
  local language files=third_party/guest-languages
  for language in rust go assemblyscript; do
    local inputs=("$files/fetch-$language")
    [[ $language == go ]] && inputs+=("$files/go.txt")
    [[ $language == assemblyscript ]] && inputs+=("$files/node.txt" "$files/package.json" "$files/package-lock.json")
    provide "$language" "$(keyed_folder "$language" "${inputs[@]}")" "fetching a compiler for guests in $language" \
      "$root/$files/fetch-$language"
  done
}

setup() {
  [[ $(uname -sm) == "Linux x86_64" ]] || die "aloft builds on Linux on x86-64 for now, not on $(uname -sm)"
  ensure_packages
  ensure_wasmtime
  ensure_onnxruntime
  ensure_uplot
  ensure_video
  ensure_servers
  ensure_validators
  # CMake has its answer through build/deps/.
  unset WASMTIME_ROOT ONNXRUNTIME_ROOT
}
