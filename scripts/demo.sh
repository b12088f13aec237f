# `./dev demo`: an edge in a process of its own, and apps/detect, which uses it. Sourced by ./dev.
# shellcheck shell=bash disable=SC2154  # `root`, `logs`, `cache` and `caller` are of common.sh and dev

demo_folder=$root/build/demo

# Whether the application's arguments have this option, as `--option value` or `--option=value`.
has_option() {
  local option=$1 argument
  shift
  for argument in "$@"; do
    [[ $argument == "$option" || $argument == "$option="* ]] && return 0
  done
  return 1
}

# The value of an option among the arguments; nothing where it is not there.
option_value() {
  local option=$1 previous='' argument
  shift
  for argument in "$@"; do
    [[ $previous == "$option" ]] && echo "$argument" && return
    [[ $argument == "$option="* ]] && echo "${argument#*=}" && return
    previous=$argument
  done
}

# A port of the loopback interface where nothing listens.
free_port() {
  local port
  for _ in {1..50}; do
    port=$((20000 + RANDOM % 12000))
    (exec 3<> "/dev/tcp/127.0.0.1/$port") 2> /dev/null || { echo "$port" && return; }
  done
  die "no free port on the loopback interface"
}

# Starts aloft-exec on a port that its command line names, so that whoever kills it can start it again in its place; leaves
# its process id in $edge_pid, its address in $edge_address. $1: threads of one inference; $2: a module of the user's, or ''.
start_edge() {
  local threads=$1 module=$2 log=$logs/edge.log port
  # The edge serves what the build made, and the user's module beside it.
  rm -rf "$demo_folder/repository"
  mkdir -p "$demo_folder/repository" "$logs"
  cp build/release/modules/*.wasm "$demo_folder/repository/"
  if [[ -n $module ]]; then
    [[ $module == /* ]] || module=$caller/$module
    [[ -f $module ]] && cp "$module" "$demo_folder/repository/user-$(basename "$module")"
  fi
  for _ in {1..5}; do
    port=$(free_port)
    edge_address=127.0.0.1:$port
    build/release/bin/aloft-exec --listen "$edge_address" --repository "$demo_folder/repository" \
      --cache "$cache/edge" --inference-threads "$threads" > "$log" 2>&1 < /dev/null &
    edge_pid=$!
    for _ in {1..200}; do
      grep -q 'listening on' "$log" && return
      kill -0 "$edge_pid" 2> /dev/null || break
      sleep 0.05
    done
  done
  cat "$log" >&2
  die "the edge did not start; its log is $log"
}

cmd_demo() {
  local build_only='' arguments=()
  while (($#)); do
    case $1 in
      --build-only) build_only=1 && shift ;;
      --) shift && arguments=("$@") && break ;;
      *) bad_usage "demo: unknown argument $1; those of the application follow --" ;;
    esac
  done
  setup
  build release aloft-detect aloft-exec detect_module
  [[ -z $build_only ]] || return 0

  has_option --video "${arguments[@]}" || arguments=(--video "$root/build/deps/video/vtest.avi" "${arguments[@]}")
  has_option --model "${arguments[@]}" || arguments=(--model "$root/models/pedestrian.onnx" "${arguments[@]}")
  if ! has_option --edge "${arguments[@]}" && ! has_option --help "${arguments[@]}"; then
    local threads
    threads=$(option_value --inference-threads "${arguments[@]}")
    [[ $threads =~ ^[0-9]+$ ]] || threads=1  # the application says what is wrong with it
    start_edge "$threads" "$(option_value --module "${arguments[@]}")"
    # shellcheck disable=SC2064  # the process of now
    trap "kill $edge_pid 2> /dev/null || true" EXIT
    arguments=(--edge "$edge_address" "${arguments[@]}")
    echo "edge: aloft-exec at $edge_address (log: $logs/edge.log)" >&2
  fi
  cd "$caller" || exit
  "$root/build/release/bin/aloft-detect" "${arguments[@]}"
}
