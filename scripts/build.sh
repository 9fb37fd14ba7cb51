#!/usr/bin/env bash
# Configures and builds a preset, and says how far it has come: scripts/build.sh PRESET [--with-tests [TARGET...]]
set -euo pipefail
cd "$(dirname "$0")/.."
preset=${1:?usage: scripts/build.sh PRESET [--with-tests [TARGET...]]}
tests=OFF
if [ "${2:-}" = --with-tests ]; then tests=ON; fi
targets=("${@:3}")
log=build/$preset/build.log
mkdir -p "build/$preset"
: >"$log"

# The last [n/m] of those that Ninja writes in front of its steps.
steps() { grep -oE '^\[[0-9]+/[0-9]+\]' "$log" | tail -n 1 | tr -d '[]'; }

# On a terminal a line that changes, else a line every half minute.
show_progress() {
  local next=30 now
  # The sleep may outlive us: it must not hold open what our caller reads.
  while sleep 1 >/dev/null 2>&1; do
    now=$(steps) || continue
    if [ -t 1 ]; then
      printf '\rbuild: step %s, %d s ' "$now" $SECONDS
    elif [ $SECONDS -ge $next ]; then
      next=$((SECONDS + 30))
      echo "build: step $now, $SECONDS s"
    fi
  done
}
stop_progress() {
  trap - EXIT
  kill $progress 2>/dev/null || true
  wait $progress 2>/dev/null || true
  if [ -t 1 ]; then echo; fi
}

echo "build: $preset, log in $log"
export NINJA_STATUS='[%f/%t] '
show_progress &
progress=$!
trap stop_progress EXIT
if ! { cmake --preset "$preset" -DBUILD_TESTING=$tests && cmake --build --preset "$preset" ${targets[@]+--target "${targets[@]}"}; } >>"$log" 2>&1; then
  stop_progress
  grep -E "error|Error|FAILED" -A 3 "$log" | head -n 60 >&2
  echo "build: failed; the whole log is $log" >&2
  exit 1
fi
