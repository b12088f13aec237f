# Shared by ./dev and the scripts that it calls: messages, the cache, long steps.
# shellcheck shell=bash disable=SC2034  # `root` and `cache` are for those who source this

unset CDPATH
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
logs=$root/build/logs
cache=${XDG_CACHE_HOME:-$HOME/.cache}/aloft

die() {
  printf 'error: %s\n' "$1" >&2
  exit 1
}

# How many compilers run at once: one a core, but no more than memory holds (1.5 GB each).
job_count() {
  local cores memory_kb
  cores=$(nproc)
  memory_kb=$(awk '/^MemAvailable:/ { print $2 }' /proc/meminfo)
  local by_memory=$((memory_kb / 1500000))
  local count=$((cores < by_memory ? cores : by_memory))
  echo $((count > 0 ? count : 1))
}

# Prints how long a step has been running, until it is killed: one line that is rewritten on a terminal, a line every 30 s
# elsewhere, each with what the step wrote last.
_tick() {
  local what=$1 log=$2 start=$SECONDS last
  while sleep 1; do
    last=$(tail -c 300 "$log" | tr -c '[:print:]\n' ' ' | tail -n 1)
    if [[ -t 2 ]]; then
      printf '\r\033[K%s ... %d s  %.60s' "$what" $((SECONDS - start)) "$last" >&2
    elif (((SECONDS - start) % 30 == 0)); then
      printf '%s ... %d s  %.80s\n' "$what" $((SECONDS - start)) "$last" >&2
    fi
  done
}

# step TEXT NAME COMMAND...   Runs COMMAND with its output in the log NAME, showing the seconds while it runs; upon failure
# shows the end of the log and ends the script. The command stays in the foreground, so that Ctrl-C reaches it.
step() {
  local what=$1 log=$logs/$2.log status=0 start=$SECONDS ticker
  shift 2
  mkdir -p "$logs"
  : > "$log"
  _tick "$what" "$log" &
  ticker=$!
  # shellcheck disable=SC2064  # the ticker of this step, not of a later one
  trap "kill $ticker 2> /dev/null || true" EXIT
  "$@" > "$log" 2>&1 < /dev/null || status=$?
  kill "$ticker" 2> /dev/null || true
  wait "$ticker" 2> /dev/null || true
  trap - EXIT
  [[ -t 2 ]] && printf '\r\033[K' >&2
  if ((status != 0)); then
    tail -n 40 "$log" >&2
    die "$what failed; the whole log is in $log"
  fi
  printf '%s: %d s\n' "$what" $((SECONDS - start)) >&2
}
