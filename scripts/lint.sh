#!/usr/bin/env bash
# What g++ does not see: clang's warnings, and the narrow clang-tidy list (.clang-tidy), both as errors.
#   scripts/lint.sh          clang reads what a change since the branch began, or the last commit, can have touched, and a spread of
#                            the rest; clang-tidy reads what changed: a few minutes
#   scripts/lint.sh --full   clang builds everything, and clang-tidy reads every source: half an hour on two cores
# Works in build/clang, and needs no other build.
set -euo pipefail
cd "$(dirname "$0")/.."
mode=${1:-}
case "$mode" in
  "") ;;
  --full) scripts/build.sh clang --with-tests ;;
  *) echo "usage: scripts/lint.sh [--full]" >&2; exit 2 ;;
esac
mkdir -p build/clang
if ! cmake --preset clang -DBUILD_TESTING=ON >build/clang/configure.log 2>&1; then
  tail -n 20 build/clang/configure.log >&2
  exit 1
fi
/usr/bin/python3 scripts/lint.py $mode
