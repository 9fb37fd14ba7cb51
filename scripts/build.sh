#!/usr/bin/env bash
# Configures and builds a preset (default release), quietly: scripts/build.sh [PRESET] [TARGET...]
set -euo pipefail
cd "$(dirname "$0")/.."
preset=${1:-release}
shift || true
mkdir -p "build/$preset"
echo "build: $preset, log in build/$preset/build.log"
if ! { cmake --preset "$preset" && cmake --build --preset "$preset" ${1:+--target "$@"}; } >"build/$preset/build.log" 2>&1; then
  grep -E "error|Error|FAILED" -A 3 "build/$preset/build.log" | head -n 60 >&2
  echo "build: failed; the whole log is build/$preset/build.log" >&2
  exit 1
fi
