#!/usr/bin/env bash
# Fuzzes the readers of files from outside (libFuzzer, AddressSanitizer, UndefinedBehaviorSanitizer), from small valid seeds.
#   scripts/fuzz.sh [READER...] [--runs N]    default: every reader, 1,000,000 runs each; installs clang if it is not there
# Prints a table; exit code 1 on a finding, whose input is then in build/fuzz/findings/READER. To keep it mended, copy it to
# tests/fuzz/found/READER: the normal tests replay that folder.
set -euo pipefail
cd "$(dirname "$0")/.."

runs=1000000
readers=()
while [ $# -gt 0 ]; do
  case "$1" in
    --runs) runs=${2:?--runs wants a number}; shift ;;
    -*) echo "usage: scripts/fuzz.sh [READER...] [--runs N]" >&2; exit 2 ;;
    *) readers+=("$1") ;;
  esac
  shift
done

scripts/install-deps.sh --fuzz
scripts/build.sh fuzz

fuzzer=build/fuzz/bin/fuzz_reader
mapfile -t known < <(EVENKEEL_FUZZ_READER=list $fuzzer)
[ ${#readers[@]} -gt 0 ] || readers=("${known[@]}")
for reader in "${readers[@]}"; do
  if ! printf '%s\n' "${known[@]}" | grep -qxF -- "$reader"; then
    echo "fuzz: there is no reader '$reader'; the readers are ${known[*]}" >&2
    exit 2
  fi
done

# Inputs go through files, so these stay in memory.
TMPDIR=$(mktemp -d -p /dev/shm evenkeel-fuzz-XXXXXX)
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT
ASAN_SYMBOLIZER_PATH=$(command -v llvm-symbolizer-14 || true)
# Freed memory that AddressSanitizer keeps counts against the limit below; its default alone is 256 MB.
export ASAN_SYMBOLIZER_PATH ASAN_OPTIONS=quarantine_size_mb=32
/usr/bin/python3 tests/fuzz/seeds.py build/fuzz/corpus

# One process; it stops at its first finding.
fuzz() {
  local reader=$1 runs=$2
  mkdir -p "build/fuzz/findings/$reader" "build/fuzz/log"
  rm -f "build/fuzz/findings/$reader"/*
  EVENKEEL_FUZZ_READER=$reader build/fuzz/bin/fuzz_reader -runs="$runs" -rss_limit_mb=512 -timeout=10 -max_len=8192 -print_final_stats=1 \
    -artifact_prefix="build/fuzz/findings/$reader/" "build/fuzz/corpus/$reader" >"build/fuzz/log/$reader" 2>&1 || true
}
export -f fuzz
printf '%s\n' "${readers[@]}" | xargs -P "$(nproc)" -I{} bash -c 'fuzz "$@"' _ {} "$runs"

failed=0
printf '%-20s %10s %12s %9s\n' reader runs "runs/s" findings
for reader in "${readers[@]}"; do
  stat() { sed -n "s/^stat::$1: *//p" "build/fuzz/log/$reader"; }
  done_runs=$(stat number_of_executed_units)
  findings=$(find "build/fuzz/findings/$reader" -type f | wc -l)
  printf '%-20s %10s %12s %9s\n' "$reader" "${done_runs:-0}" "$(stat average_exec_per_sec)" "$findings"
  if [ "$findings" -gt 0 ] || [ "${done_runs:-0}" -lt "$runs" ]; then
    failed=1
    echo "  see build/fuzz/log/$reader"
  fi
done
exit $failed
