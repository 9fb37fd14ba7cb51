#!/usr/bin/env bash
# Configures and builds a preset, quietly: scripts/build.sh PRESET [--with-tests [TARGET...]]
set -euo pipefail
cd "$(dirname "$0")/.."
preset=${1:?usage: scripts/build.sh PRESET [--with-tests [TARGET...]]}
tests=OFF
if [ "${2:-}" = --with-tests ]; then tests=ON; fi
targets=("${@:3}")
log=build/$preset/build.log
mkdir -p "build/$preset"
echo "build: $preset, log in $log"
if ! { cmake --preset "$preset" -DBUILD_TESTING=$tests && cmake --build --preset "$preset" ${targets[@]+--target "${targets[@]}"}; } >"$log" 2>&1; then
  grep -E "error|Error|FAILED" -A 3 "$log" | head -n 60 >&2
  echo "build: failed; the whole log is $log" >&2
  exit 1
fi
