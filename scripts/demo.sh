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

# Takes an option and its value out of the array `arguments`.
drop_option() {
  local option=$1 kept=() is_value='' argument
  for argument in "${arguments[@]}"; do
    if [[ -n $is_value ]]; then
      is_value=''
    elif [[ $argument == "$option" ]]; then
      is_value=1
    elif [[ $argument != "$option="* ]]; then
      kept+=("$argument")
    fi
  done
  arguments=("${kept[@]}")
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
      --cache "$cache/edge" --inference-threads "$threads" "${edge_inference[@]}" > "$log" 2>&1 < /dev/null &
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

# Starts a cluster on this machine, of the user's own (aloft up), with the modules of this build and the user's; leaves its
# process id in $edge_pid, and what the application needs to join it in $cluster_arguments. $1, $2: as for start_edge.
start_cluster() {
  local threads=$1 module=$2 log=$logs/cluster.log file modules=() keys=$demo_folder/cluster/cluster
  [[ -z $module || $module == /* ]] || module=$caller/$module
  for file in build/release/modules/detect.wasm ${module:+"$module"}; do
    [[ ! -f $file ]] || modules+=(--module "$file")
  done
  rm -rf "$demo_folder/cluster"
  mkdir -p "$demo_folder" "$logs"
  build/release/bin/aloft up --dir "$demo_folder/cluster" --listen 127.0.0.1:0 --inference-threads "$threads" \
    "${modules[@]}" > "$log" 2>&1 < /dev/null &
  edge_pid=$!
  for _ in {1..1200}; do
    edge_address=$(sed -n 's/.*is up, its manager at \(.*\)\. Ctrl-C.*/\1/p' "$log")
    [[ -z $edge_address ]] || break
    kill -0 "$edge_pid" 2> /dev/null || break
    sleep 0.05
  done
  [[ -n $edge_address ]] || { cat "$log" >&2 && die "the cluster did not start; its log is $log"; }
  cluster_arguments=(--cluster "$edge_address" --cluster-ca "$keys/ca.pem" --cluster-cert "$keys/tenant-default.pem"
    --cluster-key "$keys/tenant-default.key")
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
  build release aloft-detect aloft-exec aloft-cli aloft-manager aloft-host detect_module
  [[ -z $build_only ]] || return 0

  has_option --video "${arguments[@]}" || arguments=(--video "$root/build/deps/video/vtest.avi" "${arguments[@]}")
  has_option --model "${arguments[@]}" || arguments=(--model "$root/models/pedestrian.onnx" "${arguments[@]}")
  # What is measured frame by frame, or not looked at, has no page.
  local option page=1
  for option in --headless --page --page-port --baseline --verify --record-trace; do
    has_option "$option" "${arguments[@]}" && page=''
  done
  [[ -z $page ]] || arguments=(--page "${arguments[@]}")
  local threads
  threads=$(option_value --inference-threads "${arguments[@]}")
  [[ $threads =~ ^[0-9]+$ ]] || threads=1  # the application says what is wrong with it
  if has_option --help "${arguments[@]}" || has_option --edge "${arguments[@]}"; then
    :
  elif [[ $(option_value --cluster "${arguments[@]}") == auto ]] && ! has_option --cluster-ca "${arguments[@]}"; then
    # With an authority, `auto` looks for that one's clusters on the network.
    start_cluster "$threads" "$(option_value --module "${arguments[@]}")"
    # shellcheck disable=SC2064  # the process of now
    trap "kill $edge_pid 2> /dev/null && wait $edge_pid || true" EXIT
    drop_option --cluster
    arguments=("${cluster_arguments[@]}" "${arguments[@]}")
    echo "cluster: aloft up, its manager at $edge_address (log: $logs/cluster.log)" >&2
  elif ! has_option --cluster "${arguments[@]}"; then
    # The edge's GPU, where the application is to compute on one.
    local edge_inference=() name
    for name in --inference-device --inference-libraries; do
      has_option "$name" "${arguments[@]}" && edge_inference+=("$name" "$(option_value "$name" "${arguments[@]}")")
    done
    start_edge "$threads" "$(option_value --module "${arguments[@]}")"
    # shellcheck disable=SC2064  # the process of now
    trap "kill $edge_pid 2> /dev/null || true" EXIT
    arguments=(--edge "$edge_address" "${arguments[@]}")
    echo "edge: aloft-exec at $edge_address (log: $logs/edge.log)" >&2
  fi
  cd "$caller" || exit
  "$root/build/release/bin/aloft-detect" "${arguments[@]}"
}
